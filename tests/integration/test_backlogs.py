"""How much stands in streams and tables, as it is measured on real servers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from redis import Redis

from ingress.backlog import StreamBacklogs, StreamsUnavailable
from ingress.entry import StreamName
from ingress.redis_connection import connect_redis
from routing.backlog import measure_backlog, oldest_unattempted
from routing.database import Database
from routing.matching import Matcher, Matching
from routing.waits import Waits
from tests.builders import a_wait, incoming
from tests.rows import execute

BLOCK = timedelta(milliseconds=100)


async def test_the_backlog_of_a_stream_is_measured(redis_url: str, stream_name: str) -> None:
    backlogs = StreamBacklogs(
        lambda: connect_redis(redis_url, block=BLOCK), [StreamName(stream_name)], "group"
    )
    with Redis.from_url(redis_url) as redis:
        [nothing] = await backlogs.measure()
        redis.xgroup_create(stream_name, "group", id="0", mkstream=True)
        long_ago = int(redis.time()[0]) - 100
        for number in range(5):
            redis.xadd(stream_name, {"number": number}, id=f"{long_ago * 1000}-{number + 1}")
        redis.xreadgroup("group", "consumer", {stream_name: ">"}, count=2)
        redis.xadd(f"{stream_name}:dlq", {"dlq_reason": "poison"})

        [found] = await backlogs.measure()
        await backlogs.aclose()

    assert (nothing.length, nothing.unread, nothing.oldest_pending) == (0, 0, None)
    assert (found.length, found.unread, found.pending, found.dead_letters) == (5, 3, 2, 1)
    assert found.oldest_pending is not None
    assert timedelta(seconds=99) <= found.oldest_pending < timedelta(seconds=160)
    assert found.oldest_unread is not None
    assert timedelta(seconds=99) <= found.oldest_unread < timedelta(seconds=160)


async def test_entries_that_were_trimmed_unread_are_counted(
    redis_url: str, stream_name: str
) -> None:
    backlogs = StreamBacklogs(
        lambda: connect_redis(redis_url, block=BLOCK), [StreamName(stream_name)], "group"
    )
    with Redis.from_url(redis_url) as redis:
        redis.xgroup_create(stream_name, "group", id="0", mkstream=True, entries_read=0)
        for number in range(5):
            redis.xadd(stream_name, {"number": number})
        redis.xtrim(stream_name, maxlen=2, approximate=False)

        [found] = await backlogs.measure()
        await backlogs.aclose()

    assert found.trimmed_unread == 3


async def test_a_redis_that_is_away_is_said_to_be() -> None:
    nowhere = StreamBacklogs(
        lambda: connect_redis("redis://127.0.0.1:1", block=BLOCK), [StreamName("s")], "group"
    )

    with pytest.raises(StreamsUnavailable):
        await nowhere.measure()
    await nowhere.aclose()


async def test_the_backlog_of_the_tables_is_exact_while_it_is_little(
    database: Database, matcher: Matcher, waits: Waits
) -> None:
    await waits.register([a_wait(key="7"), a_wait(key="7"), a_wait(key="8")])
    await matcher.record([incoming(key="7"), incoming(key="9")])

    found = await measure_backlog(database)

    assert (found.open_waits, found.available_events, found.pending_deliveries) == (3, 2, 2)
    assert found.oldest_pending is not None
    assert found.oldest_pending >= timedelta()


async def test_the_backlog_of_the_tables_is_estimated_beyond_its_limit(
    database: Database, waits: Waits
) -> None:
    await waits.register([a_wait(key=f"key-{number}") for number in range(50)])
    before = await measure_backlog(database, limit=10)
    async with database.transaction() as connection:
        await connection.execute("ANALYZE workflow_run_waits")

    after = await measure_backlog(database, limit=10)

    assert (before.open_waits, after.open_waits) == (10, 50)
    assert replace(after, open_waits=0).pending_deliveries == 0


async def test_the_oldest_delivery_that_nobody_attempted_is_found(
    database: Database, database_url: str
) -> None:
    await Waits(database).register(
        [a_wait(key=key, workflow_id=f"workflow-{key}") for key in ("1", "2")]
    )
    matcher = Matcher(database, Matching(owner="nobody", delivers=False))
    for event_id, key in (("tried", "1"), ("behind it", "1"), ("untried", "2"), ("later", "2")):
        await matcher.record([incoming(key=key, event_id=event_id)])
    execute(
        database_url,
        "UPDATE workflow_event_deliveries SET attempts = 1, due_at = now() + interval '1 hour'"
        " WHERE event_id = 'tried'",
    )

    found = await oldest_unattempted(database)
    elsewhere = await oldest_unattempted(database, ["another"])

    assert found is not None
    assert (found.tenant, found.event_id) == ("acme", "untried")
    assert elsewhere is None
