"""Recording a batch whatever happens: an outage is waited for, a poison entry is set aside.

The two are different things. While Postgres is away nothing counts against any entry. Only an
entry that a healthy database refuses, alone, again and again, goes to the dead letters; so does one
that raises an exception while it is decided or recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Protocol

import msgspec
import structlog

from correlation.reason import Outcome, Reason
from ingress.entry import Entry
from ingress.envelope import raw_bytes
from routing.faults import DatabaseContended, DatabaseUnavailable, EntryFault, RecordRefused
from routing.gate import Backoff
from routing.incoming import IncomingEvent, Origin, Recorded, RejectedEntry

log = structlog.get_logger(__name__)

PATIENCE: Final = 3
"""So often in a row a batch may miss its locks, each for the whole time-out, without alarm."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """An entry that raised an exception while it was decided."""

    origin: Origin
    fault: EntryFault


class Recording(msgspec.Struct, frozen=True, gc=False):
    """An entry and what is to be recorded of it. A trimmed entry has no content any more."""

    entry: Entry | None
    content: IncomingEvent | RejectedEntry | Undecided


@dataclass(frozen=True, slots=True)
class Batch:
    """Recordings that are recorded together, told apart."""

    recordings: Sequence[Recording]
    events: Sequence[IncomingEvent]
    rejected: Sequence[RejectedEntry]


@dataclass(frozen=True, slots=True)
class Refused:
    """A recording that a healthy database refused, alone."""

    recording: Recording
    refusal: RecordRefused

    @property
    def origin(self) -> Origin:
        """Which entry it is of."""
        return self.recording.content.origin


class Ledger(Protocol):
    """Where batches are recorded, in one transaction each."""

    async def record(
        self, events: Sequence[IncomingEvent], rejected: Sequence[RejectedEntry] = ()
    ) -> Recorded:
        """Record a batch; raises DatabaseUnavailable or RecordRefused."""
        ...


class DeadLetters(Protocol):
    """Where entries go that can never be recorded."""

    async def set_aside(self, entry: Entry, reason: Reason, detail: str) -> None:
        """Keep the entry whole for an operator; returns when it is safe."""
        ...


class Recorder:
    """Records batches, and what of them is poison."""

    def __init__(
        self,
        ledger: Ledger,
        dead_letters: DeadLetters,
        *,
        max_deliveries: int,
        backoff: Backoff,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        prepare: Callable[[Sequence[IncomingEvent]], Sequence[IncomingEvent]] = list,
    ) -> None:
        """`prepare` does beforehand what the ledger would do with each try, for the same events."""
        self._ledger = ledger
        self._prepare = prepare
        self._dead_letters = dead_letters
        self._max_deliveries = max_deliveries
        self._backoff = backoff
        self._sleep = sleep

    def prepared(self, recordings: Sequence[Recording]) -> Batch:
        """A batch with all that can be done for it before its turn comes."""
        events, rejected = _separated(recordings)
        try:
            prepared = self._prepare(events)
        except Exception:  # noqa: BLE001  the ledger prepares what is not, and says what is wrong
            prepared = events
        return Batch(recordings, prepared, rejected)

    async def record(self, recordings: Sequence[Recording]) -> Recorded:
        """Record a batch; returns only when every entry of it has its end."""
        healthy, refused = await self.record_healthy(self.prepared(recordings))
        return joined([healthy, *[await self.insist(each) for each in refused]])

    async def record_once(self, batch: Batch) -> tuple[Recorded, Sequence[Refused]]:
        """Record one recording; raises DatabaseUnavailable instead of waiting for the database."""
        try:
            _check_decided(batch)
            return await self._ledger.record(batch.events, batch.rejected), ()
        except RecordRefused as refusal:
            return Recorded(), (Refused(batch.recordings[0], refusal),)

    async def record_healthy(self, batch: Batch) -> tuple[Recorded, Sequence[Refused]]:
        """Record what goes in, halving the batch around what the database refuses.

        What is refused alone comes back at once, so that its neighbours need not wait for it.
        """
        recordings = batch.recordings
        try:
            _check_decided(batch)
            return await self._record_through_outages(batch), ()
        except RecordRefused as refusal:
            if len(recordings) == 1:
                return Recorded(), (Refused(recordings[0], refusal),)
        middle = len(recordings) // 2
        first, first_refused = await self.record_healthy(self.prepared(recordings[:middle]))
        second, second_refused = await self.record_healthy(self.prepared(recordings[middle:]))
        return joined([first, second]), (*first_refused, *second_refused)

    async def insist(self, refused: Refused) -> Recorded:
        """Give an entry that was refused alone its remaining chances, then set it aside."""
        refusal = refused.refusal
        # What was not decided once is not decided another time.
        chances = (
            0 if isinstance(refused.recording.content, Undecided) else self._max_deliveries - 1
        )
        for failures in range(chances):
            await self._sleep(self._backoff.delay(failures).total_seconds())
            try:
                return await self._record_through_outages(self.prepared([refused.recording]))
            except RecordRefused as error:
                refusal = error
        return await self._set_aside(refused.recording, refusal)

    async def _record_through_outages(self, batch: Batch) -> Recorded:
        failures = contentions = 0
        while True:
            try:
                recorded = await self._ledger.record(batch.events, batch.rejected)
            except DatabaseContended as error:
                # Others hold these keys, as is usual for a hot one: an alarm only if it goes on.
                say = log.info if contentions < PATIENCE else log.warning
                say("postgres.contended", error=str(error), entries=len(batch.recordings))
                pause = self._backoff.delay(contentions)
                contentions += 1
            except DatabaseUnavailable as error:
                if failures == 0:
                    log.warning("postgres.lost", error=str(error), entries=len(batch.recordings))
                pause = self._backoff.delay(failures)
                failures += 1
            else:
                if failures:
                    log.info("postgres.recovered", failures=failures)
                return recorded
            await self._sleep(pause.total_seconds())

    async def _set_aside(self, recording: Recording, refusal: RecordRefused) -> Recorded:
        entry, detail = recording.entry, str(refusal)
        origin = recording.content.origin
        log.error(
            "entry.dead_lettered", stream=origin.stream, entry_id=origin.entry_id, error=detail
        )
        if entry is None:
            return Recorded()
        await self._dead_letters.set_aside(entry, Reason.POISON, detail)
        try:
            poison = self.prepared([Recording(entry, _poison(entry, detail))])
            return await self._record_through_outages(poison)
        except RecordRefused as error:
            log.warning("entry.unaudited", entry_id=origin.entry_id, error=str(error))
            return Recorded()


def _check_decided(batch: Batch) -> None:
    """Raise EntryFault for a batch with an entry that could not be decided: it is halved then."""
    if len(batch.events) + len(batch.rejected) < len(batch.recordings):
        raise next(
            recording.content.fault
            for recording in batch.recordings
            if isinstance(recording.content, Undecided)
        )


def _separated(
    recordings: Sequence[Recording],
) -> tuple[list[IncomingEvent], list[RejectedEntry]]:
    contents = [recording.content for recording in recordings]
    return (
        [content for content in contents if isinstance(content, IncomingEvent)],
        [content for content in contents if isinstance(content, RejectedEntry)],
    )


def _poison(entry: Entry, detail: str) -> RejectedEntry:
    """The audit row of a poison entry: of the entry alone, whatever its content is."""
    return RejectedEntry(
        origin=Origin(entry.stream, entry.entry_id),
        outcome=Outcome.REJECTED,
        reason=Reason.POISON,
        detail=detail,
        raw=_raw_of(entry),
    )


def _raw_of(entry: Entry) -> bytes:
    try:
        return raw_bytes(entry.fields)
    except Exception:  # noqa: BLE001  the dead letter keeps the entry whole
        return b""


def joined(parts: Sequence[Recorded]) -> Recorded:
    """Several recordings as one, in their order."""
    return Recorded(
        list(chain.from_iterable(part.events for part in parts)),
        list(chain.from_iterable(part.deliveries for part in parts)),
        sum(part.left_to_claim for part in parts),
    )
