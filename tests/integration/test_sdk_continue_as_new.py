"""Waits that outlive their run: what `carry` and `restore` keep over continue-as-new."""

from __future__ import annotations

from temporalio.client import WorkflowHandle

from tests.integration.fake_service import FakeService
from tests.integration.sdk_workflows import StreamContinuedAsNew, WaitContinuedAsNew
from tests.waiting import wait_until


async def next_run(service: FakeService, handle: WorkflowHandle[object, object]) -> None:
    """Let the run continue as new, and wait until the next one is current."""
    current = service.client.get_workflow_handle(handle.id)
    before = (await current.describe()).run_id
    await current.signal("go_on")

    async def is_another() -> bool:
        return (await current.describe()).run_id != before

    await wait_until(is_another, description="the run has continued as new")


async def test_a_stream_goes_on_in_the_next_run_without_registering_again(
    service: FakeService,
) -> None:
    handle = await service.start(StreamContinuedAsNew.run, rounds=3)
    wait = await service.wait_registered()

    for number in (1, 2):
        await service.signal(wait, f"b-{number}")
        await next_run(service, handle)
    await service.signal(wait, "b-3")

    assert await handle.result() == ["b-1", "b-2", "b-3"]
    assert len(service.registered) == 1
    accepted = [("accepted", f"b-{number}") for number in (1, 2, 3)]
    # What was on its way when a run ended is reported by the next one, perhaps again.
    assert list(dict.fromkeys(service.dispositions())) == [*accepted, ("accepted", None)]


async def test_an_event_received_before_continuing_wakes_nothing_when_it_comes_again(
    service: FakeService,
) -> None:
    handle = await service.start(StreamContinuedAsNew.run, rounds=2)
    wait = await service.wait_registered()
    await service.signal(wait, "b-1")
    await next_run(service, handle)

    await service.signal(wait, "b-1")
    await service.signal(wait, "b-2")

    assert await handle.result() == ["b-1", "b-2"]


async def test_an_event_that_nobody_took_yet_is_carried_into_the_next_run(
    service: FakeService,
) -> None:
    handle = await service.start(StreamContinuedAsNew.run, rounds=3)
    wait = await service.wait_registered()
    for event_id in ("b-1", "b-2", "b-3"):
        await service.signal(wait, event_id)
    await wait_until(lambda: service.closed, description="the first event is accepted")

    await next_run(service, handle)
    await wait_until(lambda: len(set(service.dispositions())) == 2, description="so is the second")
    await next_run(service, handle)

    assert await handle.result() == ["b-1", "b-2", "b-3"]
    assert len(service.registered) == 1


async def test_an_open_wait_is_taken_up_by_the_next_run(service: FakeService) -> None:
    handle = await service.start(WaitContinuedAsNew.run)
    wait = await service.wait_registered()

    await next_run(service, handle)
    await service.signal(wait, "paid-1")

    assert await handle.result() == "paid-1"
    assert len(service.registered) == 1
    assert service.dispositions() == [("accepted", "paid-1")]


async def test_a_wait_not_yet_registered_is_registered_by_the_next_run_under_its_id(
    service: FakeService,
) -> None:
    service.failures_left = 2
    handle = await service.start(WaitContinuedAsNew.run)
    await wait_until(lambda: service.attempts >= 1, description="the first attempt was made")

    await next_run(service, handle)
    wait = await service.wait_registered()
    await service.signal(wait, "paid-1")

    event_id = await handle.result()
    assert event_id == "paid-1"
    assert wait.run_id == handle.first_execution_run_id
