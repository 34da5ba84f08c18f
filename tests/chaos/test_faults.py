"""Each fault alone, on the real program with two consumers: nothing lost, nothing doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.course import ALL_FAULTS, endure
from tests.chaos.site import Site

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]


async def alone(site: Site, fault: str) -> None:
    findings = await endure(site, [ALL_FAULTS[fault]], seed=1, entries=400, seconds=8)

    assert findings.clean, str(findings)
    assert findings.entries > 300
    assert findings.signals > 100


async def test_two_consumers_that_race_share_the_work(site: Site) -> None:
    await alone(site, "two_consumers_racing")


async def test_consumers_that_are_killed_again_and_again(site: Site) -> None:
    await alone(site, "consumer_killed")


async def test_a_consumer_that_comes_back_after_its_entries_were_claimed(site: Site) -> None:
    await alone(site, "consumer_zombie")


async def test_redis_killed_and_started_again(site: Site) -> None:
    await alone(site, "redis_killed")


async def test_redis_that_stops_without_closing_a_socket(site: Site) -> None:
    await alone(site, "redis_stopped")


async def test_redis_behind_a_black_hole(site: Site) -> None:
    await alone(site, "redis_black_holed")


async def test_redis_whose_connections_are_reset(site: Site) -> None:
    await alone(site, "redis_cut")


async def test_redis_flushed(site: Site) -> None:
    await alone(site, "redis_flushed")


async def test_the_group_deleted(site: Site) -> None:
    await alone(site, "group_deleted")


async def test_the_stream_deleted(site: Site) -> None:
    await alone(site, "stream_deleted")


async def test_entries_trimmed_while_pending(site: Site) -> None:
    await alone(site, "trimmed_while_pending")


async def test_entries_trimmed_while_unread(site: Site) -> None:
    await alone(site, "trimmed_while_unread")


async def test_redis_out_of_memory(site: Site) -> None:
    await alone(site, "redis_out_of_memory")


async def test_redis_that_is_read_only(site: Site) -> None:
    await alone(site, "redis_read_only")


async def test_postgres_stopped_at_once(site: Site) -> None:
    await alone(site, "postgres_killed")


async def test_postgres_that_stops_without_closing_a_socket(site: Site) -> None:
    await alone(site, "postgres_stopped")


async def test_postgres_behind_a_black_hole(site: Site) -> None:
    await alone(site, "postgres_black_holed")


async def test_connections_cut_before_commit(site: Site) -> None:
    await alone(site, "cut_before_commit")


async def test_connections_cut_after_commit(site: Site) -> None:
    await alone(site, "cut_after_commit")


async def test_locks_held_by_a_stranger(site: Site) -> None:
    await alone(site, "locks_held")


async def test_a_deadlock_that_the_program_loses(site: Site) -> None:
    await alone(site, "deadlock")


async def test_connections_exhausted(site: Site) -> None:
    await alone(site, "connections_exhausted")


async def test_a_full_disk(site: Site) -> None:
    await alone(site, "disk_full")


async def test_temporal_killed_and_started_again(site: Site) -> None:
    await alone(site, "temporal_killed")


async def test_temporal_that_stops_without_closing_a_socket(site: Site) -> None:
    await alone(site, "temporal_stopped")


async def test_temporal_behind_a_black_hole(site: Site) -> None:
    await alone(site, "temporal_black_holed")


async def test_temporal_that_is_slow(site: Site) -> None:
    await alone(site, "temporal_slow")


async def test_temporal_whose_connections_are_reset(site: Site) -> None:
    await alone(site, "temporal_cut")


def test_every_fault_has_its_test() -> None:
    source = Path(__file__).read_text()

    missing = [fault for fault in ALL_FAULTS if f'await alone(site, "{fault}")' not in source]

    assert missing == []
