"""The examples run as their README says, the one in Go among them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError
from temporalio.worker import Worker

from correlation.task_form import form_text
from examples.worker import TASK_QUEUE, WORKFLOWS
from pointsman import contract
from tests.conftest import TemporalTarget
from tests.go_example import BUILD_TIMEOUT_SECONDS, GO_TASK_QUEUE, build_go_example, go_worker
from tests.integration.fake_service import FakeService, fake_service_alone
from tests.sandbox import SandboxTriedOnce


@pytest.fixture
async def service(temporal: TemporalTarget) -> AsyncIterator[FakeService]:
    async with fake_service_alone(temporal) as service:
        yield service


@pytest.fixture
async def examples(service: FakeService) -> AsyncIterator[FakeService]:
    async with Worker(
        service.client,
        task_queue=TASK_QUEUE,
        workflows=WORKFLOWS,
        workflow_runner=SandboxTriedOnce(),
    ):
        yield service


@pytest.fixture
async def go_example(tmp_path: Path) -> Path:
    return await build_go_example(tmp_path)


async def start(
    service: FakeService, workflow: str, *, queue: str = TASK_QUEUE, **values: Any
) -> WorkflowHandle[Any, Any]:
    values = {"tenant": "acme", "timeout_seconds": 30, **values}
    return await service.client.start_workflow(
        workflow, values, id=f"{workflow}-{uuid4().hex}", task_queue=queue
    )


async def test_a_client_is_onboarded_by_a_person_and_a_contract(examples: FakeService) -> None:
    handle = await start(examples, "OnboardingWorkflow", client_id="C-1", name="Rohrwerke")
    asked = await examples.wait_registered(contract.HUMAN_TASK_COMPLETED)
    answer = {"approved": True, "credit_limit": 25_000}
    await examples.signal(asked, "task-1", taskId=asked.wait_id, answer=answer, completedBy="ada")
    signed = await examples.wait_registered("CONTRACT_SIGNED")

    await examples.signal(signed, "signed-1")

    assert asked.task is not None
    assert form_text(asked.task.form or {}), "the service takes the form"
    assert await handle.result() == {
        "client_id": "C-1",
        "approved_by": "ada",
        "status": "onboarded",
        "event_id": "signed-1",
    }


async def test_a_paid_invoice_completes_its_order(examples: FakeService) -> None:
    handle = await start(examples, "OrderWorkflow", order_id="O-1", invoice_id="I-1")
    wait = await examples.wait_registered()

    await examples.signal(wait, "paid-1")

    assert (wait.event_name, wait.correlation_key) == ("INVOICE_PAID", "I-1")
    assert await handle.result() == {"order_id": "O-1", "status": "paid", "event_id": "paid-1"}


async def test_an_order_that_nobody_pays_expires(examples: FakeService) -> None:
    handle = await start(
        examples, "OrderWorkflow", order_id="O-1", invoice_id="I-1", timeout_seconds=0.3
    )

    assert await handle.result() == {"order_id": "O-1", "status": "expired", "event_id": None}


async def test_a_ticket_is_answered_by_the_customer_and_not_by_a_colleague(
    examples: FakeService,
) -> None:
    handle = await start(examples, "TicketWorkflow", ticket_id="T-1")
    wait = await examples.wait_registered()

    await examples.signal(wait, "comment-1", author="agent")
    await examples.signal(wait, "comment-2", author="customer")

    answered = {"ticket_id": "T-1", "status": "answered", "event_id": "comment-2"}
    assert await handle.result() == answered


async def test_a_quote_ends_with_the_first_answer(examples: FakeService) -> None:
    handle = await start(examples, "QuoteWorkflow", quote_id="Q-1")
    wait = await examples.wait_registered("QUOTE_REJECTED")

    await examples.signal(wait, "no-1")

    assert await handle.result() == {"quote_id": "Q-1", "status": "rejected", "event_id": "no-1"}


async def test_a_project_starts_when_it_is_approved_and_staffed(examples: FakeService) -> None:
    handle = await start(examples, "ProjectWorkflow", project_id="P-1")

    await examples.signal(await examples.wait_registered("PROJECT_STAFFED"), "staffed-1")
    await examples.signal(await examples.wait_registered("PROJECT_APPROVED"), "approved-1")

    started = {"project_id": "P-1", "status": "started", "event_ids": ["approved-1", "staffed-1"]}
    assert await handle.result() == started


async def test_appointments_are_counted_until_there_are_enough(examples: FakeService) -> None:
    handle = await start(
        examples, "AppointmentsWorkflow", client_id="C-1", appointments=2, idle_seconds=30
    )
    wait = await examples.wait_registered()

    await examples.signal(wait, "booked-1")
    await examples.signal(wait, "booked-2")

    complete = {"client_id": "C-1", "status": "complete", "event_ids": ["booked-1", "booked-2"]}
    assert await handle.result() == complete


@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
async def test_a_workflow_in_go_waits_through_the_activities_and_the_signal_alone(
    service: FakeService, go_example: Path
) -> None:
    async with go_worker(go_example, service.client):
        handle = await start(service, "AwaitInvoice", queue=GO_TASK_QUEUE, invoice_id="I-1")
        wait = await service.wait_registered()

        await service.signal(wait.model_copy(update={"wait_id": "another"}), "paid-0")
        await service.signal(wait, "paid-1")

        assert await handle.result() == {"status": "paid", "event_id": "paid-1"}
        assert (wait.event_name, wait.lookback_seconds) == ("INVOICE_PAID", 600)
        assert service.dispositions() == [("accepted", "paid-1")]


@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
async def test_a_workflow_in_go_withdraws_its_wait_when_its_time_is_over(
    service: FakeService, go_example: Path
) -> None:
    async with go_worker(go_example, service.client):
        handle = await start(
            service, "AwaitInvoice", queue=GO_TASK_QUEUE, invoice_id="I-1", timeout_seconds=0.5
        )

        assert await handle.result() == {"status": "expired", "event_id": None}
        assert service.dispositions() == [("timed_out", None)]


@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
async def test_a_cancelled_workflow_in_go_withdraws_its_wait(
    service: FakeService, go_example: Path
) -> None:
    async with go_worker(go_example, service.client):
        handle = await start(service, "AwaitInvoice", queue=GO_TASK_QUEUE, invoice_id="I-1")
        await service.wait_registered()

        await handle.cancel()

        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
        assert isinstance(failure.value.cause, CancelledError)
        assert service.dispositions() == [("cancelled", None)]
