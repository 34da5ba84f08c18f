"""One shell for all commands of a page, and the comparison with the output that the page shows."""

from __future__ import annotations

import os
import re
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import uuid4

COMMAND_SECONDS: Final = 180.0
BACKGROUND_SECONDS: Final = 400.0
STOPPING_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a console block, and the output that the page shows; "" where it shows none."""

    text: str
    shown: str


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it wrote to either stream."""

    exit_code: int
    output: str


def commands_of(text: str) -> Sequence[Command]:
    """The commands of a console block: `$ ` begins one; a backslash or a quote carries it on."""
    commands: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            commands.append(([line[2:]], []))
        elif not commands:
            raise ValueError(f"a console block begins with `$ `, not with {line!r}")
        elif not commands[-1][1] and _is_open("\n".join(commands[-1][0])):
            commands[-1][0].append(line)
        else:
            commands[-1][1].append(line)
    return [Command("\n".join(typed), "\n".join(shown).strip()) for typed, shown in commands]


def _is_open(command: str) -> bool:
    """Whether a shell would go on reading: a quote is open, or a backslash stands at the end."""
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return True
    return False


def differs(shown: str, output: str) -> bool:
    """Whether an output is not what the page shows.

    `…` stands for any text within a line, and alone on its line for any number of lines. How many
    spaces part two words is no difference: tables take the width that they need.
    """
    pattern = "".join(
        r"(?:[^\n]*\n)*?" if line.strip() == "…" else _pattern_of(line) + "\n"
        for line in shown.strip().splitlines()
    )
    return re.fullmatch(pattern, _normal(output)) is None


def _pattern_of(line: str) -> str:
    return "[^\n]*?".join(re.escape(" ".join(part.split())) for part in _parts(line))


def _parts(line: str) -> Sequence[str]:
    # The space beside an ellipsis belongs to what it stands for.
    return re.split(r"\s*…\s*", line.strip())


def _normal(output: str) -> str:
    lines = (" ".join(line.split()) for line in output.strip().splitlines())
    return "\n".join(lines) + "\n"


@dataclass
class Shell:
    """A bash that keeps what it is told from one command to the next, as a terminal does."""

    folder: Path
    environment: Mapping[str, str]
    _process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        # It outlives the signal that ends what it has started; that does not inherit the trap.
        self._write("trap : TERM\n")

    def run(self, command: str, seconds: float = COMMAND_SECONDS) -> Said:
        """Run it to its end; raises AssertionError when that takes too long."""
        mark = f"end-{uuid4().hex}"
        # In braces, not in a subshell: what it exports is there for the next one.
        self._write(f"{{\n{command}\n}} </dev/null\nprintf '\\n{mark} %s\\n' $?\n")
        output = self._read_until(mark, command, seconds)
        text, _, end = output.rpartition(f"\n{mark} ")
        return Said(int(end), text.rstrip())

    def start(self, command: str, until: str, log: Path) -> str:
        """Leave it running once it has written `until`; what it has written by then."""
        log.touch()
        self.run(f"{{\n{command}\n}} >{log} 2>&1 &")
        deadline = time.monotonic() + BACKGROUND_SECONDS
        while until not in (written := log.read_text(errors="replace")):
            assert time.monotonic() < deadline, f"{command!r} never wrote {until!r}:\n{written}"
            is_alive = self.run("kill -0 $!").exit_code == 0
            assert is_alive, f"{command!r} ended without {until!r}:\n{written}"
            time.sleep(0.1)
        return written

    def close(self) -> None:
        """End the shell and everything that it has left running."""
        try:
            self.run("trap '' TERM; kill -TERM 0; wait", STOPPING_SECONDS)
        except (AssertionError, OSError):
            pass  # ended the hard way, below
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()

    def _write(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def _read_until(self, mark: str, command: str, seconds: float) -> str:
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        read = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not re.search(rb"\n" + mark.encode() + rb" \d+\n", read):
                left = deadline - time.monotonic()
                assert left > 0, f"{command!r} did not end within {seconds:g} s:\n{read.decode()}"
                if selector.select(left):
                    got = os.read(self._process.stdout.fileno(), 65536)
                    assert got, f"the shell ended with {command!r}:\n{read.decode()}"
                    read += got
        return read.decode(errors="replace").rstrip()
