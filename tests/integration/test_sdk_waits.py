"""Waiting inside a workflow, on a real Temporal server, in the sandbox."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from pointsman.contract import Cardinality, WaitKind
from tests.integration.fake_service import FakeService
from tests.integration.sdk_workflows import (
    AllOfTwo,
    FilteredEvent,
    FirstOfTwo,
    OneEvent,
    ScopedWait,
    StreamOfEvents,
    TwoEventsInTurn,
    WaitThenLinger,
)
from tests.waiting import wait_until


async def test_an_event_resumes_the_workflow_that_waits_for_it(service: FakeService) -> None:
    handle = await service.start(OneEvent.run, lookback_seconds=60.0)
    wait = await service.wait_registered()

    await service.signal(wait, "paid-1", amount=12)

    event = await handle.result()
    assert event.event_id == "paid-1"
    assert event.payload == {"amount": 12}
    assert event.wait_id == wait.wait_id
    assert event.delivery_id == "delivery-of-paid-1"
    assert service.dispositions() == [("accepted", "paid-1")]


async def test_a_registration_says_all_that_the_contract_asks_for(service: FakeService) -> None:
    handle = await service.start(OneEvent.run, key=42, tenant="acme", lookback_seconds=90.0)

    wait = await service.wait_registered()

    assert (wait.tenant, wait.event_name, wait.correlation_key) == ("acme", "INVOICE_PAID", 42)
    assert (wait.workflow_id, wait.run_id) == (handle.id, handle.first_execution_run_id)
    assert (wait.kind, wait.cardinality) == (WaitKind.EVENT, Cardinality.ALL)
    assert wait.lookback_seconds == 90.0
    assert wait.expires_at is not None
    await handle.cancel()


async def test_a_workflow_that_gets_two_equal_signals_resumes_once(service: FakeService) -> None:
    handle = await service.start(TwoEventsInTurn.run)
    first = await service.wait_registered()

    await service.signal(first, "paid-1")
    await service.signal(first, "paid-1")
    second = await service.wait_registered(number=2)
    await service.signal(first, "paid-1")
    await service.signal(second, "paid-2")

    assert await handle.result() == ["paid-1", "paid-2"]
    assert service.dispositions() == [("accepted", "paid-1"), ("accepted", "paid-2")]


async def test_a_signal_for_an_unknown_wait_is_ignored(service: FakeService) -> None:
    handle = await service.start(OneEvent.run)
    wait = await service.wait_registered()

    await service.signal(wait.model_copy(update={"wait_id": "of another run"}), "paid-0")
    await handle.signal("pointsman.event", "not an event at all")
    await handle.signal("pointsman.event")
    await service.signal(wait, "paid-1")

    assert (await handle.result()).event_id == "paid-1"


async def test_an_event_that_the_filter_refuses_leaves_the_wait_open(service: FakeService) -> None:
    handle = await service.start(FilteredEvent.run)
    wait = await service.wait_registered()

    await service.signal(wait, "small", amount=1)
    await service.signal(wait, "large", amount=1000)

    assert await handle.result() == "large"
    assert wait.filter == "The amount is over 100"
    assert service.dispositions() == [("filtered", "small"), ("accepted", "large")]


async def test_a_filter_that_raises_fails_its_wait_and_withdraws_it(service: FakeService) -> None:
    handle = await service.start(FilteredEvent.run, rounds=2)
    wait = await service.wait_registered()

    await service.signal(wait, "strange")
    await wait_until(lambda: service.closed, description="the wait is withdrawn")
    await handle.signal(FilteredEvent.end)

    assert await handle.result() == "filter failed on 'amount'"
    assert service.dispositions() == [("cancelled", None)]


async def test_a_time_out_withdraws_the_wait_and_fails_the_workflow_with_its_type(
    service: FakeService,
) -> None:
    handle = await service.start(OneEvent.run, timeout_seconds=0.3)

    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()

    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "EventWaitTimeout"
    assert "INVOICE_PAID '4711'" in failure.value.cause.message
    assert service.dispositions() == [("timed_out", None)]


async def test_a_time_out_in_the_past_fails_at_once_and_registers_nothing(
    service: FakeService,
) -> None:
    handle = await service.start(OneEvent.run, timeout_seconds=-1.0)

    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()

    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "EventWaitTimeout"
    assert service.attempts == 0


async def test_a_cancelled_workflow_withdraws_its_wait(service: FakeService) -> None:
    handle = await service.start(OneEvent.run)
    await service.wait_registered()

    await handle.cancel()

    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()
    assert isinstance(failure.value.cause, CancelledError)
    assert service.dispositions() == [("cancelled", None)]


async def test_a_cancelled_scope_withdraws_its_wait_and_the_run_goes_on(
    service: FakeService,
) -> None:
    handle = await service.start(ScopedWait.run)
    await service.wait_registered()

    await handle.signal(ScopedWait.give_up)

    assert await handle.result() == "cancelled"
    assert service.dispositions() == [("cancelled", None)]


async def test_a_cancellation_takes_the_acceptance_of_an_event_back(service: FakeService) -> None:
    service.closing_may_end.clear()
    handle = await service.start(OneEvent.run)
    await service.signal(await service.wait_registered(), "paid-1")
    await wait_until(lambda: service.closed, description="the event is being accepted")

    await handle.cancel()
    service.closing_may_end.set()

    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()
    assert isinstance(failure.value.cause, CancelledError)
    returned = [("returned", "paid-1"), ("cancelled", None)]
    assert service.dispositions() == [("accepted", "paid-1"), *returned]


async def test_the_first_of_two_events_withdraws_the_other_wait(service: FakeService) -> None:
    handle = await service.start(FirstOfTwo.run)
    await service.wait_registered("QUOTE_ACCEPTED")
    rejected = await service.wait_registered("QUOTE_REJECTED")

    await service.signal(rejected, "rejected-1")

    assert await handle.result() == "QUOTE_REJECTED rejected-1"
    assert service.dispositions() == [("accepted", "rejected-1"), ("cancelled", None)]
    assert service.closed[0].wait_id == rejected.wait_id
    assert service.closed[1].wait_id != rejected.wait_id


async def test_all_events_are_returned_in_the_order_of_their_waits(service: FakeService) -> None:
    handle = await service.start(AllOfTwo.run)
    approved = await service.wait_registered("PROJECT_APPROVED")
    staffed = await service.wait_registered("PROJECT_STAFFED")

    await service.signal(staffed, "staffed-1")
    await wait_until(lambda: service.closed, description="the first event is accepted")
    await service.signal(approved, "approved-1")

    assert await handle.result() == ["approved-1", "staffed-1"]
    assert service.dispositions() == [("accepted", "staffed-1"), ("accepted", "approved-1")]


async def test_a_time_out_of_all_names_the_events_that_came(service: FakeService) -> None:
    handle = await service.start(AllOfTwo.run, timeout_seconds=4.0)
    staffed = await service.wait_registered("PROJECT_STAFFED")

    await service.signal(staffed, "staffed-1")

    assert await handle.result() == ["timed out", "staffed-1"]
    assert service.dispositions() == [("accepted", "staffed-1"), ("timed_out", None)]


async def test_a_stream_brings_every_event_once_and_in_order(service: FakeService) -> None:
    handle = await service.start(StreamOfEvents.run, rounds=3)
    wait = await service.wait_registered()

    for event_id in ("b-1", "b-2", "b-1", "b-3"):
        await service.signal(wait, event_id)
    await wait_until(lambda: len(service.closed) == 4, description="the stream is closed")
    await handle.signal(StreamOfEvents.end)

    assert await handle.result() == ["b-1", "b-2", "b-3"]
    assert wait.kind is WaitKind.STREAM
    assert service.dispositions() == [
        ("accepted", "b-1"),
        ("accepted", "b-2"),
        ("accepted", "b-3"),
        ("accepted", None),
    ]


async def test_a_silent_stream_times_out(service: FakeService) -> None:
    handle = await service.start(StreamOfEvents.run, rounds=2, timeout_seconds=0.5)

    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()

    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "EventWaitTimeout"
    assert service.dispositions() == [("timed_out", None)]


async def test_an_event_for_a_closed_wait_is_reported_late_and_only_once(
    service: FakeService,
) -> None:
    handle = await service.start(WaitThenLinger.run)
    wait = await service.wait_registered()
    await service.signal(wait, "paid-1")
    await wait_until(lambda: service.closed, description="the event is accepted")

    await service.signal(wait, "paid-2")
    await service.signal(wait, "paid-2")
    await service.signal(wait, "paid-3")

    await wait_until(lambda: len(service.closed) == 3, description="late events are reported")
    await handle.signal(WaitThenLinger.end)
    assert await handle.result() == "paid-1"
    assert service.dispositions()[0] == ("accepted", "paid-1")
    assert sorted(service.dispositions()[1:]) == [("late", "paid-2"), ("late", "paid-3")]


async def test_an_event_after_the_time_out_is_reported_late(service: FakeService) -> None:
    handle = await service.start(WaitThenLinger.run, timeout_seconds=2.0)
    wait = await service.wait_registered()
    await wait_until(lambda: service.closed, description="the time-out is reported")

    await service.signal(wait, "paid-1")

    await wait_until(lambda: len(service.closed) == 2, description="the late event is reported")
    await handle.signal(WaitThenLinger.end)
    assert await handle.result() == "nothing"
    assert service.dispositions() == [("timed_out", None), ("late", "paid-1")]


async def test_a_registration_is_tried_again_over_an_outage(service: FakeService) -> None:
    service.failures_left = 2
    handle = await service.start(OneEvent.run)

    wait = await service.wait_registered()
    await service.signal(wait, "paid-1")

    assert (await handle.result()).event_id == "paid-1"
    assert service.attempts == 3


async def test_a_time_out_ends_the_wait_while_its_registration_is_still_tried(
    service: FakeService,
) -> None:
    service.failures_left = 1000
    handle = await service.start(OneEvent.run, timeout_seconds=1.0)

    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()

    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "EventWaitTimeout"
    assert service.registered == []
    assert service.dispositions() == [("timed_out", None)]


async def test_a_run_that_is_reset_waits_anew_under_an_id_of_its_own(service: FakeService) -> None:
    handle = await service.start(OneEvent.run)
    before = await service.wait_registered()
    await service.signal(before, "paid-1")
    await handle.result()

    await service.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=service.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            reason="to see it wait again",
            # The end of the first workflow task, which registers the wait.
            workflow_task_finish_event_id=4,
            request_id=handle.id,
        )
    )
    after = await service.wait_registered(number=2)
    await service.signal(before, "paid-2")
    await service.signal(after, "paid-3")

    again = service.client.get_workflow_handle_for(OneEvent.run, handle.id)
    assert (await again.result()).event_id == "paid-3"
    assert after.wait_id != before.wait_id


@pytest.mark.parametrize("refusal", ["InvalidWait", "WaitConflict"])
async def test_a_refused_wait_is_a_typed_error(service: FakeService, refusal: str) -> None:
    service.refusal = ApplicationError("correlation_key: is blank", type=refusal)
    handle = await service.start(OneEvent.run)

    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()

    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "EventWaitRefused"
    assert failure.value.cause.message == "correlation_key: is blank"
    assert service.attempts == 1
    assert service.closed == []


async def test_a_key_that_json_cannot_carry_is_refused_before_anything_is_sent(
    service: FakeService,
) -> None:
    handle = await service.start(OneEvent.run, key=10**64)

    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()

    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "EventWaitRefused"
    assert "more than 64 digits" in failure.value.cause.message
    assert service.attempts == 0
