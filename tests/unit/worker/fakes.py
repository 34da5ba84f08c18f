"""A ledger that fails as it is told, and what else the consumer's loop touches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from correlation.reason import Outcome, Reason
from ingress.entry import Entry, EntryId, Pending, Reading, StreamName, entry_of
from routing.faults import DatabaseContended, DatabaseUnavailable, RecordRefused
from routing.incoming import Delivery, IncomingEvent, Recorded, RecordedEvent, RejectedEntry

STREAM = StreamName("stream")


def an_entry(number: int, *, event_id: str | None = None, **fields: str) -> Entry:
    """A well-formed entry in the native form."""
    values = {
        "event_id": event_id or f"event-{number}",
        "event_type": "INVOICE_PAID",
        "tenant": "acme",
        "workflow_correlation_key": "7",
        "payload_json": json.dumps({"number": number}),
        **fields,
    }
    encoded = {name.encode(): value.encode() for name, value in values.items()}
    return entry_of(STREAM, EntryId(f"{number}-0"), encoded)


class FakeLedger:
    """Keeps what is recorded; refuses poison, and everything while it is away."""

    def __init__(self, journal: list[str] | None = None) -> None:
        self.journal = [] if journal is None else journal
        self.poison: set[str] = set()
        """Event ids, and entry ids of rejected entries."""
        self.outages = 0
        """So many attempts fail as an outage does, before anything else is looked at."""
        self.contentions = 0
        """So many attempts find their keys locked by others, after the outages."""
        self.batches: list[list[str]] = []
        self.events: list[str] = []
        self.rejected: list[RejectedEntry] = []
        self.deliveries: list[Delivery] = []
        self.left_to_claim = 0

    async def record(
        self, events: Sequence[IncomingEvent], rejected: Sequence[RejectedEntry] = ()
    ) -> Recorded:
        names = [incoming.event.event_id for incoming in events]
        self.batches.append([*names, *(entry.origin.entry_id for entry in rejected)])
        if self.outages:
            self.outages -= 1
            raise DatabaseUnavailable("down")
        if self.contentions:
            self.contentions -= 1
            raise DatabaseContended("locked")
        if self.poison.intersection(self.batches[-1]):
            raise RecordRefused("CheckViolation")
        self.events += names
        self.rejected += rejected
        self.journal.append("recorded")
        deliveries, self.deliveries = self.deliveries, []
        ends = [RecordedEvent(Outcome.NO_WAIT) for _ in events]
        return Recorded(ends, deliveries, self.left_to_claim)


class FakeDeadLetters:
    def __init__(self) -> None:
        self.letters: list[tuple[Entry, Reason, str]] = []

    async def set_aside(self, entry: Entry, reason: Reason, detail: str) -> None:
        self.letters.append((entry, reason, detail))


class FakeSource:
    """Hands out readings, then nothing."""

    def __init__(self, readings: Sequence[Reading], journal: list[str]) -> None:
        self.readings = list(readings)
        self.journal = journal
        self.acknowledged: list[str] = []
        self.survivors: list[str] = []

    async def read(self) -> Reading:
        await asyncio.sleep(0)  # as a server would, it lets others have their turn
        return self.readings.pop(0) if self.readings else Reading()

    async def acknowledge(self, entries: Sequence[Pending]) -> None:
        self.journal.append("acknowledged")
        self.acknowledged += [entry.entry_id for entry in entries]

    async def survived(self, entry: Entry) -> None:
        self.journal.append("survived")
        self.survivors.append(entry.entry_id)


class FakeSink:
    def __init__(self, journal: list[str]) -> None:
        self.journal = journal
        self.submitted: list[Delivery] = []
        self.wakes = 0

    async def submit(self, deliveries: Sequence[Delivery]) -> None:
        self.journal.append("submitted")
        self.submitted += deliveries

    def wake(self) -> None:
        self.wakes += 1
