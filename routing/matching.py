"""The match transaction: events meet the waits of their keys, and everything is recorded at once.

One transaction per batch and at most three round trips, however many events it holds: the locks
of all keys in sorted order with the one statement that matches and records, then the commit. A
batch with events that were recorded before costs one or two round trips more, one with events
that launch workflows another, and one with events that complete human tasks a few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain
from time import monotonic
from typing import Any, Final, assert_never

from correlation.reason import Outcome, Reason
from correlation.resolution import Resolution, Resolved, Unresolved
from routing.answer_judging import AnswerJudge, Verdicts, judged_answers
from routing.columns import identity_columns, keys_of, rejected_columns
from routing.database import Connection, Database
from routing.fan_out import MOST, PORTION, hand_on
from routing.faults import (
    DatabaseContended,
    DatabaseUnavailable,
    RecordRefused,
    RoutingError,
    StatementFailed,
    fault_of_entry,
)
from routing.incoming import (
    DEFAULT_NAMESPACE,
    Delivery,
    Identity,
    IncomingEvent,
    Recorded,
    RecordedEvent,
    RejectedEntry,
)
from routing.known_event import KnownEvent, read_known_event
from routing.launch_recording import look_up_triggers, record_launches
from routing.prepared import Part, PreparedEvents, part_of
from routing.statements import (
    COUNT_REDELIVERIES,
    KNOWN_EVENTS,
    LOCK_KEYS,
    MATCH_EVENTS,
    RECORD_REJECTED,
)
from routing.task_settling import RefusedAnswer, entry_of, settle_answers


@dataclass(frozen=True, slots=True)
class Matching:
    """How this process records."""

    owner: str
    """Name of this process; deliveries are leased to it."""
    delivers: bool = True
    """False in a process that records only: its deliveries are left to be claimed."""
    lease: timedelta = timedelta(seconds=60)
    buffer_ttl: timedelta = timedelta(days=7)
    """How long an event stays available to look-backs."""
    namespaces: tuple[str, ...] = (DEFAULT_NAMESPACE,)
    """Those whose workflows this process signals; triggers that name none launch in the first."""
    locks_per_transaction: int = 2_000
    """Postgres holds `max_locks_per_transaction x max_connections` locks in all."""


class _TooManyDeliveries(Exception):
    """More than one statement should insert, of several events: record fewer at a time."""


class Matcher:
    """Records batches of events and rejected entries."""

    def __init__(
        self, database: Database, matching: Matching, judge: AnswerJudge | None = None
    ) -> None:
        """Without a `judge` an answer that is too costly to judge in the transaction is refused."""
        self._database = database
        self._matching = matching
        self._judge = judge

    def prepared(self, events: Sequence[IncomingEvent]) -> PreparedEvents:
        """The events with all that can be worked out before their turn to be recorded comes."""
        return PreparedEvents(events, self._matching.locks_per_transaction)

    async def record(
        self, events: Sequence[IncomingEvent], rejected: Sequence[RejectedEntry] = ()
    ) -> Recorded:
        """Match and record a batch; when this returns, it is committed.

        Events come back in the order given, deliveries in the order in which each workflow must
        be signalled. Recording the same batch again changes nothing. A batch whose keys need more
        locks than one transaction may take is recorded in several; after an exception an earlier
        part of it may be committed. Raises DatabaseUnavailable (try again later) or RecordRefused
        (some event of the batch will never go in: halve it to find out which).
        """
        try:
            prepared = events if isinstance(events, PreparedEvents) else self.prepared(events)
            recorded = [
                each for part in prepared.parts for each in await self._record_bounded(part)
            ]
            if rejected:
                async with self._database.transaction() as connection:
                    await connection.execute(RECORD_REJECTED, rejected_columns(rejected))
        except StatementFailed as error:
            await self._probe(error)
            raise RecordRefused(str(error)) from error
        except RoutingError:
            raise
        except Exception as error:
            # A bug that does not depend on the events ends the probe, and with it the process.
            fault = fault_of_entry(error)
            await self._probe(DatabaseUnavailable(str(fault)))
            raise fault from error
        return Recorded(
            list(chain.from_iterable(part.events for part in recorded)),
            list(chain.from_iterable(part.deliveries for part in recorded)),
            sum(part.left_to_claim for part in recorded),
            sum(part.considered for part in recorded),
        )

    async def _probe(self, failure: DatabaseUnavailable) -> None:
        """Return when the database records an empty batch, which needs all that a full one does.

        So a missing table or privilege is an outage, while what a trigger of somebody else's raises
        for single rows is those rows' own fault. Raises `failure` otherwise.
        """
        try:
            async with self._database.hot_transaction() as connection:
                await connection.execute(RECORD_REJECTED, rejected_columns([]))
                await self._match(connection, part_of([]))
        except RoutingError as error:
            raise failure from error

    async def _record_bounded(self, part: Part) -> list[Recorded]:
        """Record a part, in halves where it has too many deliveries for one statement."""
        try:
            return [await self._record_part(part)]
        except _TooManyDeliveries:
            middle = len(part.batch) // 2
        halves = part_of(part.batch[:middle]), part_of(part.batch[middle:])
        return [each for half in halves for each in await self._record_bounded(half)]

    async def _record_part(self, part: Part) -> Recorded:
        verdicts: Verdicts = {}
        if part.answers and self._judge is not None:
            verdicts = await judged_answers(self._database, self._judge, part.answers)
        async with self._database.hot_transaction() as connection:
            if part.locks is not None:
                await connection.execute(LOCK_KEYS, {"hashes": part.locks})
            if not part.answers:
                return await self._match(connection, part)
            settled = await settle_answers(connection, part.answers, verdicts)
            refused = settled.refused
            rest = part.without(refused.keys()) if refused else part
            recorded = await self._match(connection, rest) if rest.batch else Recorded()
            _check_answers(rest, settled.completed, recorded.events)
            if not refused:
                return recorded
            entries = [
                entry_of(each, refused[each.identity])
                for each in part.batch
                if each.identity in refused
            ]
            await connection.execute(RECORD_REJECTED, rejected_columns(entries))
        return replace(recorded, events=list(_merged(part, refused, recorded.events)))

    async def _match(self, connection: Connection, part: Part) -> Recorded:
        """Match and record under the locks that are held."""
        batch, firsts, unique = part.batch, part.firsts, part.unique
        triggers = await look_up_triggers(connection, unique)
        leased_at = monotonic()
        alone = len(unique) == 1
        terms = self._terms | {"alone": alone, "portion": PORTION, "most": MOST}
        cursor = await connection.execute(MATCH_EVENTS, part.arrays | terms)
        rows = await cursor.fetchall()
        *_, too_many, cut = rows[0]
        if too_many:
            raise _TooManyDeliveries
        more = 0
        if cut and rows[0][0]:
            more = await hand_on(connection, unique[0].event, list(keys_of(unique[0])))
        default = self._matching.namespaces[0]
        pending, considered = await record_launches(connection, triggers, unique, default)
        left = rows[0][1] + pending + more
        # Column 10, the lease, is this process' own or empty: then another delivers.
        deliveries = [_delivery(row, firsts, leased_at) for row in rows if row[10] is not None]
        if rows[0][0] == len(batch):
            return Recorded(_as_new(unique, rows, more), deliveries, left, considered)
        known = await _known(connection, unique)
        events = await self._settle_known(connection, batch, firsts, known)
        return Recorded(events, deliveries, left, considered)

    @property
    def _terms(self) -> dict[str, object]:
        return {
            "owner": self._matching.owner,
            "delivers": self._matching.delivers,
            "namespaces": list(self._matching.namespaces),
            "lease": self._matching.lease,
            "buffer_ttl": self._matching.buffer_ttl,
        }

    async def _settle_known(
        self,
        connection: Connection,
        batch: Sequence[IncomingEvent],
        firsts: Mapping[Identity, IncomingEvent],
        known: dict[Identity, KnownEvent],
    ) -> list[RecordedEvent]:
        """Tell redeliveries from conflicts; of the latter make audit rows of their own."""
        events: list[RecordedEvent] = []
        again: list[Identity] = []
        conflicts: list[RejectedEntry] = []
        for incoming in batch:
            identity = incoming.identity
            stored = known[identity]
            first = stored.recorded_now and firsts[identity] is incoming
            if first or stored.same_as(incoming):
                events.append(stored.recorded(duplicate=not first))
                if not first:
                    again.append(identity)
            else:
                conflicts.append(_conflict(incoming))
                events.append(_rejected(Reason.CONFLICTING_DUPLICATE))
        if again:
            await connection.execute(COUNT_REDELIVERIES, identity_columns(again))
        if conflicts:
            await connection.execute(RECORD_REJECTED, rejected_columns(conflicts))
        return events


async def _known(
    connection: Connection, batch: Sequence[IncomingEvent]
) -> dict[Identity, KnownEvent]:
    identities = [incoming.identity for incoming in batch]
    cursor = await connection.execute(KNOWN_EVENTS, identity_columns(identities))
    return {(row[0], row[1]): read_known_event(row) for row in await cursor.fetchall()}


def _delivery(
    row: tuple[Any, ...], events: Mapping[Identity, IncomingEvent], leased_at: float
) -> Delivery:
    tenant, event_id, wait_id, workflow_id, signal_name, key, received, created = row[2:10]
    position, follows, namespace, run_id, first_run_id = row[11:16]
    event = events[tenant, event_id].event
    return Delivery(
        tenant=event.tenant,
        event_id=event.event_id,
        wait_id=wait_id,
        event_name=event.name,
        correlation_key=key,
        workflow_id=workflow_id,
        signal_name=signal_name,
        payload_text=event.payload.text,
        received_at=received,
        created_at=created,
        traceparent=event.context.traceparent,
        tracestate=event.context.tracestate,
        namespace=namespace,
        run_id=run_id,
        first_run_id=first_run_id,
        position=position,
        follows=follows,
        leased_at=leased_at,
    )


_NO_WAIT: Final = RecordedEvent(Outcome.NO_WAIT, Reason.NO_OPEN_WAIT)


def _as_new(
    batch: Sequence[IncomingEvent], rows: Sequence[tuple[Any, ...]], more: int
) -> list[RecordedEvent]:
    """The ends of a batch in which every event was new; `more` were handed on, of a lone one."""
    waits = Counter((row[2], row[3]) for row in rows if row[2] is not None)
    # Most batches are noise, and all of their events end alike.
    return [_new(each.resolution, waits[each.identity] + more if waits else 0) for each in batch]


def _new(resolution: Resolution, waits: int) -> RecordedEvent:
    match resolution:
        case Resolved():
            return RecordedEvent(Outcome.MATCHED, None, waits) if waits else _NO_WAIT
        case Unresolved(reason=reason):
            return RecordedEvent(Outcome.UNRESOLVED, reason)
        case _:
            assert_never(resolution)


def _rejected(reason: Reason) -> RecordedEvent:
    return RecordedEvent(Outcome.REJECTED, reason)


def _merged(
    part: Part, refused: Mapping[Identity, RefusedAnswer], others: Sequence[RecordedEvent]
) -> Iterator[RecordedEvent]:
    """How all events of a part ended, in their order: the refused ones among the others."""
    remaining = iter(others)
    for incoming in part.batch:
        refusal = refused.get(incoming.identity)
        yield next(remaining) if refusal is None else _rejected(refusal.reason)


def _check_answers(
    part: Part, completed: frozenset[Identity], ends: Sequence[RecordedEvent]
) -> None:
    """Raise DatabaseContended if a task is completed by an event that another's insert kept out.

    That one committed under the same id, with other keys, since it was looked for. The next try
    finds it there, and leaves the task open.
    """
    for incoming, end in zip(part.batch, ends, strict=True) if completed else ():
        first = incoming.identity in completed and part.firsts[incoming.identity] is incoming
        if first and (end.duplicate or end.reason is Reason.CONFLICTING_DUPLICATE):
            raise DatabaseContended(f"event {incoming.event.event_id} was recorded meanwhile")


def _conflict(incoming: IncomingEvent) -> RejectedEntry:
    return RejectedEntry(
        origin=incoming.origin,
        outcome=Outcome.REJECTED,
        reason=Reason.CONFLICTING_DUPLICATE,
        detail="an event with this id was recorded before with other content; it stays as it is",
        raw=incoming.raw(),
        tenant=incoming.event.tenant,
        event_id=incoming.event.event_id,
        event_name=incoming.event.name,
    )
