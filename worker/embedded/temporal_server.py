"""Temporal's dev server, run by ourselves so that it can be frozen, killed and started again."""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path
from typing import Final

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from worker.embedded.ladder import Program
from worker.embedded.processes import LOOPBACK, Recipe

NAMESPACE: Final = "default"
ANSWER_TIMEOUT: Final = timedelta(seconds=3)


def temporal_recipe(
    program: Program, folder: Path, *, durable: bool, ui_port: int | None
) -> Recipe:
    """Serve from memory, or from a SQLite file in the folder when `durable` (five times slower).

    From memory, everything is lost when the server ends. With a `ui_port`, Temporal's own console
    is served there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    storage = ("--db-filename", "temporal.sqlite") if durable else ()
    console = ("--headless",) if ui_port is None else ("--ui-port", str(ui_port))

    def command(port: int) -> tuple[str, ...]:
        listening = ("--ip", LOOPBACK, "--port", str(port), "--namespace", NAMESPACE)
        start = (str(program.path), "server", "start-dev", *listening)
        return (*start, "--log-level", "error", *console, *storage)

    return Recipe(
        name="Temporal",
        command=command,
        answers=_answers,
        folder=folder,
        log=folder / "temporal.log",
        # An orderly end takes more than a second, and there is nothing to save in memory.
        stop_signal=signal.SIGTERM if durable else signal.SIGKILL,
    )


async def _answers(port: int) -> bool:
    client = await Client.connect(f"{LOOPBACK}:{port}", namespace=NAMESPACE)
    request = DescribeNamespaceRequest(namespace=NAMESPACE)
    await client.workflow_service.describe_namespace(request, timeout=ANSWER_TIMEOUT)
    return True
