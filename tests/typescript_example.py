"""The example in TypeScript: installed and built once, kept for later runs, run as a process."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.client import Client

from tests.strictness import give_up
from worker.embedded.file_lock import exclusive_lock

EXAMPLE = Path(__file__).parents[1] / "examples" / "typescript"
TASK_QUEUE = "pointsman-examples-typescript"
# A first installation fetches Temporal's SDK.
BUILD_TIMEOUT_SECONDS = 900
SOURCES = ("package.json", "package-lock.json", "tsconfig.json", ".npmrc", "src")


async def build_typescript_example() -> Path:
    """The folder of the built example; a new one for each state of its sources."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if not npm or not node:
        give_up("node and npm are not on PATH; install them to run the example in TypeScript")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "pointsman" / "typescript-example"
    home.mkdir(parents=True, exist_ok=True)
    folder = home / _digest()
    async with exclusive_lock(home / "lock"):
        if not (folder / "built").exists():
            await _build(folder, npm)
    return folder


async def _build(folder: Path, npm: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "lib"))
    # Not `ci`: without the addresses of a registry in the lock file it misses the builds of the
    # optional packages for other systems.
    for command in ("install --no-audit --no-fund --silent", "run build --silent"):
        process = await asyncio.create_subprocess_exec(npm, *command.split(), cwd=folder)
        assert await process.wait() == 0, f"npm {command} failed in {folder}"
    (folder / "built").touch()


def _digest() -> str:
    digest = hashlib.sha256()
    for name in SOURCES:
        path = EXAMPLE / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@asynccontextmanager
async def typescript_worker(folder: Path, client: Client) -> AsyncGenerator[None]:
    """The worker of the example, on the client's server and namespace."""
    environment = {
        **os.environ,
        "TEMPORAL_ADDRESS": client.service_client.config.target_host,
        "TEMPORAL_NAMESPACE": client.namespace,
    }
    worker = await asyncio.create_subprocess_exec(
        "node", "lib/worker.js", cwd=folder, env=environment
    )
    try:
        yield
    finally:
        if worker.returncode is None:
            worker.terminate()
        await worker.wait()
