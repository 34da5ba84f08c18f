"""A wait registered while its event arrives: over 16 connections, and without the lock."""

from __future__ import annotations

import pytest

from pointsman.contract import Cardinality
from routing import matching, waits
from tests.race.findings import look
from tests.race.pairs import Race, run_race

# Ends what hangs; how long it takes is the machine's business.
pytestmark = pytest.mark.timeout(600)


async def test_ten_thousand_racing_pairs_each_meet_exactly_once(database_url: str) -> None:
    await run_race(database_url, Race(range(10_000)))

    found = look(database_url)
    assert found.flawless
    assert (found.events, found.waits, found.deliveries) == (10_000, 10_000, 10_000)
    assert found.unmatched == 0
    # Both ways to meet were taken, or nothing raced.
    assert 0 < found.looked_back < found.deliveries


async def test_pairs_that_race_on_a_few_hot_keys_all_meet(database_url: str) -> None:
    await run_race(database_url, Race(range(600), hot_keys=10))

    found = look(database_url)
    assert found.flawless
    assert found.deliveries == 10 * 60 * 60
    assert 0 < found.looked_back < found.deliveries


async def test_an_event_that_races_against_exclusive_waits_goes_to_one(database_url: str) -> None:
    race = Race(range(1_000), hot_keys=250, cardinality=Cardinality.EXCLUSIVE)

    await run_race(database_url, race)

    found = look(database_url)
    assert found.flawless
    assert (found.events, found.deliveries, found.unmatched) == (1_000, 1_000, 0)


async def test_without_the_lock_the_same_race_loses_pairs(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (matching, waits):
        monkeypatch.setattr(module, "LOCK_KEYS", module.LOCK_KEYS)  # put back at the end

    await run_race(database_url, Race(range(1_000), locked=False))

    found = look(database_url)
    assert found.lost > 0
    assert found.unmatched > 0
    assert found.deliveries < 1_000
