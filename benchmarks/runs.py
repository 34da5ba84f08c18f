"""Workflows that wait, in Temporal; and a worker that runs them to their end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

NOBODY: Final = "benchmark-nobody"
"""A task queue without a worker: signals are accepted, and nothing else costs anything."""
SOMEBODY: Final = "benchmark-somebody"


class Finished:
    """Counts workflows as they end, in the process of their worker."""

    count = 0
    last = 0.0


@workflow.defn
class Once:
    """Ends with the first event."""

    def __init__(self) -> None:
        self.event: dict[str, Any] | None = None

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self.event is not None)
        if not workflow.unsafe.is_replaying():
            Finished.count += 1
            Finished.last = time.perf_counter()

    @workflow.signal(name="pointsman.event")
    def receive(self, event: dict[str, Any]) -> None:
        self.event = event


def workflow_id(number: int) -> str:
    """As `benchmarks.events.fill_waits` names them."""
    return f"workflow-{number}"


async def start(client: Client, numbers: Sequence[int], task_queue: str) -> None:
    """Start these workflows, fifty at a time."""
    waiting = iter(numbers)

    async def start_some() -> None:
        for number in waiting:
            await client.start_workflow(Once.run, id=workflow_id(number), task_queue=task_queue)

    await asyncio.gather(*(start_some() for _ in range(50)))


@asynccontextmanager
async def worker(client: Client) -> AsyncIterator[None]:
    """A worker for the workflows of SOMEBODY."""
    Finished.count = 0
    runner = UnsandboxedWorkflowRunner()
    async with Worker(
        client,
        task_queue=SOMEBODY,
        workflows=[Once],
        workflow_runner=runner,
        build_id="benchmark",
        max_cached_workflows=5_000,
    ):
        yield


async def finished(count: int) -> None:
    """Wait until so many have ended."""
    while Finished.count < count:  # noqa: ASYNC110  counted in another thread
        await asyncio.sleep(0.01)
