"""What the part `streams` measures; apart, for Temporal's sandbox loads what stands beside it."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

from pointsman.workflow import event_stream


@workflow.defn
class RawSignals:
    """Takes signals by a handler of its own, and nothing else."""

    def __init__(self) -> None:
        self._taken = 0

    @workflow.run
    async def run(self, _queue: str, count: int) -> int:
        await workflow.wait_condition(lambda: self._taken >= count)
        return self._taken

    @workflow.signal(name="pointsman.event")
    def take(self, _event: dict[str, Any]) -> None:
        self._taken += 1


@workflow.defn
class StreamOfEvents:
    """Takes the events of a stream."""

    @workflow.run
    async def run(self, queue: str, count: int) -> int:
        taken = 0
        async with event_stream("BOOKED", key="one", tenant="acme", task_queue=queue) as bookings:
            while taken < count:
                await bookings.next()
                taken += 1
        return taken
