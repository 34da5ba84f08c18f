"""The command `pointsman`: every command says in one line what went wrong, and exits non-zero.

This module loads next to nothing, so that a signal finds a handler from the first moment.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Final

INTERRUPTED: Final = 130
"""What shells report for a program that Ctrl-C ended."""
UNTIL_TOLD_TO_STOP: Final = frozenset({"run", "dev"})
"""The commands for which being told to stop is a good end."""


def main() -> None:
    """The entry point of the program: carries out the command line and ends the process."""
    if sys.argv[1:2] and sys.argv[1] in UNTIL_TOLD_TO_STOP:
        _end_well_when_told()
    if sys.argv[1:] == ["--version"]:
        from importlib.metadata import version

        print(f"pointsman {version('pointsman-service')}")
        return
    try:
        carry_out()
    except SystemExit as end:
        _leave_native_threads(end)
        raise


def carry_out() -> None:
    """Carry out the command line; raises SystemExit.

    Its code is 2 for wrong settings or usage, and 1 for any other failure.
    """
    from worker.cli.application import application

    try:
        application(sys.argv[1:])()
    except Exception as error:
        from worker.cli.failures import said_of

        failure = said_of(error)
        if failure is None:
            raise
        print(f"pointsman: {failure.message}", file=sys.stderr)
        sys.exit(failure.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _end_well_when_told() -> None:
    """Until the command has its own handlers nothing is open that had to be closed."""

    def leave(_number: int, _frame: object) -> None:
        os._exit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)


def _leave_native_threads(end: SystemExit) -> None:
    """End here where threads of Temporal's SDK may be at work; everything of ours is closed.

    One that comes back from a call while the interpreter is taken down aborts the process: seen
    as exit code -6 ("PyGILState_Release") after a command that had said all it had to say.
    """
    if "temporalio.bridge" not in sys.modules or isinstance(end.code, str):
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(end.code or 0)
