"""How fast one run takes the events of one stream, beside a workflow that takes raw signals."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from benchmarks.figures import Results
from benchmarks.scale import Scale
from benchmarks.stream_workflows import RawSignals, StreamOfEvents
from pointsman.contract import CLOSE_WAIT, CLOSE_WAITS, REGISTER_WAIT

PART: Final = "streams"
AT_ONCE: Final = 16


class Service:
    """Answers at once: what is measured is the run and its history, not the service."""

    def __init__(self) -> None:
        self.wait_id: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @activity.defn(name=REGISTER_WAIT)
    async def register(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer a registration."""
        self.wait_id.set_result(request["wait_id"])
        return {"status": "waiting"}

    @activity.defn(name=CLOSE_WAIT)
    async def close(self, _request: dict[str, Any]) -> dict[str, Any]:
        """Answer one report."""
        return {}

    @activity.defn(name=CLOSE_WAITS)
    async def close_together(self, _request: dict[str, Any]) -> dict[str, Any]:
        """Answer several reports."""
        return {}


@dataclass(frozen=True, slots=True)
class Taken:
    """What taking the events came to."""

    per_second: float
    events_each: float
    """Events of the run's history for each event taken."""


async def measure(client: Client, scale: Scale, results: Results) -> None:
    """Both workflows, one after the other."""
    count = scale.stream_events
    raw = await _taken(client, RawSignals, count)
    stream = await _taken(client, StreamOfEvents, count)
    for name, taken in (("raw signals", raw), ("event_stream", stream)):
        results.console.print(
            f"  {name}: {count} events, {taken.per_second:.0f} a second, "
            f"{taken.events_each:.2f} history events each"
        )
    for name, taken in (("raw signals", raw), ("event_stream", stream)):
        results.add(PART, f"{name}, events", taken.per_second, "1/s")
        results.add(PART, f"{name}, history events for each", taken.events_each, "")
    results.set_ratio("stream_to_raw_signals", stream.per_second / raw.per_second)


async def _taken(client: Client, kind: Any, count: int) -> Taken:
    queue = f"streams-{uuid.uuid4().hex}"
    service = Service()
    activities = [service.register, service.close, service.close_together]
    async with Worker(client, task_queue=queue, workflows=[kind], activities=activities):
        handle = await client.start_workflow(
            kind.run, args=[queue, count], id=queue, task_queue=queue
        )
        wait_id = "none" if kind is RawSignals else await service.wait_id
        started = time.perf_counter()
        await _signalled(handle, wait_id, count)
        await handle.result()
        seconds = time.perf_counter() - started
    history = await handle.fetch_history()
    kinds = Counter(event.event_type for event in history.events)
    return Taken(count / seconds, sum(kinds.values()) / count)


async def _signalled(handle: WorkflowHandle[Any, Any], wait_id: str, count: int) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async def signal(number: int) -> None:
        event = {
            "waitId": wait_id,
            "eventId": f"booked-{number}",
            "eventName": "BOOKED",
            "correlationKey": "one",
            "payload": {"number": number},
            "receivedAt": datetime.now(UTC).isoformat(),
            "deliveryId": str(number),
        }
        async with turns:
            await handle.signal("pointsman.event", event)

    await asyncio.gather(*(signal(number) for number in range(count)))
