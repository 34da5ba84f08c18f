"""The program that reads chart, compose file and Kustomize folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from workshop import go_programs


@pytest.fixture(scope="session")
def checker() -> Path:
    built = go_programs.find(go_programs.checker())
    if built is None:
        pytest.fail("the checker is not built: run these tests by `./dev deploy-check`")
    return built
