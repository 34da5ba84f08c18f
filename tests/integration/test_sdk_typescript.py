"""The example in TypeScript waits, gives up and is cancelled through the contract alone."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError
from temporalio.worker import Worker

from pointsman import contract
from tests.conftest import TemporalTarget
from tests.integration.fake_service import FakeService
from tests.namespaces import a_namespace
from tests.typescript_example import (
    BUILD_TIMEOUT_SECONDS,
    TASK_QUEUE,
    build_typescript_example,
    typescript_worker,
)
from tests.waiting import wait_until


async def start(
    service: FakeService, invoice: str, timeout_seconds: float
) -> WorkflowHandle[Any, Any]:
    argument = {"tenant": "acme", "invoice_id": invoice, "timeout_seconds": timeout_seconds}
    return await service.client.start_workflow(
        "AwaitInvoice", argument, id=f"await-{uuid4().hex}", task_queue=TASK_QUEUE
    )


@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
async def test_a_workflow_in_typescript_waits_through_the_activities_and_the_signal_alone(
    temporal: TemporalTarget,
) -> None:
    folder = await build_typescript_example()
    client = await a_namespace(temporal)
    service = FakeService(client, contract.TASK_QUEUE)
    activities = [service.register, service.close]

    async with (
        Worker(client, task_queue=contract.TASK_QUEUE, activities=activities),
        typescript_worker(folder, client),
    ):
        paid = await start(service, "I-1", 600)
        wait = await service.wait_registered()
        await service.signal(wait.model_copy(update={"wait_id": "another"}), "paid-0")
        await service.signal(wait, "paid-1")
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
