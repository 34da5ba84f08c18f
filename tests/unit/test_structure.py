from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    *("correlation", "ingress", "routing", "worker", "sdk"),
    *("workshop", "tests", "benchmarks", "examples"),
)
LONGEST_FILE = 400
LONGEST_FUNCTION = 60

# Assembled from parts, so that this file does not contain what it looks for.
UNWANTED = {
    "a person's home folder": re.compile(r"/(?:home|Users)/\w|/ro" + r"ot/|C:\\Users"),
    "the host of a package index": re.compile(
        r"pypi\.(?:org|python)|python" + r"hosted|registry\.npm|proxy\.golang|repo1?\.maven"
        r"|static\.crates|crates\.io|(?:deb|security)\.debian"
    ),
}


def python_files() -> Iterator[Path]:
    yield ROOT / "dev"
    for source in SOURCES:
        for path in sorted((ROOT / source).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield path


def tracked_texts() -> Iterator[tuple[Path, str]]:
    """Every file that git tracks, or would after an `add`, and that is text."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is no clone: git lists no files")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        try:
            yield path, path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            continue


def test_no_file_is_too_long_to_read() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in python_files()}

    too_long = {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > LONGEST_FILE}

    assert too_long == {}


def test_no_function_is_too_long_to_read() -> None:
    too_long: dict[str, int] = {}

    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    too_long[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = length

    assert too_long == {}


@pytest.mark.parametrize("unwanted", UNWANTED)
def test_no_tracked_file_names(unwanted: str) -> None:
    pattern = UNWANTED[unwanted]

    found = {
        f"{path.relative_to(ROOT)}: {hit.group()}"
        for path, text in tracked_texts()
        if (hit := pattern.search(text))
    }

    assert found == set()


def test_lock_files_pin_by_hash_and_name_no_address() -> None:
    locks = sorted((ROOT / "requirements").glob("*.lock"))

    contents = {path.name: path.read_text() for path in locks}

    assert {name.partition(".")[0] for name in contents} == {
        "build",
        "dev",
        "docs",
        "fuzz",
        "release",
        "runtime",
    }
    for name, text in contents.items():
        requirements = re.findall(r"^\S+==.*$", text, flags=re.MULTILINE)
        assert requirements, name
        assert all(line.endswith("\\") for line in requirements), f"{name}: a pin without a hash"
        assert "://" not in text, name


def test_no_lock_file_with_addresses_is_tracked() -> None:
    names = {path.name for path, _ in tracked_texts()}

    assert names.isdisjoint({"uv.lock", "pylock.toml"})
