"""The image's recipe and the other files that a linter reads."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.strictness import give_up
from workshop.manifests import DEPLOY

ROOT = DEPLOY.parent
BIN = ROOT / ".venv" / "bin"
DOCKERFILE = DEPLOY / "Dockerfile"


@pytest.mark.parametrize("path", [DOCKERFILE, ROOT / ".devcontainer" / "Dockerfile"])
def test_hadolint_finds_nothing_in_the_recipe(path: Path) -> None:
    assert _said("hadolint", str(path)) == ""


def test_yamllint_finds_nothing() -> None:
    configuration = DEPLOY / "yamllint.yaml"

    assert (
        _said("yamllint", "--strict", "--config-file", str(configuration), "deploy", ".github")
        == ""
    )


def test_the_image_runs_as_nobody_in_particular_and_takes_no_module_from_where_it_stands() -> None:
    last_stage = DOCKERFILE.read_text().rpartition("\nFROM ")[2]

    assert re.search(r"^USER 10001:10001$", last_stage, re.MULTILINE)
    assert "PYTHONSAFEPATH=1" in last_stage
    assert "/healthz" in last_stage


def test_the_base_is_an_exact_version() -> None:
    base = re.search(r"^ARG BASE=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)

    assert base is not None
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", base[1])


@pytest.mark.parametrize("name", ["build", "runtime"])
def test_the_recipe_installs_only_what_a_lock_file_pins(name: str) -> None:
    assert f"--requirement requirements/{name}.lock" in DOCKERFILE.read_text()


def test_what_the_recipe_copies_is_sent_to_the_builder() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}

    assert all((ROOT / name).exists() for name in sent)
    assert {"requirements/build.lock", "requirements/runtime.lock"} <= sent
    assert {"correlation", "ingress", "routing", "worker", "sdk", "pyproject.toml"} <= sent


def _said(program: str, *arguments: str) -> str:
    if not (path := Path(BIN / program)).exists():
        give_up(f"{program} is not in .venv: it has no wheel for this system")
    command = [str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT).stdout
