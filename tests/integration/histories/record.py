"""Records the histories that the replay test replays.

    python -m tests.integration.histories.record NAME…

Run it only when a *new* way to wait is added. A recorded history is a promise to workflows that are
running somewhere: a change of the SDK that no longer replays one would break them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from tests.integration.fake_service import FakeService, fake_service
from tests.integration.sdk_workflows import (
    WORKFLOWS,
    AllOfTwo,
    AskedOverRuns,
    AskedPerson,
    FilteredEvent,
    FirstOfTwo,
    OneEvent,
    StreamContinuedAsNew,
    StreamOfEvents,
    WaitThenLinger,
)
from tests.integration.taking_workflows import TAKING, TypedPayload
from tests.waiting import wait_until
from worker.embedded import Part, embedded_servers

FOLDER = Path(__file__).parent
QUEUE = "recording"

Handle: TypeAlias = WorkflowHandle[Any, Any]


async def one_event(service: FakeService) -> Handle:
    handle = await service.start(OneEvent.run, lookback_seconds=60.0)
    await service.signal(await service.wait_registered(), "paid-1", amount=12)
    return handle


async def outage(service: FakeService) -> Handle:
    service.failures_left = 1
    return await one_event(service)


async def timed_out(service: FakeService) -> Handle:
    return await service.start(OneEvent.run, timeout_seconds=0.3)


async def cancelled(service: FakeService) -> Handle:
    handle = await service.start(OneEvent.run)
    await service.wait_registered()
    await handle.cancel()
    return handle


async def filtered(service: FakeService) -> Handle:
    handle = await service.start(FilteredEvent.run)
    wait = await service.wait_registered()
    await service.signal(wait, "small", amount=1)
    await service.signal(wait, "large", amount=1000)
    return handle


async def first_of(service: FakeService) -> Handle:
    handle = await service.start(FirstOfTwo.run)
    await service.wait_registered("QUOTE_ACCEPTED")
    await service.signal(await service.wait_registered("QUOTE_REJECTED"), "rejected-1")
    return handle


async def all_of(service: FakeService) -> Handle:
    handle = await service.start(AllOfTwo.run)
    await service.signal(await service.wait_registered("PROJECT_STAFFED"), "staffed-1")
    await service.signal(await service.wait_registered("PROJECT_APPROVED"), "approved-1")
    return handle


async def stream(service: FakeService) -> Handle:
    handle = await service.start(StreamOfEvents.run, rounds=2)
    wait = await service.wait_registered()
    for event_id in ("b-1", "b-1", "b-2"):
        await service.signal(wait, event_id)
    await handle.signal(StreamOfEvents.end)
    return handle


async def late(service: FakeService) -> Handle:
    handle = await service.start(WaitThenLinger.run)
    wait = await service.wait_registered()
    await service.signal(wait, "paid-1")
    await wait_until(lambda: service.closed, description="the event is accepted")
    await service.signal(wait, "paid-2")
    await wait_until(lambda: len(service.closed) == 2, description="the late event is reported")
    await handle.signal(WaitThenLinger.end)
    return handle


async def continued_as_new(service: FakeService) -> Handle:
    """The history of the second run: it restores the wait that the first one registered."""
    handle = await service.start(StreamContinuedAsNew.run, rounds=2)
    wait = await service.wait_registered()
    for event_id in ("b-1", "b-2"):
        await service.signal(wait, event_id)
    await wait_until(lambda: service.closed, description="the first event is accepted")
    await handle.signal(StreamContinuedAsNew.go_on)
    await handle.result()
    return service.client.get_workflow_handle(handle.id)


async def human_task(service: FakeService) -> Handle:
    handle = await service.start(AskedPerson.run)
    wait = await service.wait_registered()
    answer = {"taskId": wait.wait_id, "answer": {"approved": True}, "completedBy": "token:ada"}
    await service.signal(wait, "human-task-1", **answer)
    return handle


async def human_task_timed_out(service: FakeService) -> Handle:
    return await service.start(AskedPerson.run, timeout_seconds=0.3)


async def human_task_continued_as_new(service: FakeService) -> Handle:
    """The history of the second run: it takes up the task that the first one asked for."""
    handle = await service.start(AskedOverRuns.run)
    wait = await service.wait_registered()
    await handle.signal(AskedOverRuns.go_on)
    await service.signal(wait, "human-task-1", taskId=wait.wait_id, answer={})
    await handle.result()
    return service.client.get_workflow_handle(handle.id)


async def batched_one_event(service: FakeService) -> Handle:
    return await one_event(service)


async def batched_stream(service: FakeService) -> Handle:
    service.closing_may_end.clear()
    handle = await service.start(StreamOfEvents.run, rounds=5)
    wait = await service.wait_registered()
    for number in range(5):
        await service.signal(wait, f"b-{number}")
    await handle.signal(StreamOfEvents.end)
    await wait_until(lambda: service.closed, description="the first event is reported")
    service.closing_may_end.set()
    return handle


async def batched_continued_as_new(service: FakeService) -> Handle:
    """The history of the second run: it reports what the first one could not."""
    service.closing_may_end.clear()
    handle = await service.start(StreamContinuedAsNew.run, rounds=2)
    wait = await service.wait_registered()
    await service.signal(wait, "b-1")
    await wait_until(lambda: service.closed, description="the first event is reported")
    await handle.signal(StreamContinuedAsNew.go_on)
    await service.signal(wait, "b-2")
    service.closing_may_end.set()
    await handle.result()
    return service.client.get_workflow_handle(handle.id)


async def given_back(service: FakeService) -> Handle:
    service.closing_may_end.clear()
    handle = await service.start(OneEvent.run)
    await service.signal(await service.wait_registered(), "paid-1")
    await wait_until(lambda: service.closed, description="the event is being accepted")
    await handle.cancel()
    service.closing_may_end.set()
    return handle


async def typed_payload(service: FakeService) -> Handle:
    handle = await service.start(TypedPayload.run)
    paid = await service.wait_registered("INVOICE_PAID")
    await service.signal(paid, "no amount")
    await service.signal(paid, "enough", amount=12)
    person = await service.wait_registered("PERSON_PAID")
    await service.signal(person, "ada", person="Ada")
    return handle


SCENES: list[Callable[[FakeService], Awaitable[Handle]]] = [
    all_of,
    batched_continued_as_new,
    batched_one_event,
    batched_stream,
    cancelled,
    continued_as_new,
    filtered,
    first_of,
    given_back,
    human_task,
    human_task_continued_as_new,
    human_task_timed_out,
    late,
    one_event,
    outage,
    stream,
    timed_out,
    typed_payload,
]


async def record(client: Client, scene: Callable[[FakeService], Awaitable[Handle]]) -> None:
    async with fake_service(client, QUEUE, workflows=[*WORKFLOWS, *TAKING]) as service:
        handle = await scene(service)
        try:
            await handle.result(follow_runs=False)
        except WorkflowFailureError:
            print(f"{scene.__name__}: failed, as it should")  # noqa: T201 - a command's output
        history = await handle.fetch_history()
    text = json.dumps(without_traces(history.to_json_dict()), indent=1, sort_keys=True)
    (FOLDER / f"{scene.__name__}.json").write_text(text + "\n")


def without_traces(value: Any) -> Any:
    """The same without stack traces: they name folders of the machine that recorded."""
    if isinstance(value, dict):
        return {name: without_traces(v) for name, v in value.items() if name != "stackTrace"}
    return [without_traces(item) for item in value] if isinstance(value, list) else value


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with embedded_servers(Path(folder), parts=[Part.TEMPORAL], announce=print) as servers:
            # An identity names the machine unless it is given.
            client = await Client.connect(servers.temporal_address, identity="recorder")
            for scene in (scene for scene in SCENES if scene.__name__ in sys.argv[1:]):
                await record(client, scene)


if __name__ == "__main__":
    asyncio.run(main())
