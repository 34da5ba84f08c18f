from __future__ import annotations

from pathlib import Path

import pytest

from workshop import go_programs
from workshop.problem import Problem


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


def test_other_sources_of_the_checker_are_another_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("go.mod", "go.sum", "main.go"):
        (tmp_path / name).write_text("first")
    monkeypatch.setattr(go_programs, "CHECKER_SOURCES", tmp_path)
    before = go_programs.checker().version

    (tmp_path / "main.go").write_text("second")

    assert go_programs.checker().version != before
