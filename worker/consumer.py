"""The consumer loop: read, resolve, match and record, ack, hand to delivery. Nothing else.

Each of those is another room's business; this one keeps their order. An entry is acknowledged
after its record is committed and never before, so that a crash at any point repeats work and
loses none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, assert_never

from correlation.event import Event
from correlation.reason import Outcome, Reason
from correlation.resolution import resolve
from correlation.rules import Rules
from ingress.entry import Entry, EntrySource, Malformed, Reading, TrimmedEntry
from ingress.envelope import decode, raw_bytes
from routing.incoming import Delivery, IncomingEvent, Origin, RejectedEntry
from worker.recording import Recorder, Recording


class DeliverySink(Protocol):
    """Where recorded deliveries go."""

    async def submit(self, deliveries: Sequence[Delivery]) -> None:
        """Take over deliveries that were leased to this process."""
        ...

    def wake(self) -> None:
        """There are deliveries in the table to be claimed."""
        ...


class Consumer:
    """Joins the way in with the way out."""

    def __init__(
        self,
        source: EntrySource,
        recorder: Recorder,
        sink: DeliverySink,
        rules: Callable[[], Rules],
        *,
        max_entry_bytes: int,
    ) -> None:
        self._source = source
        self._recorder = recorder
        self._sink = sink
        self._rules = rules
        self._max_entry_bytes = max_entry_bytes

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping` is set; what was read by then is recorded and acknowledged."""
        stop = asyncio.create_task(stopping.wait())
        try:
            while not stop.done():
                read = asyncio.create_task(self._source.read())
                await asyncio.wait({read, stop}, return_when=asyncio.FIRST_COMPLETED)
                if read.done():
                    await self.settle(read.result())
                else:
                    await _cancelled(read)
        finally:
            stop.cancel()

    async def run_until_idle(self) -> None:
        """Consume until a read brings nothing."""
        while reading := await self._source.read():
            await self.settle(reading)

    async def settle(self, reading: Reading) -> None:
        """Record one reading, acknowledge it, then pass its deliveries on."""
        rules = self._rules()
        recordings = [self._decide(entry, rules) for entry in reading.entries]
        recordings += [_trimmed(entry) for entry in reading.trimmed]
        if not recordings:
            return
        recorded = await self._recorder.record(recordings)
        await self._source.acknowledge([*reading.entries, *reading.trimmed])
        await self._sink.submit(recorded.deliveries)
        if recorded.left_to_claim:
            self._sink.wake()

    def _decide(self, entry: Entry, rules: Rules) -> Recording:
        decoded = decode(entry.fields, max_bytes=self._max_entry_bytes)
        origin = Origin(entry.stream, entry.entry_id)
        match decoded:
            case Event():
                raw = partial(raw_bytes, entry.fields)
                resolution = resolve(decoded, rules)
                incoming = IncomingEvent(decoded, resolution, origin, rules.version, raw)
                return Recording(entry, incoming)
            case Malformed():
                return Recording(entry, _malformed(decoded, entry, origin, self._max_entry_bytes))
            case _:
                assert_never(decoded)


def _malformed(malformed: Malformed, entry: Entry, origin: Origin, limit: int) -> RejectedEntry:
    raw, detail = raw_bytes(entry.fields), malformed.detail
    if len(raw) > limit:
        raw, detail = raw[:limit], f"{detail}; only the first {limit} bytes are kept"
    return RejectedEntry(
        origin=origin,
        outcome=Outcome.MALFORMED,
        reason=malformed.reason,
        detail=detail,
        raw=raw,
        tenant=malformed.tenant or "",
        event_id=malformed.event_id,
        event_name=malformed.event_name,
    )


def _trimmed(entry: TrimmedEntry) -> Recording:
    rejected = RejectedEntry(
        origin=Origin(entry.stream, entry.entry_id),
        outcome=Outcome.REJECTED,
        reason=Reason.TRIMMED,
        detail="the entry was removed from the stream while it was pending; its content is lost",
        raw=b"",
    )
    return Recording(None, rejected)


async def _cancelled(task: asyncio.Task[Reading]) -> None:
    """Cancel a read. What it may have fetched stays pending and is claimed later."""
    task.cancel()
    await asyncio.wait({task})
