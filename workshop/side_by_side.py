"""Checks that run two at a time, each shown as a whole when it ends."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from workshop.go_programs import ROOT


def run_all(programs: Path, checks: dict[str, list[str]]) -> int:
    """Run the checks two at a time, show what each has to say when it ends; 0 if all are clean."""
    started = time.monotonic()
    with ThreadPoolExecutor(max_workers=2) as pool:
        clean_ones = list(pool.map(lambda item: _run_check(programs, *item), checks.items()))
    seconds = time.monotonic() - started
    print(f"{sum(clean_ones)} of {len(clean_ones)} checks are clean ({seconds:.0f} s)")
    return 0 if all(clean_ones) else 1


def _run_check(programs: Path, title: str, command: list[str]) -> bool:
    """One check, its output shown at once when it ended."""
    started = time.monotonic()
    finished = subprocess.run(
        [str(programs / command[0]), *command[1:]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    is_clean = finished.returncode == 0
    verdict = "clean" if is_clean else "FAILED"
    # One write, or two checks that end together would mix their lines.
    text = f"== {title}: {verdict} ({time.monotonic() - started:.1f} s)\n"
    shown = finished.stdout if not is_clean or title == "unit tests" else ""
    sys.stdout.write(text + shown)
    sys.stdout.flush()
    return is_clean
