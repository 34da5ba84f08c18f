"""Whatever an entry provokes is its own fault: it is kept whole, its neighbours are recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from correlation.reason import Reason
from correlation.rules import NO_RULES
from ingress.entry import Entry, Reading
from routing.database import Database
from routing.gate import Backoff
from routing.matching import Matcher, Matching
from routing.triggers import apply_triggers
from routing.waits import Waits
from tests.builders import a_wait
from tests.integration.entry_faults import PLANTED, RECORDING, Provoked, comes_again, plant
from tests.integration.launches import a_trigger
from tests.rows import one_row
from tests.unit.worker.fakes import FakeDeadLetters, FakeSink, FakeSource, an_entry
from worker.consumer import Consumer
from worker.recording import Recorder

DECIDING = (
    "worker.consumer.decode",
    "worker.consumer.resolve",
    "worker.consumer.checked",
    "worker.consumer.kept_within",
    "ingress.native.read_payload",
)


class Rig:
    """A consumer on a real database, with a source, dead letters and a sink in memory."""

    def __init__(self, database: Database) -> None:
        self.matcher = Matcher(database, Matching(owner="me"))
        self.letters = FakeDeadLetters()
        self.source = FakeSource([], [])

    async def consume(self, *entries: Entry) -> None:
        self.source.readings = [Reading(entries)]
        recorder = Recorder(
            self.matcher,
            self.letters,
            max_deliveries=2,
            backoff=Backoff(),
            sleep=_no_pause,
            prepare=self.matcher.prepared,
        )
        consumer = Consumer(
            self.source, recorder, FakeSink([]), lambda: NO_RULES, max_entry_bytes=10_000
        )
        await consumer.run_until_idle()


async def _no_pause(_seconds: float) -> None:
    return None


def planted_entry(number: int, payload: str = f'{{"a": "{PLANTED}"}}') -> Entry:
    fields: Mapping[str, Any] = {
        "event_id": PLANTED,
        "payload_json": payload,
        "workflow_correlation_key": PLANTED,
        "user_id": PLANTED,
    }
    return an_entry(number, **fields)


@pytest.fixture
async def rig(database: Database) -> Rig:
    await Waits(database).register([a_wait(key=PLANTED), a_wait(key=7)])
    await apply_triggers(database, [a_trigger(event="INVOICE_PAID")], actor="test")
    return Rig(database)


@pytest.mark.parametrize("step", [*DECIDING, *RECORDING])
async def test_an_exception_is_the_fault_of_the_entry_that_provokes_it(
    rig: Rig, step: str, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    if comes_again(step):
        await rig.consume(planted_entry(1, f'{{"a":"{PLANTED}"}}'))
    entries = [an_entry(2), an_entry(3), planted_entry(4), an_entry(5), an_entry(6)]
    plant(monkeypatch, step)

    await rig.consume(*entries)

    [(letter, reason, detail)] = rig.letters.letters
    assert (letter, reason) == (entries[2], Reason.POISON)
    assert detail.startswith(Provoked.__name__)
    assert "quotes" not in detail
    assert set(rig.source.acknowledged) >= {entry.entry_id for entry in entries}
    neighbours = "SELECT count(*) FROM workflow_runtime_events WHERE event_id LIKE 'event-%'"
    assert one_row(database_url, neighbours) == (4,)
    rejected = "SELECT reason, entry_id FROM workflow_rejected_entries"
    assert one_row(database_url, rejected) == ("poison", "4-0")


async def test_an_entry_whose_own_bytes_provoke_an_exception_is_set_aside_all_the_same(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    plant(monkeypatch, "worker.consumer.decode")
    plant(monkeypatch, "worker.recording.raw_bytes")

    await rig.consume(planted_entry(1), an_entry(2))

    assert [letter.entry_id for letter, _, _ in rig.letters.letters] == ["1-0"]
    assert one_row(database_url, "SELECT reason, raw FROM workflow_rejected_entries") == (
        "poison",
        b"",
    )


async def test_a_bug_that_needs_no_entry_ends_the_process(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise Provoked

    monkeypatch.setattr("routing.matching.rejected_columns", broken)
    monkeypatch.setattr("routing.matching.look_up_triggers", broken)

    with pytest.raises(Provoked):
        await rig.consume(an_entry(1))

    assert rig.letters.letters == []
    assert rig.source.acknowledged == []
