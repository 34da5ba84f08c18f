"""The command `pointsman` as a user runs it: another process, settings in its environment."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("pointsman")
PREFIXES = ("POINTSMAN_", "TEMPORAL_", "WORKFLOW_RUNTIME_V2_")
LONGEST_COMMAND_SECONDS = 60
LONGEST_SHUTDOWN_SECONDS = 10
"""What an orchestrator grants after SIGTERM."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    exit_code: int
    output: str
    errors: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """The output of a command with `--json`."""
        return [json.loads(line) for line in self.output.splitlines()]


@dataclass(frozen=True)
class Pointsman:
    """The command with the settings of one test."""

    settings: Mapping[str, str]

    def __call__(self, *arguments: str) -> Ended:
        """Run a command to its end."""
        done = subprocess.run(
            [PROGRAM, *arguments],
            env=environment(self.settings),
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_COMMAND_SECONDS,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def with_settings(self, **settings: str) -> Pointsman:
        """The same command with some settings changed."""
        return Pointsman({**self.settings, **settings})

    @contextmanager
    def running(self, *arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """A command that goes on until the block ends; its output goes to `log`."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                [PROGRAM, *arguments],
                env=environment(self.settings),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This environment without any setting of ours, but for those given."""
    inherited = {n: text for n, text in os.environ.items() if not n.startswith(PREFIXES)}
    return {**inherited, **settings}


def ask_to_stop(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> int:
    """Send the signal and wait for the exit code; raises TimeoutExpired when it takes too long."""
    process.send_signal(number)
    return process.wait(LONGEST_SHUTDOWN_SECONDS)


def exports_in(written: str) -> Mapping[str, str]:
    """The settings that a program prints for another terminal."""
    lines = [line.split(maxsplit=1)[1] for line in written.splitlines() if line[:7] == "export "]
    return {name: shlex.split(text)[0] for name, _, text in (x.partition("=") for x in lines)}
