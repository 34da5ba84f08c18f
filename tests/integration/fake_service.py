"""A stand-in for the service: records what workflows say, and sends the signals tests ask for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from pointsman.contract import (
    CLOSE_WAIT,
    CLOSE_WAITS,
    REGISTER_WAIT,
    TASK_QUEUE,
    CloseWait,
    CloseWaits,
    EventSignal,
    RegisterWait,
)
from tests.conftest import TemporalTarget
from tests.integration.sdk_workflows import WORKFLOWS, Waiting
from tests.namespaces import a_namespace
from tests.sandbox import SandboxTriedOnce
from tests.waiting import wait_until


class FakeService:
    """Answers the two activities after the contract; what is wrong in a request fails the test."""

    def __init__(self, client: Client, queue: str, *, older: bool = False) -> None:
        self.client = client
        self.queue = queue
        self.registered: list[RegisterWait] = []
        self.closed: list[CloseWait] = []
        self.batches: list[int] = []
        """How many reports each call brought that brought several."""
        self.older = older
        """A service of the release before: it knows no call for several reports."""
        self.failures_left = 0
        """How many attempts to register fail before one succeeds: an outage."""
        self.attempts = 0
        self.refusal: ApplicationError | None = None
        self.status = "waiting"
        """What a registration is answered with."""
        self.closing_may_end = asyncio.Event()
        """Cleared by a test that wants to see what happens while a wait is being closed."""
        self.closing_may_end.set()

    @activity.defn(name=REGISTER_WAIT)
    async def register(self, request: dict[str, Any]) -> dict[str, Any]:
        self.attempts += 1
        if self.refusal is not None:
            raise self.refusal
        if self.failures_left:
            self.failures_left -= 1
            raise ConnectionError("the database is away")
        wait = RegisterWait.model_validate(request)
        self.registered.append(wait)
        return {
            "wait_id": wait.wait_id,
            "correlation_key": str(wait.correlation_key),
            "status": self.status,
            "matched_events": 0,
        }

    @activity.defn(name=CLOSE_WAIT)
    async def close(self, request: dict[str, Any]) -> dict[str, Any]:
        closing = CloseWait.model_validate(request)
        self.closed.append(closing)
        await self.closing_may_end.wait()
        return {"wait_id": closing.wait_id, "status": "closed"}

    @activity.defn(name=CLOSE_WAITS)
    async def close_together(self, request: dict[str, Any]) -> dict[str, Any]:
        closings = CloseWaits.model_validate(request).closings
        self.batches.append(len(closings))
        self.closed.extend(closings)
        await self.closing_may_end.wait()
        return {"waits": [{"wait_id": each.wait_id, "status": "closed"} for each in closings]}

    @property
    def activities(self) -> list[Any]:
        together = [] if self.older else [self.close_together]
        return [self.register, self.close, *together]

    async def start(self, run: Any, **waiting: Any) -> WorkflowHandle[Any, Any]:
        return await self.client.start_workflow(
            run,
            Waiting(self.queue, **waiting),
            id=f"sdk-{uuid4().hex}",
            task_queue=self.queue,
        )

    async def wait_registered(
        self, event_name: str | None = None, *, number: int = 1
    ) -> RegisterWait:
        """The wait registered as the given number (of that event name)."""

        def those() -> list[RegisterWait]:
            return [w for w in self.registered if event_name in {None, w.event_name}]

        await wait_until(lambda: len(those()) >= number, description="the wait is registered")
        return those()[number - 1]

    async def signal(self, wait: RegisterWait, event_id: str, **payload: Any) -> None:
        """Signal an event to a wait. Each call is a request of its own, as after a reset."""
        signal = EventSignal(
            waitId=wait.wait_id,
            eventId=event_id,
            eventName=wait.event_name,
            correlationKey=str(wait.correlation_key),
            payload=payload,
            receivedAt=datetime.now(UTC),
            deliveryId=f"delivery-of-{event_id}",
        )
        handle = self.client.get_workflow_handle(wait.workflow_id)
        await handle.signal(wait.signal, signal.model_dump(mode="json"))

    def dispositions(self) -> list[tuple[str, str | None]]:
        """What workflows said of events and waits, in order."""
        return [(str(closing.disposition), closing.event_id) for closing in self.closed]


@asynccontextmanager
async def fake_service_alone(temporal: TemporalTarget) -> AsyncIterator[FakeService]:
    """The stand-in on the service's own task queue, in a namespace that nobody else uses.

    For workers of the examples, which use the task queues that their READMEs name.
    """
    client = await a_namespace(temporal)
    service = FakeService(client, TASK_QUEUE)
    async with Worker(client, task_queue=TASK_QUEUE, activities=service.activities):
        yield service


@asynccontextmanager
async def fake_service(
    client: Client,
    queue: str,
    *,
    max_cached_workflows: int = 100,
    older: bool = False,
    workflows: Sequence[type] = WORKFLOWS,
) -> AsyncIterator[FakeService]:
    """The stand-in and a worker with the tests' workflows, on one task queue."""
    service = FakeService(client, queue, older=older)
    async with Worker(
        client,
        task_queue=queue,
        workflows=workflows,
        activities=service.activities,
        max_cached_workflows=max_cached_workflows,
        workflow_runner=SandboxTriedOnce(),
    ):
        yield service
