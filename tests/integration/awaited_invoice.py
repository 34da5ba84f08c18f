"""What the example's workflow `AwaitInvoice` does, whichever language it is written in."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError

from tests.integration.fake_service import FakeService
from tests.waiting import wait_until


async def await_invoice(
    service: FakeService, queue: str, invoice: str, timeout_seconds: float
) -> WorkflowHandle[Any, Any]:
    """Start the workflow on its worker's task queue."""
    argument = {"tenant": "acme", "invoice_id": invoice, "timeout_seconds": timeout_seconds}
    return await service.client.start_workflow(
        "AwaitInvoice", argument, id=f"await-{uuid4().hex}", task_queue=queue
    )


async def assert_it_is_paid_expired_and_cancelled(service: FakeService, queue: str) -> None:
    """One run after the other, each to its own end; the worker must be running."""
    paid = await await_invoice(service, queue, "I-1", 600)
    wait = await service.wait_registered()
    await service.signal(wait.model_copy(update={"wait_id": "another"}), "paid-0")
    await service.signal(wait, "paid-1", amount=12)
    assert await paid.result() == {"status": "paid", "event_id": "paid-1"}

    expired = await await_invoice(service, queue, "I-2", 0.5)
    assert await expired.result() == {"status": "expired", "event_id": None}

    cancelled = await await_invoice(service, queue, "I-3", 600)
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
