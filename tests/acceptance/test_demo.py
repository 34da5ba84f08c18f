"""`pointsman demo` and `pointsman dev` as a newcomer starts them: no server, no setting."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest

from tests.acceptance.program import Pointsman, ask_to_stop, exports_in
from tests.waiting import wait_until
from worker.embedded.process_tree import descendants, is_running

ALONE = Pointsman({})
LAST_LINE = "export TEMPORAL_NAMESPACE"


async def says(text: str, program: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the running program has printed this."""

    def said() -> bool:
        printed = log.read_text()
        assert text in printed or program.poll() is None, f"it ended without {text!r}:\n{printed}"
        return text in printed

    await wait_until(said, description=f"it prints {text!r}", timeout=90)


def address(log: Path, name: str) -> str:
    """The address that was printed under this name."""
    [line] = [line for line in log.read_text().splitlines() if line.startswith(f"  {name} ")]
    return line.split()[-1]


def page(log: Path, name: str) -> str:
    """What is found at the address that was printed under this name."""
    return httpx.get(address(log, name), follow_redirects=True, timeout=30).text


async def all_end(processes: Iterable[int]) -> None:
    """Wait until none of them runs."""
    await wait_until(
        lambda: not any(map(is_running, processes)), description="all that it started has ended"
    )


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
    assert "Onboarding: onboarding-" in printed
    assert "Approve Norddeutsche Rohrwerke as a client (ada, due" in printed
    assert "signed-9001" in printed


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("temporal", "redis_url", "database_url")
async def test_two_run_on_one_machine_until_ctrl_c_or_until_they_are_killed(tmp_path: Path) -> None:
    logs = tmp_path / "first.log", tmp_path / "second.log"

    with ALONE.running("dev", log=logs[0]) as first, ALONE.running("dev", log=logs[1]) as second:
        await says(LAST_LINE, first, logs[0])
        await says(LAST_LINE, second, logs[1])
        addresses = {address(log, name) for log in logs for name in ("console", "metrics")}
        console, temporal = page(logs[0], "console"), page(logs[0], "Temporal")
        listed = Pointsman(exports_in(logs[0].read_text()))("events", "count")
        children = descendants(first.pid), descendants(second.pid)
        exit_code = ask_to_stop(first, signal.SIGINT)
        left_running = [pid for pid in children[0] if is_running(pid)]
        second.kill()
        await all_end(children[1])

    assert len(addresses) == 4, "each has its own"
    assert "<h1>Overview</h1>" in console, "nobody is asked for a token"
    assert "<html" in temporal
    assert listed.exit_code == 0, listed.errors
    assert (exit_code, left_running) == (0, [])
    assert len(children[1]) >= 4, "three servers and the service"
    assert "Traceback" not in logs[0].read_text()


@pytest.mark.usefixtures("temporal", "redis_url", "database_url")
async def test_a_demo_that_is_broken_off_leaves_nothing_running(tmp_path: Path) -> None:
    log = tmp_path / "demo.log"

    with ALONE.running("demo", log=log) as demo:
        await says("Publishing", demo, log)
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
