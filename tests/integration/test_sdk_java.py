"""The example in Java waits, gives up and is cancelled through the contract alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.worker import Worker

from pointsman import contract
from tests.conftest import TemporalTarget
from tests.integration.fake_service import FakeService
from tests.java_example import (
    BUILD_TIMEOUT_SECONDS,
    TASK_QUEUE,
    build_java_example,
    java_worker,
)
from tests.namespaces import a_namespace
from tests.waiting import wait_until

# One of them builds it, whichever comes first.
pytestmark = pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)


@pytest.fixture
async def java_example() -> Path:
    return await build_java_example()


@pytest.fixture
async def service(temporal: TemporalTarget) -> AsyncIterator[FakeService]:
    client = await a_namespace(temporal)
    service = FakeService(client, contract.TASK_QUEUE)
    activities = [service.register, service.close]
    async with Worker(client, task_queue=contract.TASK_QUEUE, activities=activities):
        yield service


async def start(
    service: FakeService, invoice: str, timeout_seconds: float
) -> WorkflowHandle[Any, Any]:
    argument = {"tenant": "acme", "invoice_id": invoice, "timeout_seconds": timeout_seconds}
    return await service.client.start_workflow(
        "AwaitInvoice", argument, id=f"await-{uuid4().hex}", task_queue=TASK_QUEUE
    )


async def test_a_workflow_in_java_waits_through_the_activities_and_the_signal_alone(
    java_example: Path, service: FakeService
) -> None:
    async with java_worker(java_example, service.client):
        service.failures_left = 1
        paid = await start(service, "I-1", 600)
        wait = await service.wait_registered()
        await service.signal(wait.model_copy(update={"wait_id": "another"}), "paid-0")
        await service.signal(wait, "paid-1", amount=12)
        assert await paid.result() == {"status": "paid", "event_id": "paid-1"}

        expired = await start(service, "I-2", 0.5)
        assert await expired.result() == {"status": "expired", "event_id": None}

        cancelled = await start(service, "I-3", 600)
        await wait_until(
            lambda: "I-3" in [each.correlation_key for each in service.registered],
            description="the third wait is registered",
        )
        await cancelled.cancel()
        with pytest.raises(WorkflowFailureError) as failure:
            await cancelled.result()

    assert isinstance(failure.value.cause, CancelledError)
    assert (wait.event_name, wait.lookback_seconds) == ("INVOICE_PAID", 600)
    expected = [("accepted", "paid-1"), ("timed_out", None), ("cancelled", None)]
    assert service.dispositions() == expected


async def test_a_wait_that_is_refused_fails_the_workflow_in_java(
    java_example: Path, service: FakeService
) -> None:
    service.refusal = ApplicationError("no such tenant", type="InvalidWait")

    async with java_worker(java_example, service.client):
        refused = await start(service, "I-1", 600)
        with pytest.raises(WorkflowFailureError) as failure:
            await refused.result()

    assert isinstance(failure.value.cause, ActivityError)
    assert (service.attempts, service.closed) == (1, [])


async def test_a_wait_in_java_is_taken_over_by_another_worker(
    java_example: Path, service: FakeService
) -> None:
    async with java_worker(java_example, service.client):
        paid = await start(service, "I-1", 600)
        wait = await service.wait_registered()

    async with java_worker(java_example, service.client):
        of_a_later_version = {
            "waitId": wait.wait_id,
            "eventId": "paid-1",
            "eventName": wait.event_name,
            "correlationKey": "I-1",
            "payload": {},
            "receivedAt": "2026-11-21T20:00:00.123456+00:00",
            "deliveryId": "delivery-of-paid-1",
            "addedLater": True,
        }
        await paid.signal(contract.EVENT_SIGNAL, of_a_later_version)
        assert await paid.result() == {"status": "paid", "event_id": "paid-1"}

    assert service.dispositions() == [("accepted", "paid-1")]
