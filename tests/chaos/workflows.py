"""The workflows that wait while everything breaks, and the worker process that runs them.

`python -m tests.chaos.workflows ADDRESS NAMESPACE TASK_QUEUE`
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from pointsman.contract import EVENT_SIGNAL, REGISTER_WAIT
from pointsman.workflow import wait_for_event

EVENT_NAME: Final = "INVOICE_PAID"
LOOKBACK: Final = timedelta(hours=6)
RETRY: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=1)
)


@dataclass
class Waiting:
    """Whom a workflow waits for, and the task queue of the service."""

    tenant: str
    keys: list[str]
    service_queue: str


@workflow.defn
class Collector:
    """Registers a wait for each key through the bare contract; its history is the evidence."""

    @workflow.run
    async def run(self, waiting: Waiting) -> None:
        workflow_id = workflow.info().workflow_id
        requests = [
            {
                "tenant": waiting.tenant,
                "wait_id": f"{workflow_id}/{key}",
                "event_name": EVENT_NAME,
                "correlation_key": key,
                "workflow_id": workflow_id,
                "kind": "stream",
                "lookback_seconds": LOOKBACK.total_seconds(),
            }
            for key in waiting.keys
        ]
        await asyncio.gather(*(self._register(request, waiting) for request in requests))
        await workflow.wait_condition(lambda: False)

    @workflow.signal(name=EVENT_SIGNAL)
    def receive(self, event: dict[str, Any]) -> None:
        """Its arrival in the history is all that counts."""

    async def _register(self, request: dict[str, Any], waiting: Waiting) -> None:
        await workflow.execute_activity(
            REGISTER_WAIT,
            request,
            task_queue=waiting.service_queue,
            start_to_close_timeout=timedelta(seconds=5),
            retry_policy=RETRY,
        )


@workflow.defn
class OneShot:
    """Waits once, with the SDK, and ends with the id of what woke it."""

    @workflow.run
    async def run(self, waiting: Waiting) -> str:
        event = await wait_for_event(
            EVENT_NAME,
            key=waiting.keys[0],
            tenant=waiting.tenant,
            lookback=LOOKBACK,
            task_queue=waiting.service_queue,
        )
        return event.event_id


async def work(address: str, namespace: str, task_queue: str) -> None:
    """Serve the workflows for ever; whatever becomes of the server meanwhile."""
    while True:
        try:
            client = await Client.connect(address, namespace=namespace)
            worker = Worker(
                client,
                task_queue=task_queue,
                workflows=[Collector, OneShot],
                # A sandbox of its own for each of hundreds of workflows is most of their work, and
                # on a busy machine takes longer than Temporal's two seconds for a task.
                workflow_runner=UnsandboxedWorkflowRunner(),
            )
            await worker.run()
        except (RuntimeError, RPCError, OSError) as error:
            print(f"the worker starts again after: {error}", file=sys.stderr)  # noqa: T201
            await asyncio.sleep(0.5)


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
