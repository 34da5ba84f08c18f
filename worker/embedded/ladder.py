"""How a server can be had: the ways that are tried, and what is said when none is left."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

Announce = Callable[[str], None]
"""Takes one line for a person to read; called from the event loop, so it must not block."""

VERSION_TIMEOUT_SECONDS: Final = 10.0


class Part(StrEnum):
    """A server that Pointsman needs."""

    REDIS = "redis"
    POSTGRES = "postgres"
    TEMPORAL = "temporal"


ALL_PARTS: Final[frozenset[Part]] = frozenset(Part)


class ServerUnavailable(Exception):
    """No way led to a running server: install what the message names, or give an address."""

    def __init__(self, part: Part, *, tried: Sequence[str], remedy: str) -> None:
        self.part = part
        self.tried = tuple(tried)
        self.remedy = remedy
        lines = [f"no {part} server could be provided", *(f"  tried: {way}" for way in tried)]
        super().__init__("\n".join([*lines, f"  to get one: {remedy}"]))


class ServersUnavailable(ServerUnavailable):
    """Several servers are missing at once; the message holds each one's own."""

    def __init__(self, failures: Sequence[ServerUnavailable]) -> None:
        first = failures[0]
        super().__init__(first.part, tried=first.tried, remedy=first.remedy)
        self.failures = tuple(failures)
        self.args = ("\n".join(str(failure) for failure in failures),)


@dataclass(frozen=True, slots=True)
class Program:
    """A server's executable, and the words for where it was found."""

    path: Path
    origin: str


def program_on_path(name: str, environment: Mapping[str, str]) -> Path | None:
    """The first executable of that name in the folders of `PATH` of this environment."""
    for folder in environment.get("PATH", os.defpath).split(os.pathsep):
        candidate = Path(folder or ".") / name
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate.absolute()
    return None


async def first_line(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """The first line that the command prints, or "" when it cannot be run within ten seconds."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=None if environment is None else dict(environment),
        )
    except OSError:
        return ""
    try:
        output, _ = await asyncio.wait_for(process.communicate(), VERSION_TIMEOUT_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return ""
    return output.decode(errors="replace").partition("\n")[0].strip()
