from __future__ import annotations

import re
from pathlib import Path

import pytest

from workshop import go_programs
from workshop.problem import Problem

COMPOSE = go_programs.ROOT / "deploy" / "compose.yaml"


def a_go(folder: Path, body: str) -> None:
    go = folder / "go"
    go.write_text(f"#!/bin/sh\n{body}\n")
    go.chmod(0o755)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only programs are those in this folder; the cache is below it."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("name", ["promtool", "checker"])
def test_a_program_is_built_once_and_found_again(folder: Path, name: str) -> None:
    a_go(folder, f'echo "$1" >> {folder}/asked; touch "$GOBIN/{name}"; chmod +x "$GOBIN/{name}"')
    program = getattr(go_programs, name)()

    before = go_programs.find(program)
    built = go_programs.build(program)

    assert before is None
    assert go_programs.find(program) == built
    assert (folder / "asked").read_text() == "install\n"


def test_a_build_that_fails_leaves_nothing_to_find(folder: Path) -> None:
    a_go(folder, 'touch "$GOBIN/promtool"; chmod +x "$GOBIN/promtool"; exit 2')

    with pytest.raises(Problem, match="go ended with 2"):
        go_programs.build(go_programs.promtool())

    assert go_programs.find(go_programs.promtool()) is None


def test_without_the_program_and_go_both_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(go_programs, "GO_FALLBACK", tmp_path / "go")

    with pytest.raises(Problem, match="neither promtool nor Go"):
        go_programs.build(go_programs.promtool())


@pytest.mark.parametrize(("name", "file"), [("promtool", "go.sum"), ("checker", "main.go")])
def test_other_sources_are_another_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, file: str
) -> None:
    for each in ("go.mod", "go.sum", "main.go"):
        (tmp_path / each).write_text("first")
    monkeypatch.setattr(go_programs, f"{name.upper()}_SOURCES", tmp_path)
    program = getattr(go_programs, name)
    before = program().version

    (tmp_path / file).write_text("second")

    assert program().version != before


def test_the_rules_are_checked_by_the_release_that_is_deployed() -> None:
    deployed = re.search(r"prom/prometheus:v3\.(\d+)\.(\d+)", COMPOSE.read_text())
    pinned = (go_programs.PROMTOOL_SOURCES / "go.mod").read_text()

    assert deployed is not None
    assert f"prometheus/prometheus v0.{300 + int(deployed[1])}.{deployed[2]} " in pinned
