"""The example in TypeScript: installed and built once, kept for later runs, run as a process."""

from __future__ import annotations

import shutil
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from temporalio.client import Client

from tests.sdk_examples import example_worker, kept_build, succeed
from tests.strictness import give_up

TASK_QUEUE = "pointsman-examples-typescript"
# A first installation fetches Temporal's SDK.
BUILD_TIMEOUT_SECONDS = 900
SOURCES = ("package.json", "package-lock.json", "tsconfig.json", ".npmrc", "src")


async def build_typescript_example() -> Path:
    """The folder of the built example; a new one for each state of its sources."""
    if not shutil.which("npm") or not shutil.which("node"):
        give_up("node and npm are not on PATH; install them to run the example in TypeScript")
    return await kept_build("typescript", SOURCES, _build)


async def _build(folder: Path) -> None:
    # Not `ci`: without the addresses of a registry in the lock file it misses the builds of the
    # optional packages for other systems.
    await succeed(folder, "npm", "install", "--no-audit", "--no-fund", "--silent")
    await succeed(folder, "npm", "run", "build", "--silent")


def typescript_worker(folder: Path, client: Client) -> AbstractAsyncContextManager[None]:
    """The worker of the example, on the client's server and namespace."""
    return example_worker(client, "node", "lib/worker.js", folder=folder)
