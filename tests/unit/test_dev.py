"""The script `./dev`, loaded as a module: it has no name that could be imported."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def dev(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # It would leave a compiled file beside itself, in the root of the repository.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = importlib.machinery.SourceFileLoader("dev_script", str(ROOT / "dev"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def executable(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_help_lists_every_command_in_one_line_each(
    dev: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    dev.show_help([])

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(dev.COMMANDS)
    assert all(len(line) < 100 and len(line.split()) > 2 for line in lines)


def test_make_knows_every_command(dev: ModuleType) -> None:
    makefile = (ROOT / "Makefile").read_text()

    targets = next(line for line in makefile.splitlines() if line.startswith("TARGETS"))

    assert {*targets.partition(":=")[2].split(), "help"} == set(dev.COMMANDS)


def test_an_unknown_command_is_told(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["dev", "tset"])

    assert dev.main() == 1
    assert "no such command: tset" in capsys.readouterr().err


def test_a_python_without_venv_names_the_package_that_brings_it(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = executable(tmp_path / "python", "echo 'ensurepip is not available'; exit 1")
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(dev, "VENV", tmp_path / "venv")

    with pytest.raises(dev.Problem) as problem:
        dev.make_venv_with_pip()

    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    assert f"apt-get install {package}" in str(problem.value)
    assert "ensurepip is not available" in str(problem.value)
    assert not (tmp_path / "venv").exists()


def test_a_uv_that_does_not_run_is_passed_over(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    executable(tmp_path / "uv", "echo 'no such version of it' >&2; exit 127")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(dev, "BIN", tmp_path / "no-venv")

    assert dev.find_uv() is None


def test_an_environment_that_was_synced_is_left_alone(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stamp = tmp_path / "synced"
    stamp.write_text(dev.fingerprint())
    monkeypatch.setattr(dev, "STAMP", stamp)
    monkeypatch.setattr(dev, "run", lambda command: pytest.fail(f"ran {command}"))

    dev.ensure_environment()


def test_a_changed_lock_file_is_synced_again(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("pyproject.toml", "sdk/pyproject.toml", "requirements/dev.lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("first")
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "LOCKS", tmp_path / "requirements")
    before = dev.fingerprint()

    (tmp_path / "requirements" / "dev.lock").write_text("second")

    assert dev.fingerprint() != before


@pytest.mark.parametrize(("second", "code"), [("exit 0", 0), ("echo a finding; exit 1", 1)])
def test_checks_are_clean_only_together(
    dev: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    second: str,
    code: int,
) -> None:
    monkeypatch.setattr(dev, "BIN", tmp_path)
    executable(tmp_path / "first", "exit 0")
    executable(tmp_path / "second", second)

    result = dev.run_side_by_side({"one": ["first"], "two": ["second"]})

    assert result == code
    assert ("a finding" in capsys.readouterr().out) == bool(code)


def a_promtool(path: Path, code: int = 0) -> Path:
    return executable(path, f'echo "$1 $2 $3 in $(basename "$PWD")" >> {path}.log; exit {code}')


def test_alert_rules_are_checked_and_tested_with_the_promtool_on_the_path(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    promtool = a_promtool(tmp_path / "promtool")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert dev.alerts([]) == 0
    assert promtool.with_name("promtool.log").read_text().splitlines() == [
        "check rules pointsman.rules.yml in prometheus",
        "test rules pointsman.rules.test.yml in prometheus",
    ]


def test_a_promtool_that_finds_something_ends_the_command(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    promtool = a_promtool(tmp_path / "promtool", code=3)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert dev.alerts([]) == 3
    assert len(promtool.with_name("promtool.log").read_text().splitlines()) == 1


def test_compiled_modules_are_kept_where_they_may_not_lie_beside_their_sources(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {"PYTHONDONTWRITEBYTECODE": "1"})

    dev.keep_bytecode()

    assert list(os.environ) == ["PYTHONPYCACHEPREFIX"]
    assert Path(os.environ["PYTHONPYCACHEPREFIX"]).is_relative_to(dev.VENV)


def test_elsewhere_they_lie_where_python_puts_them(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {})

    dev.keep_bytecode()

    assert os.environ == {}
