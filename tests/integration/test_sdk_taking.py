"""An event is either in the hands of the code that waits for it, or free for others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from routing.run_reconcile import RunKey
from routing.temporal_tasks import TemporalTasks
from tests.conftest import TemporalTarget
from tests.integration.fake_service import FakeService, fake_service
from tests.integration.sdk_workflows import WORKFLOWS, StreamOfEvents, Waiting
from tests.integration.taking_workflows import (
    TAKING,
    BrokenFilter,
    BrokenStream,
    ContinuedBesideAWait,
    ContinuedWithCarry,
    ContinuedWithoutCarry,
    CorrectedFilter,
    CorrectedStream,
    DynamicHandler,
    DynamicHandlerBeside,
    GivenUp,
    ImpatientStream,
    InTurn,
    TimesOut,
    TypedPayload,
)
from tests.waiting import wait_until

WAYS = ["wait for", "timeout", "cancel", "beside a timer", "first of"]


@pytest.fixture(params=[100, 0], ids=["cached", "evicted"])
async def service(
    temporal: TemporalTarget, request: pytest.FixtureRequest
) -> AsyncIterator[FakeService]:
    client = await Client.connect(temporal.address, namespace=temporal.namespace)
    async with fake_service(
        client,
        temporal.task_queue,
        max_cached_workflows=request.param,
        workflows=[*WORKFLOWS, *TAKING],
    ) as service:
        yield service


@pytest.fixture
async def client(temporal: TemporalTarget) -> Client:
    return await Client.connect(temporal.address, namespace=temporal.namespace)


async def failed_task(handle: WorkflowHandle[object, object]) -> str:
    """What the run's workflow task fails with, as soon as it does."""

    async def text() -> str:
        return next(
            (
                event.workflow_task_failed_event_attributes.failure.message
                for event in (await handle.fetch_history()).events
                if event.HasField("workflow_task_failed_event_attributes")
            ),
            "",
        )

    return str(await wait_until(text, description="the workflow task has failed"))


@pytest.mark.parametrize("way", WAYS)
async def test_whoever_gives_up_before_the_event_is_accepted_has_not_accepted_it(
    service: FakeService, way: str
) -> None:
    service.closing_may_end.clear()
    handle = await service.start(GivenUp.run, received=[way])
    wait = await service.wait_registered("INVOICE_PAID")
    await service.signal(wait, "paid-1")
    await wait_until(lambda: service.closed, description="the event is being accepted")

    async def is_over() -> bool:
        history = await handle.fetch_history()
        return any(each.HasField("timer_fired_event_attributes") for each in history.events)

    await wait_until(is_over, description="the patience is over")
    service.closing_may_end.set()
    again = await service.wait_registered("INVOICE_PAID", number=2)
    await service.signal(again, "paid-1")

    assert await handle.result() == ["nobody", "paid-1"]
    said = [each for each in service.closed if each.wait_id == wait.wait_id]
    words = [(str(each.disposition), each.event_id) for each in said]
    returned = [("returned", "paid-1"), ("cancelled", None)]
    assert words == [("accepted", "paid-1"), *returned]
    assert service.closed[-1].wait_id == again.wait_id
    assert service.dispositions()[-1] == ("accepted", "paid-1")


async def test_what_came_of_all_is_given_back_when_the_others_are_given_up(
    service: FakeService,
) -> None:
    handle = await service.start(GivenUp.run, received=["all of"])
    wait = await service.wait_registered("INVOICE_PAID")
    await service.signal(wait, "paid-1")
    again = await service.wait_registered("INVOICE_PAID", number=2)
    await service.signal(again, "paid-1")

    assert await handle.result() == ["nobody", "paid-1"]
    said = [each for each in service.closed if each.wait_id == wait.wait_id]
    words = [(str(each.disposition), each.event_id) for each in said]
    assert words == [("accepted", "paid-1"), ("returned", "paid-1"), ("cancelled", None)]


async def test_an_answer_is_given_back_by_whom_it_does_not_reach(service: FakeService) -> None:
    service.closing_may_end.clear()
    handle = await service.start(GivenUp.run, received=["person"])
    task = await service.wait_registered()
    await service.signal(task, "answer-1", taskId=task.wait_id, answer={})
    await wait_until(lambda: service.closed, description="the answer is being accepted")

    async def is_over() -> bool:
        history = await handle.fetch_history()
        return any(each.HasField("timer_fired_event_attributes") for each in history.events)

    await wait_until(is_over, description="the patience is over")
    service.closing_may_end.set()

    assert await handle.result() == ["nobody"]
    returned = [("returned", "answer-1"), ("cancelled", None)]
    assert service.dispositions() == [("accepted", "answer-1"), *returned]


async def test_a_stream_hands_events_over_while_the_service_is_away(service: FakeService) -> None:
    service.closing_may_end.clear()
    handle = await service.start(ImpatientStream.run, rounds=3)
    wait = await service.wait_registered()
    for event_id in ("b-1", "b-2", "b-3"):
        await service.signal(wait, event_id)

    async def has_all() -> bool:
        history = await handle.fetch_history()
        return any(
            event.marker_recorded_event_attributes.marker_name for event in history.events
        ) and bool(service.closed)

    await wait_until(has_all, description="the first event is reported")
    service.closing_may_end.set()

    assert await handle.result() == ["b-1", "b-2", "b-3"]
    accepted = [("accepted", f"b-{number}") for number in (1, 2, 3)]
    assert service.dispositions() == [*accepted, ("accepted", None)]


async def test_events_of_a_stream_are_reported_many_at_once(service: FakeService) -> None:
    service.closing_may_end.clear()
    handle = await service.start(StreamOfEvents.run, rounds=50)
    wait = await service.wait_registered()
    for number in range(50):
        await service.signal(wait, f"b-{number}")
    await handle.signal(StreamOfEvents.end)
    await wait_until(lambda: service.closed, description="the first events are reported")
    service.closing_may_end.set()

    received = await handle.result()

    history = await handle.fetch_history()
    calls = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert received == [f"b-{number}" for number in range(50)]
    accepted = [("accepted", event_id) for event_id in received]
    assert service.dispositions() == [*accepted, ("accepted", None)]
    assert sum(service.batches) > 40
    assert len(calls) < 10


async def test_a_service_of_the_release_before_is_told_one_thing_at_a_time(
    client: Client, temporal: TemporalTarget
) -> None:
    async with fake_service(client, temporal.task_queue, older=True) as service:
        service.closing_may_end.clear()
        handle = await service.start(StreamOfEvents.run, rounds=5)
        wait = await service.wait_registered()
        for number in range(5):
            await service.signal(wait, f"b-{number}")
        await handle.signal(StreamOfEvents.end)
        await wait_until(lambda: service.closed, description="the first event is reported")
        service.closing_may_end.set()

        received = await handle.result()

    accepted = [("accepted", event_id) for event_id in received]
    assert service.dispositions() == [*accepted, ("accepted", None)]


@pytest.mark.parametrize(
    ("broken", "corrected", "expected"),
    [(BrokenFilter, CorrectedFilter, "paid-1"), (BrokenStream, CorrectedStream, "0")],
    ids=["filter", "stream"],
)
async def test_corrected_code_takes_the_event_that_the_code_before_failed_on(
    client: Client, temporal: TemporalTarget, broken: type, corrected: type, expected: str
) -> None:
    queue = temporal.task_queue
    async with fake_service(client, queue, workflows=[broken]) as service:
        handle = await service.start(broken.run, rounds=1)  # type: ignore[attr-defined]
        wait = await service.wait_registered()
        await service.signal(wait, "paid-1")
        failure = await failed_task(handle)
        told_before = list(service.closed)
        run = RunKey("acme", handle.id, str(handle.first_execution_run_id))
        shown = await TemporalTasks(client).failing_task(run)

    async with fake_service(client, queue, workflows=[corrected]) as service:
        result = await handle.result()

    assert shown is not None
    assert shown.message == f"KeyError: {failure}"
    assert await TemporalTasks(client).failing_task(run) is None
    assert "amount" in failure
    assert told_before == []
    assert result == expected
    assert service.dispositions()[0] == ("accepted", "paid-1")


async def test_what_is_none_of_the_model_is_filtered_and_said_so(service: FakeService) -> None:
    handle = await service.start(TypedPayload.run)
    paid = await service.wait_registered("INVOICE_PAID")
    await service.signal(paid, "no amount")
    await service.signal(paid, "no number", amount="many")
    await service.signal(paid, "too little", amount=1)
    await service.signal(paid, "enough", amount="12", secret="of nobody's business")
    person = await service.wait_registered("PERSON_PAID")
    await service.signal(person, "nobody", amount=3)
    await service.signal(person, "ada", person="Ada")

    amount, plain, name = await handle.result()

    assert (amount, name) == (12, "Ada")
    assert plain == {"amount": "12", "secret": "of nobody's business"}
    told = {each.event_id: (str(each.disposition), each.detail) for each in service.closed}
    assert told["no amount"] == ("filtered", "payload.amount: Field required")
    assert told["no number"][0] == "filtered"
    assert "payload.amount" in str(told["no number"][1])
    assert told["too little"] == ("filtered", None)
    assert told["nobody"] == ("filtered", "payload.person: Field required")
    assert told["ada"] == ("accepted", None)


@pytest.mark.parametrize("way", ["event", "stream", "all of", "person"])
async def test_a_time_out_is_final_unless_it_may_be_retried(service: FakeService, way: str) -> None:
    policy = RetryPolicy(maximum_attempts=2, initial_interval=timedelta(milliseconds=100))

    final, retried = [
        await service.client.start_workflow(
            TimesOut.run,
            Waiting(service.queue, key=way, rounds=rounds),
            id=f"{service.queue}-{way}-{rounds}",
            task_queue=service.queue,
            retry_policy=policy,
        )
        for rounds in (1, 2)
    ]
    with pytest.raises(WorkflowFailureError) as failure:
        await final.result()

    assert isinstance(failure.value.cause, ApplicationError)
    expected = "HumanTaskTimeout" if way == "person" else "EventWaitTimeout"
    assert failure.value.cause.type == expected
    assert await retried.result() == "ran again"


async def test_continuing_without_what_is_carried_is_refused_and_nothing_is_lost(
    client: Client, temporal: TemporalTarget
) -> None:
    queue = temporal.task_queue
    async with fake_service(client, queue, workflows=[ContinuedWithoutCarry]) as service:
        handle = await service.start(ContinuedWithoutCarry.run, rounds=8)
        wait = await service.wait_registered()
        for number in range(4):
            await service.signal(wait, f"b-{number}")
        failure = await failed_task(handle)
    async with fake_service(client, queue, workflows=[ContinuedWithCarry]) as service:
        for number in range(4, 8):
            await service.signal(wait, f"b-{number}")
        received = await handle.result()

    assert "carry()" in failure
    assert "restore(state)" in failure
    assert received == [f"b-{number}" for number in range(8)]


async def test_continuing_is_refused_also_where_another_task_waits(service: FakeService) -> None:
    handle = await service.start(ContinuedBesideAWait.run)

    failure = await failed_task(handle)

    assert "1 open wait (INVOICE_PAID)" in failure
    await handle.terminate()


async def test_a_dynamic_handler_takes_no_event_of_the_next_run(
    client: Client, temporal: TemporalTarget
) -> None:
    queue = temporal.task_queue
    async with fake_service(client, queue, workflows=[DynamicHandlerBeside]) as service:
        handle = await service.start(DynamicHandlerBeside.run, rounds=20)
        wait = await service.wait_registered()
        for number in range(20):
            await service.signal(wait, f"b-{number}")
        received = await handle.result()

    assert received == [f"b-{number}" for number in range(20)]


async def test_a_dynamic_handler_that_would_take_events_is_refused(
    client: Client, temporal: TemporalTarget
) -> None:
    queue = temporal.task_queue
    async with fake_service(client, queue, workflows=[DynamicHandler]) as service:
        handle = await service.start(DynamicHandler.run, rounds=8)
        wait = await service.wait_registered()
        for number in range(4):
            await service.signal(wait, f"b-{number}")
        failure = await failed_task(handle)
    async with fake_service(client, queue, workflows=[DynamicHandlerBeside]) as service:
        for number in range(4, 8):
            await service.signal(wait, f"b-{number}")
        received = await handle.result()

    assert "own_signals()" in failure
    assert received == [f"b-{number}" for number in range(8)]


@pytest.mark.parametrize(("lookback", "warnings"), [(0.0, 1), (60.0, 0)])
async def test_a_run_that_waits_anew_without_looking_back_is_warned_once(
    service: FakeService, caplog: pytest.LogCaptureFixture, lookback: float, warnings: int
) -> None:
    handle = await service.start(InTurn.run, rounds=3, lookback_seconds=lookback)
    for number in (1, 2, 3):
        wait = await service.wait_registered(number=number)
        await service.signal(wait, f"paid-{number}")

    await handle.result()

    said = [record for record in caplog.records if "waits again" in record.getMessage()]
    assert len(said) == warnings
