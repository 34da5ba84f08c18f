"""The consumer loop: read, resolve, match and record, ack, hand to delivery. Nothing else.

Each of those is another room's business; this one keeps their order. An entry is acknowledged
after its record is committed and never before, so that a crash at any point repeats work and
loses none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final, Literal, Protocol, TypeAlias, assert_never

from correlation.event import Event
from correlation.reason import Outcome, Reason
from correlation.resolution import resolve
from correlation.rules import Rules
from ingress.entry import (
    DeadlyEntry,
    Entry,
    EntrySource,
    Malformed,
    Pending,
    Reading,
    TrimmedEntry,
)
from ingress.envelope import decode, raw_bytes
from ingress.schemas import NO_SCHEMAS, PayloadSchemas
from routing.faults import DatabaseUnavailable, fault_of_entry
from routing.incoming import (
    Delivery,
    IncomingEvent,
    Origin,
    Recorded,
    RejectedEntry,
)
from worker.bounded.judge import Judge, PayloadJudge
from worker.bounded.workers import Workers
from worker.cancelling import cancel
from worker.insistence import Insistence
from worker.recording import Batch, Recorder, Recording, Refused, Undecided
from worker.schema_checks import UnjudgedEvent, checked
from worker.stream_tenant import kept_within

LAST_READ_SECONDS: Final = 0.25
"""So long a stop waits for the answer to a read that is under way."""
AT_A_STRETCH: Final = 50
"""Entries that are decided before the loop turns: a millisecond's work."""
MANY: Final = 500
"""So many entries at once are a backlog: the next are read while these are decided."""


Verdict: TypeAlias = tuple[Recorded, Sequence[Refused]]
"""What became of a batch, and what of it a healthy database refuses."""


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A reading that is decided: its record, then what follows from it."""

    recorded: asyncio.Task[Verdict]
    passed: asyncio.Task[None]
    before: asyncio.Task[None] | None
    """The passing on of the reading before."""


@dataclass(frozen=True, slots=True)
class _Unjudged:
    """An entry whose payload a worker has to judge."""

    entry: Entry
    event: UnjudgedEvent


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
        grace: timedelta = timedelta(seconds=5),
        schemas: PayloadSchemas = NO_SCHEMAS,
        tenant: str | None = None,
        judge: PayloadJudge | None = None,
    ) -> None:
        self._source = source
        self._recorder = recorder
        self._sink = sink
        self._rules = rules
        self._max_entry_bytes = max_entry_bytes
        self._grace = grace
        self._schemas = schemas
        self._tenant = tenant
        self._judge = judge or Judge(Workers())

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping` is set; what was read by then is recorded and acknowledged.

        One reading is read while one is decided, the one before is recorded and the one before that
        acknowledged and handed over. Each step takes them one after the other, so that events keep
        their order. What a healthy database refuses is insisted on beside them. What cannot be
        recorded within `grace` after the stop stays pending, for whoever comes next.
        """
        stop = asyncio.create_task(stopping.wait())
        try:
            async with asyncio.TaskGroup() as group:
                insistence = Insistence(group)
                earlier: _UnderWay | None = None
                ahead = self._read_ahead(stop)
                try:
                    while ahead and (reading := await _arrived(ahead, stop)) is not None:
                        # Of few entries it is better to take more together than to hurry.
                        many = len(reading.entries) >= MANY
                        ahead = self._read_ahead(stop) if many else None
                        if reading.alone:
                            earlier = await self._alone(group, earlier, reading, insistence, stop)
                        else:
                            batch = await self._decide_all(reading)
                            await _first_of(earlier.recorded if earlier else None, stop)
                            recorded = self._record_after(earlier, batch)
                            earlier = self._begin(group, earlier, reading, recorded, insistence)
                        ahead = ahead or self._read_ahead(stop)
                finally:
                    # What it may have fetched stays pending and is claimed later.
                    if ahead:
                        await cancel([ahead])
                if earlier is not None:
                    # Postgres may be away: that must not keep a process from ending.
                    await asyncio.wait({earlier.passed}, timeout=self._grace.total_seconds())
                    await cancel([earlier.recorded, earlier.passed])
                await insistence.end()
        finally:
            stop.cancel()

    async def run_until_idle(self) -> None:
        """Consume until a read brings nothing."""
        while reading := await self._source.read():
            await self.settle(reading)

    async def settle(self, reading: Reading) -> None:
        """Record one reading, acknowledge it, then pass its deliveries on; poison included."""
        if reading.alone:
            verdict = await self._record_alone(reading)
        else:
            verdict = await self._record(await self._decide_all(reading))
        for poison in await self._pass_on_healthy(reading, verdict):
            await self._insist(*poison)

    def _read_ahead(self, stop: asyncio.Task[Literal[True]]) -> asyncio.Task[Reading] | None:
        """The next read, begun; None after the stop."""
        return None if stop.done() else asyncio.create_task(self._source.read())

    def _begin(
        self,
        group: asyncio.TaskGroup,
        earlier: _UnderWay | None,
        reading: Reading,
        recording: Coroutine[None, None, Verdict],
        insistence: Insistence,
    ) -> _UnderWay:
        recorded = group.create_task(recording)
        before = earlier.passed if earlier else None
        passed = group.create_task(self._pass_on_after(before, recorded, reading, insistence))
        return _UnderWay(recorded, passed, before)

    async def _alone(
        self,
        group: asyncio.TaskGroup,
        earlier: _UnderWay | None,
        reading: Reading,
        insistence: Insistence,
        stop: asyncio.Task[Literal[True]],
    ) -> _UnderWay | None:
        """Bring one suspect to its end with nothing else in work; not begun after the stop."""
        await _first_of(earlier.passed if earlier else None, stop)
        if stop.done():
            return earlier
        alone = self._begin(group, earlier, reading, self._record_alone(reading), insistence)
        await _first_of(alone.passed, stop)
        return alone

    async def _record_alone(self, reading: Reading) -> Verdict:
        """Record a suspect, and say that the process survived it, or was only kept waiting."""
        [entry] = reading.entries
        try:
            batch = await self._decide_all(reading)
            try:
                verdict = await self._recorder.record_once(batch)
            except DatabaseUnavailable:
                verdict = None
        except asyncio.CancelledError:
            await self._source.survived(entry)
            raise
        await self._source.survived(entry)
        return await self._record(batch) if verdict is None else verdict

    # Tasks are awaited as they are, so that cancelling the last one cancels those before it, too.

    async def _record_after(self, earlier: _UnderWay | None, batch: Batch) -> Verdict:
        if earlier is not None:
            await earlier.recorded
            if earlier.before is not None:
                await earlier.before
        return await self._record(batch)

    async def _pass_on_after(
        self,
        before: asyncio.Task[None] | None,
        recorded: asyncio.Task[Verdict],
        reading: Reading,
        insistence: Insistence,
    ) -> None:
        if before is not None:
            await before
        for poison in await self._pass_on_healthy(reading, await recorded):
            await insistence.take_on(self._insist(*poison))

    async def _record(self, batch: Batch) -> Verdict:
        return await self._recorder.record_healthy(batch) if batch.recordings else (Recorded(), ())

    async def _pass_on_healthy(
        self, reading: Reading, verdict: Verdict
    ) -> Sequence[tuple[Pending, Refused]]:
        """Bring what is healthy to its end; what is refused, alone, comes back."""
        healthy, refused = verdict
        unsettled = {each.origin for each in refused}
        entries = reading.pending
        # Most of the time all is healthy, and there is nothing to tell apart.
        poison = [each for each in entries if unsettled and _origin(each) in unsettled]
        await self._pass_on([each for each in entries if each not in poison], healthy)
        return list(zip(poison, refused, strict=True))

    async def _insist(self, entry: Pending, refused: Refused) -> None:
        await self._pass_on([entry], await self._recorder.insist(refused))

    async def _pass_on(self, entries: Sequence[Pending], recorded: Recorded) -> None:
        """Acknowledge what is recorded, and hand over what came of it meanwhile.

        Both follow the commit, and neither needs the other: a delivery is a row already.
        """
        acknowledged = self._source.acknowledge(entries) if entries else _done()
        await asyncio.gather(acknowledged, self._sink.submit(recorded.deliveries))
        if recorded.left_to_claim:
            self._sink.wake()

    async def _decide_all(self, reading: Reading) -> Batch:
        """Decide a batch, now and then letting the one before get on with its commit.

        Until that is done it holds the locks of its keys, for which other processes wait.
        """
        rules = self._rules()
        recordings: list[Recording | _Unjudged] = []
        for start in range(0, len(reading.entries), AT_A_STRETCH):
            if start:
                await asyncio.sleep(0)
            stretch = reading.entries[start : start + AT_A_STRETCH]
            try:
                recordings += [self._decide(entry, rules) for entry in stretch]
            except Exception:  # noqa: BLE001  whose fault it is shows when each is decided alone
                recordings += [self._decide_alone(entry, rules) for entry in stretch]
        left = [_trimmed(entry) for entry in reading.trimmed]
        left += [self._deadly(entry) for entry in reading.deadly]
        return self._recorder.prepared([*await self._judged(recordings), *left])

    async def _judged(self, recordings: Sequence[Recording | _Unjudged]) -> list[Recording]:
        """The same, with those that a worker has to judge: the loop goes on meanwhile."""
        unjudged = [each for each in recordings if isinstance(each, _Unjudged)]
        if not unjudged:
            return [each for each in recordings if isinstance(each, Recording)]
        judged = await asyncio.gather(*(self._judge.judged(each.event) for each in unjudged))
        contents = iter(judged)
        return [
            each
            if isinstance(each, Recording)
            else Recording(each.entry, kept_within(self._tenant, next(contents)))
            for each in recordings
        ]

    def _decide_alone(self, entry: Entry, rules: Rules) -> Recording | _Unjudged:
        try:
            return self._decide(entry, rules)
        except Exception as error:  # noqa: BLE001  whatever an entry provokes is its own fault
            origin = Origin(entry.stream, entry.entry_id)
            return Recording(entry, Undecided(origin, fault_of_entry(error)))

    def _decide(self, entry: Entry, rules: Rules) -> Recording | _Unjudged:
        decoded = decode(entry.fields, max_bytes=self._max_entry_bytes, size=entry.size)
        origin = Origin(entry.stream, entry.entry_id)
        match decoded:
            case Event():
                raw = partial(raw_bytes, entry.fields)
                resolution = resolve(decoded, rules)
                incoming = IncomingEvent(decoded, resolution, origin, rules.version, raw)
                content = checked(incoming, self._schemas)
                if isinstance(content, UnjudgedEvent):
                    return _Unjudged(entry, content)
            case Malformed():
                content = _malformed(decoded, entry, origin, self._max_entry_bytes)
            case _:
                assert_never(decoded)
        return Recording(entry, kept_within(self._tenant, content))

    def _deadly(self, entry: DeadlyEntry) -> Recording:
        """The audit row of an entry whose content is better not looked at again."""
        rejected = RejectedEntry(
            origin=_origin(entry),
            outcome=Outcome.REJECTED,
            reason=Reason.KILLS_PROCESS,
            detail=entry.detail,
            raw=b"",
        )
        return Recording(None, kept_within(self._tenant, rejected))


async def _arrived(
    read: asyncio.Task[Reading], stop: asyncio.Task[Literal[True]]
) -> Reading | None:
    """What the read brings; None when told to stop before."""
    await asyncio.wait({read, stop}, return_when=asyncio.FIRST_COMPLETED)
    if not read.done():
        # Told to stop: what is on its way already is still taken.
        await asyncio.wait({read}, timeout=LAST_READ_SECONDS)
    return read.result() if read.done() else None


async def _first_of(task: asyncio.Task[Any] | None, stop: asyncio.Task[Literal[True]]) -> None:
    """Wait for what is under way, but not after the stop."""
    if task is not None:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)


async def _done() -> None:
    """What there is to await where there is nothing to do."""


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


def _origin(entry: Pending) -> Origin:
    return Origin(entry.stream, entry.entry_id)


def _trimmed(entry: TrimmedEntry) -> Recording:
    rejected = RejectedEntry(
        origin=Origin(entry.stream, entry.entry_id),
        outcome=Outcome.REJECTED,
        reason=Reason.TRIMMED,
        detail="the entry was removed from the stream while it was pending; its content is lost",
        raw=b"",
    )
    return Recording(None, rejected)
