"""Every test that docs/guarantees.md names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "guarantees.md"
FAULTS = "tests/chaos/test_faults.py"


def named() -> set[tuple[str, str]]:
    """File and test name of each; those named without a file stand in FAULTS."""
    found = re.findall(r"`(?:(tests/[\w/]+\.py)::)?(test_\w+)`", DOCUMENT.read_text())
    return {(file or FAULTS, name) for file, name in found}


def functions_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_guarantee_names_tests_that_exist() -> None:
    existing = {file: functions_in(file) for file, _ in named() if (ROOT / file).exists()}

    missing = [f"{file}::{name}" for file, name in named() if name not in existing.get(file, ())]

    assert sorted(missing) == []


def test_every_promise_and_every_fault_names_its_test() -> None:
    text = DOCUMENT.read_text()
    promises, _, rest = text.partition("## What is promised")[2].partition("## Under which faults")
    faults = rest.partition("## What is not promised")[0]

    rows = [line for line in (promises + faults).splitlines() if line.startswith("| ")]
    promised = [row for row in rows if not row.startswith(("| | promise", "| fault |"))]
    unproven = [row for row in promised if not re.search(r"`(?:[\w/.]+::)?test_\w+`", row)]

    assert len(promised) > 40
    assert unproven == []


def test_every_fault_is_named_in_the_guarantees() -> None:
    faults = {name for name in functions_in(FAULTS) if name.startswith("test_")}

    assert faults - {name for _, name in named()} == {"test_every_fault_has_its_test"}
