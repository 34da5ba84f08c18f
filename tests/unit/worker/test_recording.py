"""An outage is waited for; poison is isolated, and its neighbours never notice."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from correlation.reason import Outcome, Reason
from ingress.entry import Entry
from ingress.envelope import raw_bytes
from routing.gate import Backoff
from routing.incoming import Origin, RejectedEntry
from tests.builders import an_event, incoming
from tests.unit.worker.fakes import FakeDeadLetters, FakeLedger, an_entry
from worker.recording import Recorder, Recording

BACKOFF = Backoff(timedelta(seconds=1), timedelta(seconds=8))
MAX_DELIVERIES = 4


class Rig:
    def __init__(self) -> None:
        self.ledger, self.dead_letters = FakeLedger(), FakeDeadLetters()
        self.pauses: list[float] = []
        self.recorder = Recorder(
            self.ledger,
            self.dead_letters,
            max_deliveries=MAX_DELIVERIES,
            backoff=BACKOFF,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def a_recording(number: int) -> Recording:
    entry = an_entry(number)
    return Recording(entry, incoming(an_event(event_id=f"event-{number}")))


def recordings(count: int) -> list[Recording]:
    return [a_recording(number) for number in range(count)]


def names(count: int) -> list[str]:
    return [f"event-{number}" for number in range(count)]


async def test_a_healthy_batch_is_recorded_in_one_attempt(rig: Rig) -> None:
    recorded = await rig.recorder.record(recordings(10))

    assert rig.ledger.batches == [names(10)]
    assert len(recorded.events) == 10
    assert rig.pauses == []


@pytest.mark.parametrize("outages", [1, 3, 50])
async def test_an_outage_is_waited_for_and_nothing_is_dead_lettered(rig: Rig, outages: int) -> None:
    rig.ledger.outages = outages

    recorded = await rig.recorder.record(recordings(3))

    assert rig.ledger.events == names(3)
    assert len(recorded.events) == 3
    assert rig.dead_letters.letters == []
    assert len(rig.pauses) == outages
    assert max(rig.pauses) <= BACKOFF.maximum.total_seconds()


async def test_pauses_of_an_outage_grow(rig: Rig) -> None:
    rig.ledger.outages = 4

    await rig.recorder.record(recordings(1))

    for failures, pause in enumerate(rig.pauses):
        assert 0.5 * 2**failures <= pause <= 2**failures


@pytest.mark.parametrize(("contentions", "loudest"), [(1, "info"), (3, "info"), (4, "warning")])
async def test_keys_that_others_hold_are_tried_again_and_called_no_outage(
    rig: Rig, contentions: int, loudest: str
) -> None:
    rig.ledger.contentions = contentions

    with capture_logs() as logs:
        await rig.recorder.record(recordings(2))

    assert rig.ledger.events == names(2)
    assert rig.dead_letters.letters == []
    assert {line["event"] for line in logs} == {"postgres.contended"}
    assert logs[-1]["log_level"] == loudest
    assert len(rig.pauses) == contentions


@pytest.mark.parametrize("poisoned", [0, 7, 15])
async def test_poison_is_isolated_by_halving_and_its_neighbours_are_recorded(
    rig: Rig, poisoned: int
) -> None:
    rig.ledger.poison = {f"event-{poisoned}"}

    recorded = await rig.recorder.record(recordings(16))

    healthy = [name for name in names(16) if name != f"event-{poisoned}"]
    assert rig.ledger.events == healthy
    assert len(recorded.events) == len(healthy)
    alone = [batch for batch in rig.ledger.batches if batch == [f"event-{poisoned}"]]
    # Of the others, no more attempts than halving needs: two for each level.
    assert len(rig.ledger.batches) - len(alone) <= 2 * math.log2(16) + 2


async def test_poison_has_its_chances_and_is_then_set_aside_whole(rig: Rig) -> None:
    rig.ledger.poison = {"event-1"}
    batch = recordings(3)

    await rig.recorder.record(batch)

    assert rig.ledger.batches.count(["event-1"]) == MAX_DELIVERIES
    assert rig.dead_letters.letters == [(batch[1].entry, Reason.POISON, "CheckViolation")]
    [audited] = rig.ledger.rejected
    assert (audited.outcome, audited.reason) == (Outcome.REJECTED, Reason.POISON)
    assert audited.origin == Origin("stream", "1-0")
    assert audited.raw == raw_bytes(_entry(batch[1]).fields)


async def test_poison_that_heals_is_recorded(rig: Rig) -> None:
    rig.ledger.poison = {"event-0"}

    async def heal(seconds: float) -> None:
        rig.ledger.poison.clear()

    rig.recorder = Recorder(
        rig.ledger,
        rig.dead_letters,
        max_deliveries=MAX_DELIVERIES,
        backoff=BACKOFF,
        sleep=heal,
    )

    await rig.recorder.record(recordings(1))

    assert rig.ledger.events == ["event-0"]
    assert rig.dead_letters.letters == []


async def test_an_outage_between_the_chances_of_poison_counts_for_nothing(rig: Rig) -> None:
    rig.ledger.poison = {"event-0"}
    rig.ledger.outages = 20

    await rig.recorder.record(recordings(1))

    assert len(rig.ledger.batches) == 20 + MAX_DELIVERIES + 1
    assert len(rig.dead_letters.letters) == 1


async def test_poison_whose_audit_row_is_refused_too_holds_up_nobody(rig: Rig) -> None:
    rig.ledger.poison = {"event-0", "0-0"}

    await rig.recorder.record(recordings(2))

    assert rig.ledger.events == ["event-1"]
    assert len(rig.dead_letters.letters) == 1


async def test_a_trimmed_entry_that_is_refused_has_nothing_to_be_set_aside(rig: Rig) -> None:
    rig.ledger.poison = {"9-0"}
    trimmed = RejectedEntry(
        Origin("stream", "9-0"), Outcome.REJECTED, Reason.TRIMMED, "trimmed", b""
    )

    await rig.recorder.record([Recording(None, trimmed), a_recording(0)])

    assert rig.dead_letters.letters == []
    assert rig.ledger.events == ["event-0"]


def _entry(recording: Recording) -> Entry:
    assert recording.entry is not None
    return recording.entry
