"""Runs a program in the place of this one: what this one is told, that one is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run_to_the_end(command: Sequence[str], *, folder: Path) -> int:
    """Run it and wait for its end, whatever comes meanwhile; its exit code, as shells report it.

    A signal to this process alone must not leave the program behind with all that it started.
    """
    program: subprocess.Popen[bytes] | None = None
    told: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        if program is not None and not _heard_by_itself(number):
            with suppress(ProcessLookupError):
                program.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    try:
        program = subprocess.Popen(command, cwd=folder)
        for number in tuple(told):  # what came before there was anybody to tell
            pass_on(number, None)
        code = program.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _heard_by_itself(number: int) -> bool:
    """Whether a terminal tells both: Ctrl-C goes to all programs in its foreground."""
    if number != signal.SIGINT:
        return False
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
