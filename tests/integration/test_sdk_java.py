"""The example in Java waits, gives up and is cancelled through the contract alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError

from pointsman import contract
from tests.conftest import TemporalTarget
from tests.integration.awaited_invoice import (
    assert_it_is_paid_expired_and_cancelled,
    await_invoice,
)
from tests.integration.fake_service import FakeService, fake_service_alone
from tests.java_example import (
    BUILD_TIMEOUT_SECONDS,
    TASK_QUEUE,
    build_java_example,
    java_worker,
)

# One of them builds it, whichever comes first.
pytestmark = pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)


@pytest.fixture
async def java_example() -> Path:
    return await build_java_example()


@pytest.fixture
async def service(temporal: TemporalTarget) -> AsyncIterator[FakeService]:
    async with fake_service_alone(temporal) as service:
        yield service


async def test_a_workflow_in_java_waits_through_the_activities_and_the_signal_alone(
    java_example: Path, service: FakeService
) -> None:
    service.failures_left = 1

    async with java_worker(java_example, service.client):
        await assert_it_is_paid_expired_and_cancelled(service, TASK_QUEUE)


async def test_a_wait_that_is_refused_fails_the_workflow_in_java(
    java_example: Path, service: FakeService
) -> None:
    service.refusal = ApplicationError("no such tenant", type="InvalidWait")

    async with java_worker(java_example, service.client):
        refused = await await_invoice(service, TASK_QUEUE, "I-1", 600)
        with pytest.raises(WorkflowFailureError) as failure:
            await refused.result()

    assert isinstance(failure.value.cause, ActivityError)
    assert (service.attempts, service.closed) == (1, [])


async def test_a_wait_in_java_is_taken_over_by_another_worker(
    java_example: Path, service: FakeService
) -> None:
    async with java_worker(java_example, service.client):
        paid = await await_invoice(service, TASK_QUEUE, "I-1", 600)
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
