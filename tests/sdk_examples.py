"""What the examples in other languages share: built once, run as processes of their own."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.client import Client

from worker.embedded.file_lock import exclusive_lock

EXAMPLES = Path(__file__).parents[1] / "examples"


async def kept_build(
    language: str, sources: Sequence[str], build: Callable[[Path], Awaitable[None]]
) -> Path:
    """A folder with a copy of the example's sources, in which `build` has run.

    It is kept for later runs, one for each state of the sources (files and folders of the example).
    One process builds, the others wait for it.
    """
    example = EXAMPLES / language
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "pointsman" / f"{language}-example"
    home.mkdir(parents=True, exist_ok=True)
    files = sorted(file for name in sources for file in _files(example / name))
    folder = home / _digest(files)
    async with exclusive_lock(home / "lock"):
        if not (folder / "built").exists():
            shutil.rmtree(folder, ignore_errors=True)
            for file in files:
                copy = folder / file.relative_to(example)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
            await build(folder)
            (folder / "built").touch()
    return folder


def _files(path: Path) -> list[Path]:
    return [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


async def succeed(folder: Path, *command: str) -> None:
    """Run the command in the folder; a failure names both."""
    process = await asyncio.create_subprocess_exec(*command, cwd=folder)
    assert await process.wait() == 0, f"{' '.join(command)} failed in {folder}"


@asynccontextmanager
async def example_worker(
    client: Client, *command: str | Path, folder: Path | None = None
) -> AsyncGenerator[None]:
    """The worker of an example, on the client's server and namespace."""
    environment = {
        **os.environ,
        "TEMPORAL_ADDRESS": client.service_client.config.target_host,
        "TEMPORAL_NAMESPACE": client.namespace,
    }
    worker = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environment)
    try:
        yield
    finally:
        if worker.returncode is None:
            worker.terminate()
        await worker.wait()
