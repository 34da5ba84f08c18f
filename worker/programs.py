"""The service and the example workers as the programs they are: started, watched, ended by id."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from worker.embedded.processes import die_with_parent
from worker.operator_error import OperatorError

STOP_SECONDS: Final = 15.0
LINES_SHOWN: Final = 12
SERVICE: Final = ("-m", "worker.cli", "run")


class ProgramEnded(OperatorError):
    """A program that should keep running has ended; the end of its log is quoted."""


@dataclass(frozen=True, slots=True)
class Program:
    """A running program."""

    name: str
    process: asyncio.subprocess.Process
    log: Path | None

    def check(self) -> None:
        """Raise ProgramEnded unless it is still running."""
        if self.process.returncode is not None:
            raise ProgramEnded(
                f"{self.name} ended with exit code {self.process.returncode}{self._log_end()}"
            )

    def _log_end(self) -> str:
        if self.log is None:
            return ""
        lines = self.log.read_text(errors="replace").splitlines()[-LINES_SHOWN:]
        return f"; the end of {self.log}:\n" + "\n".join(f"    {line}" for line in lines)


@asynccontextmanager
async def running(
    name: str,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    log: Path | None = None,
) -> AsyncGenerator[Program]:
    """A Python program while the block runs; at its end it gets SIGTERM, and time to finish.

    Its output goes to `log`, or to this program's own without one.
    """
    output = log.open("ab") if log is not None else None
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C in the terminal is for this program to pass on, once and in order.
            start_new_session=True,
            # Unsafe only for what takes locks between fork and exec; this takes none.
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
    finally:
        if output is not None:
            output.close()
    try:
        yield Program(name, process, log)
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
    except asyncio.CancelledError:
        process.kill()
        raise


async def until_interrupted(programs: Sequence[Program] = ()) -> None:
    """Wait for Ctrl-C, SIGTERM or SIGHUP; raises ProgramEnded when a program ends by itself.

    Signals that come afterwards change nothing: what was started is being stopped.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    ends: list[Coroutine[Any, Any, object]] = [program.process.wait() for program in programs]
    waits = [asyncio.ensure_future(end) for end in (stop.wait(), *ends)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    for program in programs:
        program.check()
