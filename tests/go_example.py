"""The example in Go: built once per test, run as its own process."""

from __future__ import annotations

import shutil
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from temporalio.client import Client

from tests.sdk_examples import EXAMPLES, example_worker, succeed
from tests.strictness import give_up

GO_TASK_QUEUE = "pointsman-examples-go"
# A first build compiles Temporal's SDK for Go.
BUILD_TIMEOUT_SECONDS = 600


async def build_go_example(folder: Path) -> Path:
    """The example's program. Go's own cache makes every build but the first one quick."""
    if not shutil.which("go"):
        give_up("go is not on PATH; install golang-go to run the example in Go")
    program = folder / "await"
    await succeed(EXAMPLES / "go", "go", "build", "-o", str(program), ".")
    return program


def go_worker(program: Path, client: Client) -> AbstractAsyncContextManager[None]:
    """The worker of the example, on the client's server and namespace."""
    return example_worker(client, program)
