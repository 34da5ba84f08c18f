"""The consumer's loop: an entry is acknowledged after its record is committed, never before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from correlation.reason import Outcome, Reason
from correlation.rules import NO_RULES
from ingress.entry import Entry, EntryId, Reading, TrimmedEntry, entry_of
from ingress.envelope import raw_bytes
from routing.faults import SchemaMismatch
from routing.gate import Backoff
from routing.incoming import IncomingEvent, Recorded, RejectedEntry
from tests.unit.routing.fakes import a_delivery
from tests.unit.worker.fakes import (
    STREAM,
    FakeDeadLetters,
    FakeLedger,
    FakeSink,
    FakeSource,
    an_entry,
)
from tests.waiting import wait_until
from worker.consumer import AT_A_STRETCH, MANY, Consumer
from worker.insistence import AT_ONCE
from worker.recording import Recorder

LIMIT = 10_000


class Rig:
    def __init__(self, *readings: Reading, tenant: str | None = None) -> None:
        self.journal: list[str] = []
        self.source = FakeSource(readings, self.journal)
        self.ledger = FakeLedger(self.journal)
        self.dead_letters = FakeDeadLetters()
        self.sink = FakeSink(self.journal)
        self.pausing = 0
        self.pause_is_over = asyncio.Event()
        self.pause_is_over.set()
        recorder = Recorder(
            self.ledger,
            self.dead_letters,
            max_deliveries=2,
            backoff=Backoff(),
            sleep=self._sleep,
        )
        self.consumer = Consumer(
            self.source,
            recorder,
            self.sink,
            lambda: NO_RULES,
            max_entry_bytes=LIMIT,
            tenant=tenant,
        )

    async def _sleep(self, seconds: float) -> None:
        self.journal.append("paused")
        self.pausing += 1
        await self.pause_is_over.wait()

    @asynccontextmanager
    async def running_while_poison_pauses(self) -> AsyncGenerator[None]:
        self.pause_is_over.clear()
        stopping = asyncio.Event()
        running = asyncio.create_task(self.consumer.run(stopping))
        yield
        stopping.set()
        await asyncio.wait_for(running, 60)


async def test_a_reading_is_recorded_then_acknowledged_then_passed_on() -> None:
    rig = Rig(Reading([an_entry(1), an_entry(2)]))
    rig.ledger.deliveries = [a_delivery(), a_delivery()]
    expected = list(rig.ledger.deliveries)

    await rig.consumer.run_until_idle()

    assert rig.journal == ["recorded", "acknowledged", "submitted"]
    assert rig.ledger.events == ["event-1", "event-2"]
    assert rig.source.acknowledged == ["1-0", "2-0"]
    assert rig.sink.submitted == expected


async def test_a_large_batch_is_decided_without_holding_up_the_one_before() -> None:
    rig = Rig(Reading([an_entry(number) for number in range(3 * AT_A_STRETCH)]))

    async def commit() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        rig.journal.append("committed the one before")

    committing = asyncio.create_task(commit())
    await rig.consumer.run_until_idle()

    assert committing.done()
    assert rig.journal[:2] == ["committed the one before", "recorded"]


async def test_nothing_is_acknowledged_while_nothing_can_be_recorded() -> None:
    rig = Rig(Reading([an_entry(1)]))
    rig.ledger.outages = 3

    await rig.consumer.run_until_idle()

    assert rig.journal == ["paused"] * 3 + ["recorded", "acknowledged", "submitted"]


async def test_nothing_is_acknowledged_when_recording_ends_in_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(Reading([an_entry(1)]))

    async def fail(*_: object) -> None:
        raise SchemaMismatch("newer")

    monkeypatch.setattr(rig.ledger, "record", fail)

    with pytest.raises(SchemaMismatch):
        await rig.consumer.run_until_idle()

    assert rig.source.acknowledged == []


async def test_a_malformed_entry_is_audited_with_its_bytes_and_harms_no_neighbour() -> None:
    broken = entry_of(STREAM, EntryId("2-0"), {b"event_id": b"\xff\xfe", b"tenant": b"acme"})
    rig = Rig(Reading([an_entry(1), broken, an_entry(3)]))

    await rig.consumer.run_until_idle()

    assert rig.ledger.events == ["event-1", "event-3"]
    [rejected] = rig.ledger.rejected
    assert (rejected.outcome, rejected.reason) == (Outcome.MALFORMED, Reason.NOT_UTF8)
    assert rejected.origin.entry_id == "2-0"
    assert rejected.raw == raw_bytes(broken.fields)
    assert rig.source.acknowledged == ["1-0", "2-0", "3-0"]


async def test_what_is_kept_of_an_oversized_entry_is_bounded() -> None:
    rig = Rig(Reading([an_entry(1, payload_json='{"a": "' + "x" * 3 * LIMIT + '"}')]))

    await rig.consumer.run_until_idle()

    [rejected] = rig.ledger.rejected
    assert rejected.reason is Reason.ENTRY_TOO_LARGE
    assert len(rejected.raw) == LIMIT


async def test_an_entry_that_was_trimmed_while_pending_leaves_a_row_with_its_id() -> None:
    rig = Rig(Reading([an_entry(1)], [TrimmedEntry(STREAM, EntryId("0-7"))]))

    await rig.consumer.run_until_idle()

    [rejected] = rig.ledger.rejected
    assert (rejected.outcome, rejected.reason) == (Outcome.REJECTED, Reason.TRIMMED)
    assert (rejected.origin.stream, rejected.origin.entry_id) == ("stream", "0-7")
    assert rig.ledger.events == ["event-1"]


async def test_poison_is_acknowledged_after_it_was_set_aside() -> None:
    rig = Rig(Reading([an_entry(1), an_entry(2)]))
    rig.ledger.poison = {"event-2"}

    await rig.consumer.run_until_idle()

    assert [letter[0].entry_id for letter in rig.dead_letters.letters] == ["2-0"]
    assert rig.source.acknowledged == ["1-0", "2-0"]


async def test_a_stream_that_is_bound_to_a_tenant_brings_no_other_ones_events() -> None:
    spoofed = an_entry(2, tenant="globex")
    broken = an_entry(3, tenant="globex", payload_json="{")
    rig = Rig(Reading([an_entry(1), spoofed, broken]), tenant="acme")

    await rig.consumer.run_until_idle()

    assert rig.ledger.events == ["event-1"]
    assert [(each.tenant, each.outcome, each.reason) for each in rig.ledger.rejected] == [
        ("acme", Outcome.REJECTED, Reason.FOREIGN_TENANT),
        ("acme", Outcome.MALFORMED, Reason.INVALID_JSON),
    ]
    assert rig.ledger.rejected[0].raw == raw_bytes(spoofed.fields)
    assert rig.source.acknowledged == ["1-0", "2-0", "3-0"]


async def test_later_readings_do_not_wait_for_poison() -> None:
    rig = Rig(Reading([an_entry(1), an_entry(2)]), Reading([an_entry(3)]))
    rig.ledger.poison = {"event-2"}

    async with rig.running_while_poison_pauses():
        await wait_until(
            lambda: rig.source.acknowledged == ["1-0", "3-0"], description="all but the poison"
        )

    assert rig.dead_letters.letters == []
    assert rig.source.acknowledged == ["1-0", "3-0"]


async def test_poison_beside_the_stream_is_set_aside_and_acknowledged() -> None:
    rig = Rig(Reading([an_entry(1), an_entry(2)]), Reading([an_entry(3)]))
    rig.ledger.poison = {"event-2"}

    async with rig.running_while_poison_pauses():
        await wait_until(lambda: "3-0" in rig.source.acknowledged, description="the later one")
        rig.pause_is_over.set()
        await wait_until(lambda: "2-0" in rig.source.acknowledged, description="the poison")

    assert [letter[0].entry_id for letter in rig.dead_letters.letters] == ["2-0"]


async def test_no_more_poison_than_a_bound_is_kept_beside_the_stream() -> None:
    poison = Reading([an_entry(number) for number in range(AT_ONCE + 1)])
    rig = Rig(poison, Reading([an_entry(1_000)]), Reading([an_entry(1_001)]))
    rig.ledger.poison = {f"event-{number}" for number in range(AT_ONCE + 1)}

    async with rig.running_while_poison_pauses():
        await wait_until(lambda: rig.pausing == AT_ONCE, description="as many as may be")
        held_up = list(rig.source.acknowledged)
        rig.pause_is_over.set()
        await wait_until(
            lambda: len(rig.source.acknowledged) == AT_ONCE + 3, description="all of them"
        )

    assert held_up == []


async def test_deliveries_that_are_left_in_the_table_are_called_for() -> None:
    rig = Rig(Reading([an_entry(1)]))
    rig.ledger.left_to_claim = 2

    await rig.consumer.run_until_idle()

    assert rig.sink.wakes == 1


async def test_one_reading_is_recorded_while_the_one_before_is_acknowledged_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(*(Reading([an_entry(number)]) for number in (1, 2, 3)))
    stopping, may_go_on = asyncio.Event(), asyncio.Event()
    acknowledge = rig.source.acknowledge

    async def slowly(entries: Sequence[Entry | TrimmedEntry]) -> None:
        await may_go_on.wait()
        await acknowledge(entries)

    monkeypatch.setattr(rig.source, "acknowledge", slowly)
    running = asyncio.create_task(rig.consumer.run(stopping))
    await wait_until(lambda: len(rig.ledger.events) == 2, description="two are recorded")
    for _ in range(50):
        await asyncio.sleep(0)
    recorded_meanwhile = list(rig.ledger.events)
    may_go_on.set()
    await wait_until(lambda: len(rig.source.acknowledged) == 3, description="all are acknowledged")
    stopping.set()
    await asyncio.wait_for(running, 20)

    assert recorded_meanwhile == ["event-1", "event-2"]
    assert rig.source.acknowledged == ["1-0", "2-0", "3-0"]


@pytest.mark.parametrize(
    ("entries", "unread"),
    [
        pytest.param(MANY, 0, id="a backlog: the next are read while these are decided"),
        pytest.param(1, 1, id="a lone entry: it goes first, and others may come meanwhile"),
    ],
)
async def test_the_next_entries_are_read_ahead_of_a_backlog(
    entries: int, unread: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Reading([an_entry(number) for number in range(entries)])
    rig = Rig(first, Reading([an_entry(1000)]))
    stopping = asyncio.Event()
    waiting: list[int] = []
    record = rig.ledger.record

    async def noting(
        events: Sequence[IncomingEvent], rejected: Sequence[RejectedEntry] = ()
    ) -> Recorded:
        waiting.append(len(rig.source.readings))
        return await record(events, rejected)

    monkeypatch.setattr(rig.ledger, "record", noting)
    running = asyncio.create_task(rig.consumer.run(stopping))
    await wait_until(lambda: "1000-0" in rig.source.acknowledged, description="all are recorded")
    stopping.set()
    await asyncio.wait_for(running, 20)

    assert waiting[0] == unread


async def test_what_was_read_ahead_of_the_stop_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    many = Reading([an_entry(number) for number in range(MANY)])
    rig = Rig(many, Reading([an_entry(1000)]))
    stopping = asyncio.Event()
    read = rig.source.read

    async def read_and_stop() -> Reading:
        reading = await read()
        if not rig.source.readings:
            stopping.set()
        return reading

    monkeypatch.setattr(rig.source, "read", read_and_stop)

    await asyncio.wait_for(rig.consumer.run(stopping), 20)

    assert rig.source.acknowledged[-1] == "1000-0"


async def test_a_consumer_that_is_told_to_stop_finishes_what_it_has_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(Reading([an_entry(1)]))
    stopping, recording, may_go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
    record = rig.ledger.record

    async def slowly(
        events: Sequence[IncomingEvent], rejected: Sequence[RejectedEntry] = ()
    ) -> Recorded:
        recording.set()
        await may_go_on.wait()
        return await record(events, rejected)

    monkeypatch.setattr(rig.ledger, "record", slowly)
    running = asyncio.create_task(rig.consumer.run(stopping))
    await recording.wait()
    stopping.set()
    may_go_on.set()

    await asyncio.wait_for(running, timedelta(seconds=20).total_seconds())

    assert rig.source.acknowledged == ["1-0"]


async def test_a_consumer_that_is_told_to_stop_waits_for_no_entry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()
    stopping, reading, given_up = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def read_for_ever() -> Reading:
        reading.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        raise AssertionError

    monkeypatch.setattr(rig.source, "read", read_for_ever)
    running = asyncio.create_task(rig.consumer.run(stopping))
    await reading.wait()

    stopping.set()
    await asyncio.wait_for(running, 20)

    assert rig.journal == []
    assert given_up.is_set()


async def test_what_a_read_brings_in_the_moment_of_the_stop_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()
    stopping, reading = asyncio.Event(), asyncio.Event()

    async def read_late() -> Reading:
        reading.set()
        await stopping.wait()
        await asyncio.sleep(0.01)
        return Reading([an_entry(1)])

    monkeypatch.setattr(rig.source, "read", read_late)
    running = asyncio.create_task(rig.consumer.run(stopping))
    await reading.wait()

    stopping.set()
    await asyncio.wait_for(running, 20)

    assert rig.source.acknowledged == ["1-0"]
