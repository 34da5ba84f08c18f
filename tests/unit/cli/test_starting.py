"""What a program loads before it does anything, and what a signal finds meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[3]
OF_TEMPORAL: Final = ("temporalio", "google.protobuf")
OF_HTTP: Final = ("fastapi", "starlette", "uvicorn", "jinja2", "jwt")
OF_MIGRATIONS: Final = ("alembic", "sqlalchemy")

VERSION: Final = """
import sys
from worker.cli import main
sys.argv = ["pointsman", "--version"]
main()
"""
# As `pointsman run` does it, up to the moment in which it would wait for its servers.
COMPOSED: Final = """
import asyncio, sys
from worker.cli.application import application
application(["run"])
import worker.logs, worker.running
from worker.composition import compose
from worker.settings import load_settings
async def composed():
    async with compose(load_settings(roles="{roles}")):
        pass
asyncio.run(composed())
"""
LOADED: Final = """
print("loaded:", *sorted(sys.modules))
"""


def loaded_by(program: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after the program."""
    finished = subprocess.run(
        [sys.executable, "-c", program + LOADED],
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    [line] = [line for line in finished.stdout.splitlines() if line.startswith("loaded:")]
    return set(line.split()[1:])


def _environment() -> Mapping[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("POINTSMAN_", "TEMPORAL_", "OTEL_"))
    }


def test_the_version_is_told_with_next_to_nothing_loaded() -> None:
    loaded = loaded_by(VERSION)

    clients = ("typer", "rich", "pydantic", "asyncio", "structlog", "redis", "psycopg")
    assert loaded.isdisjoint({*clients, *OF_TEMPORAL, *OF_HTTP, *OF_MIGRATIONS})
    assert {name for name in loaded if name.startswith("worker")} == {"worker", "worker.cli"}


def test_a_consumer_loads_neither_temporal_nor_the_web() -> None:
    loaded = loaded_by(COMPOSED.format(roles="consumer"))

    assert {"psycopg", "redis", "worker.consumer"} <= loaded
    assert loaded.isdisjoint({*OF_TEMPORAL, *OF_HTTP, *OF_MIGRATIONS})
    assert loaded.isdisjoint({"worker.api", "worker.console", "worker.demo", "worker.embedded"})


@pytest.mark.parametrize("roles", ["delivery", "worker", "sweeper", "consumer,delivery,worker"])
def test_without_the_role_api_nothing_of_the_web_is_loaded(roles: str) -> None:
    loaded = loaded_by(COMPOSED.format(roles=roles))

    assert "temporalio" in loaded
    assert loaded.isdisjoint({*OF_HTTP, *OF_MIGRATIONS})


def test_a_command_loads_no_other_commands_module() -> None:
    loaded = loaded_by(
        "import sys\nfrom worker.cli.application import application\napplication(['publish'])\n"
    )

    commands = {name for name in loaded if name.startswith("worker.cli.")}
    assert commands == {
        "worker.cli.application",
        "worker.cli.printing",
        "worker.cli.publishing",
        "worker.cli.reading",
    }


@pytest.mark.parametrize("command", ["run", "dev"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_modules_are_loaded_is_a_good_end(
    command: str, number: signal.Signals
) -> None:
    told = (
        "import os, sys\n"
        "import importlib.abc\n"
        "class Telling(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'worker.cli.application':\n"
        f"            os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Telling())\n"
        f"sys.argv = ['pointsman', {command!r}]\n"
        "from worker.cli import main\n"
        "main()\n"
    )

    finished = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, env=_environment(), capture_output=True, check=False
    )

    assert (finished.returncode, finished.stderr) == (0, b"")
