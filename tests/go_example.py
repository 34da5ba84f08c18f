"""The example in Go: built once per test, run as its own process."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.client import Client

from tests.strictness import give_up

GO_EXAMPLE = Path(__file__).parents[1] / "examples" / "go"
GO_TASK_QUEUE = "pointsman-examples-go"
# A first build compiles Temporal's SDK for Go.
BUILD_TIMEOUT_SECONDS = 600


async def build_go_example(folder: Path) -> Path:
    """The example's program. Go's own cache makes every build but the first one quick."""
    go = shutil.which("go") or ""
    if not go:
        give_up("go is not on PATH; install golang-go to run the example in Go")
    program = folder / "await"
    build = await asyncio.create_subprocess_exec(go, "build", "-o", program, ".", cwd=GO_EXAMPLE)
    assert await build.wait() == 0
    return program


@asynccontextmanager
async def go_worker(program: Path, client: Client) -> AsyncGenerator[None]:
    """The worker of the example, on the client's server and namespace."""
    environment = {
        **os.environ,
        "TEMPORAL_ADDRESS": client.service_client.config.target_host,
        "TEMPORAL_NAMESPACE": client.namespace,
    }
    worker = await asyncio.create_subprocess_exec(program, env=environment)
    try:
        yield
    finally:
        worker.terminate()
        await worker.wait()
