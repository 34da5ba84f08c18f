"""What the consumer does with an entry that was in hand when processes died."""

from __future__ import annotations

import asyncio

import pytest

from correlation.reason import Outcome, Reason
from ingress.entry import DeadlyEntry, EntryId, Reading
from tests.unit.worker.fakes import STREAM, an_entry
from tests.unit.worker.test_consumer import Rig
from tests.waiting import wait_until


async def ran(rig: Rig, acknowledged: int) -> None:
    """Let the loop run until so many entries are acknowledged."""
    stopping = asyncio.Event()
    running = asyncio.create_task(rig.consumer.run(stopping))
    await wait_until(
        lambda: len(rig.source.acknowledged) == acknowledged, description="all are acknowledged"
    )
    stopping.set()
    await running


async def test_a_suspect_is_recorded_with_nothing_else_in_work() -> None:
    rig = Rig(
        Reading([an_entry(1), an_entry(2)]),
        Reading([an_entry(3)], alone=True),
        Reading([an_entry(4)]),
    )

    await ran(rig, 4)

    assert [each for each in rig.journal if each != "submitted"] == [
        "recorded",
        "acknowledged",
        "recorded",
        "survived",
        "acknowledged",
        "recorded",
        "acknowledged",
    ]
    assert rig.source.survivors == ["3-0"]


@pytest.mark.parametrize("loop", [True, False])
async def test_an_outage_counts_as_survived_before_it_is_waited_for(loop: bool) -> None:
    rig = Rig(Reading([an_entry(1)], alone=True))
    rig.ledger.outages = 3

    await (ran(rig, 1) if loop else rig.consumer.run_until_idle())

    assert rig.journal[:4] == ["survived", "paused", "paused", "recorded"]


async def test_a_suspect_that_is_refused_is_poison_like_every_other() -> None:
    rig = Rig(Reading([an_entry(1)], alone=True))
    rig.ledger.poison = {"event-1"}

    await ran(rig, 1)

    [(letter, reason, _)] = rig.dead_letters.letters
    assert (letter.entry_id, reason) == ("1-0", Reason.POISON)
    assert rig.source.survivors == ["1-0"]


@pytest.mark.parametrize("tenant", [None, "acme"])
async def test_a_deadly_entry_is_audited_by_what_is_known_of_it(tenant: str | None) -> None:
    deadly = DeadlyEntry(STREAM, EntryId("1-0"), "it died of this")
    rig = Rig(Reading([an_entry(2)], deadly=[deadly]), tenant=tenant)

    await ran(rig, 2)

    [rejected] = rig.ledger.rejected
    assert (rejected.outcome, rejected.reason) == (Outcome.REJECTED, Reason.KILLS_PROCESS)
    assert (rejected.detail, rejected.raw) == ("it died of this", b"")
    assert rejected.tenant == (tenant or "")
    assert rig.dead_letters.letters == []
