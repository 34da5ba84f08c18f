"""How long a program takes to start, and how much memory it has then, for several sets of roles."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Final

from benchmarks.figures import Results
from benchmarks.stage import Stage

PART: Final = "starting"
ROLES: Final = ("consumer", "consumer,delivery", "api", "consumer,delivery,worker,sweeper,api")
ROUNDS: Final = 5
STARTED: Final = "service.started"


def measure(stage: Stage, results: Results) -> None:
    """Each several times; modules are compiled by the first, which does not count."""
    for number in range(ROUNDS + 1):
        seconds = _version()
        if number:
            results.add(PART, "pointsman --version", seconds * 1000, "ms")
    for roles in ROLES:
        for number in range(ROUNDS + 1):
            seconds, megabytes = _service(stage, roles)
            if number:
                results.add(PART, f"ready, {roles}", seconds * 1000, "ms")
                results.add(PART, f"memory, {roles}", megabytes, "MB")


def _version() -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "worker.cli", "--version"], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - began


def _service(stage: Stage, roles: str) -> tuple[float, float]:
    """Seconds until it serves, and resident megabytes then."""
    settings = {"POINTSMAN_ROLES": roles, "POINTSMAN_LOG_LEVEL": "info"}
    settings |= {"POINTSMAN_METRICS_PORT": "0", "POINTSMAN_HTTP_PORT": "0"}
    settings |= {"POINTSMAN_INSECURE_DEV": "true"}
    began = time.perf_counter()
    with stage.pointsman(stage.new_stream(), settings=settings) as process:
        while STARTED not in process.log.read_text():
            process.check()
            time.sleep(0.005)
        return time.perf_counter() - began, process.resident_megabytes()
