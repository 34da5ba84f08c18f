"""`pointsman demo` and `pointsman dev` as a newcomer starts them: no server, no setting."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import pytest

from tests.acceptance.program import Pointsman, ask_to_stop
from tests.waiting import wait_until
from worker.embedded.process_tree import descendants, is_running

ALONE = Pointsman({})


def page(log: Path, name: str) -> str:
    """What is found at the address that was printed under this name."""
    [line] = [line for line in log.read_text().splitlines() if line.startswith(f"  {name} ")]
    return httpx.get(line.split()[-1], follow_redirects=True, timeout=30).text


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("temporal", "redis_url", "database_url")
async def test_the_demo_ends_as_its_file_says(tmp_path: Path) -> None:
    log = tmp_path / "demo.log"

    with ALONE.running("demo", log=log) as demo:
        await wait_until(
            lambda: demo.poll() is not None, description="the demo is over", timeout=240
        )

    printed = log.read_text()
    assert demo.returncode == 0, printed
    assert "entries and their workflows ended as the file says" in printed
    assert "order-acme-INV-7001" in printed
    assert "conflicting_duplicate" in printed


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("temporal", "redis_url", "database_url")
async def test_everything_runs_on_one_machine_until_ctrl_c(tmp_path: Path) -> None:
    log = tmp_path / "dev.log"

    with ALONE.running("dev", log=log) as dev:
        await wait_until(
            lambda: "export TEMPORAL_NAMESPACE" in log.read_text(),
            description="it says where everything is",
            timeout=90,
        )
        console = page(log, "console")
        temporal = page(log, "Temporal")
        exports = [line for line in log.read_text().splitlines() if line.startswith("export ")]
        command = Pointsman(dict(line[7:].split("=", 1) for line in exports))
        listed = command("events", "count")
        exit_code = ask_to_stop(dev, signal.SIGINT)

    assert "<h1>Overview</h1>" in console, "nobody is asked for a token"
    assert "<html" in temporal
    assert listed.exit_code == 0, listed.errors
    assert exit_code == 0
    assert "Traceback" not in log.read_text()


@pytest.mark.usefixtures("temporal", "redis_url", "database_url")
async def test_a_demo_that_is_broken_off_leaves_nothing_running(tmp_path: Path) -> None:
    log = tmp_path / "demo.log"

    with ALONE.running("demo", log=log) as demo:
        await wait_until(
            lambda: "Publishing" in log.read_text(), description="it publishes", timeout=90
        )
        children = descendants(demo.pid)
        exit_code = ask_to_stop(demo)

    assert exit_code == 143
    assert len(children) >= 5, "three servers, the service and the workers"
    assert [pid for pid in children if is_running(pid)] == []


def test_a_missing_examples_folder_is_one_clear_line(tmp_path: Path) -> None:
    ended = ALONE("demo", "--examples", str(tmp_path / "nowhere"))

    assert ended.exit_code == 1
    [line] = ended.errors.splitlines()
    assert "rules.toml does not exist" in line
