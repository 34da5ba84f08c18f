"""A stream is trimmed behind the slowest of its groups, after a time, and nowhere else."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis

from ingress.backlog import StreamsUnavailable
from ingress.entry import StreamName
from ingress.redis_connection import connect_redis
from ingress.stream_retention import StreamRetention, Trimmed

WEEK = timedelta(days=7)
DAY_MS = 86_400_000


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url, protocol=2)
    yield client
    await client.aclose()


@pytest.fixture
def stream() -> StreamName:
    return StreamName(f"s:{uuid.uuid4().hex[:8]}")


def days_ago(days: float, number: int = 0) -> str:
    return f"{int(time.time() * 1000 - days * DAY_MS)}-{number}"


async def add(redis: Redis, stream: str, *ids: str) -> None:
    for entry_id in ids:
        await redis.xadd(stream, {"n": "1"}, id=entry_id)


async def read(redis: Redis, stream: str, group: str, count: int) -> list[bytes]:
    reply: Any = await redis.xreadgroup(group, "c", {stream: ">"}, count=count)
    return [entry_id for entry_id, _ in reply[0][1]]


async def ids_in(redis: Redis, stream: str) -> list[str]:
    entries: Any = await redis.xrange(stream)
    return [entry_id.decode() for entry_id, _ in entries]


async def trimmed(redis_url: str, *streams: StreamName, age: timedelta = WEEK) -> list[Trimmed]:
    retention = StreamRetention(
        partial(connect_redis, redis_url, block=timedelta(seconds=1)), streams, age
    )
    try:
        return list(await retention.trim())
    finally:
        await retention.aclose()


async def test_what_is_old_and_acknowledged_goes_and_what_is_young_stays(
    redis: Redis, redis_url: str, stream: StreamName
) -> None:
    old, young = [days_ago(9, n) for n in range(5)], days_ago(6)
    await add(redis, stream, *old, young)
    await redis.xgroup_create(stream, "g", "0")
    await redis.xack(stream, "g", *await read(redis, stream, "g", 6))

    assert await trimmed(redis_url, stream) == [Trimmed(stream, 5)]
    assert await ids_in(redis, stream) == [young]
    assert await trimmed(redis_url, stream) == [Trimmed(stream, 0)]


async def test_a_pending_entry_of_any_consumer_holds_what_comes_after_it(
    redis: Redis, redis_url: str, stream: StreamName
) -> None:
    entries = [days_ago(9, n) for n in range(5)]
    await add(redis, stream, *entries)
    await redis.xgroup_create(stream, "g", "0")
    found = await read(redis, stream, "g", 5)
    await redis.xack(stream, "g", found[0], found[1], found[3], found[4])

    [result] = await trimmed(redis_url, stream)

    assert result == Trimmed(stream, 2, held_by="g", held_from=entries[2])
    assert await ids_in(redis, stream) == entries[2:]
    assert await redis.xclaim(stream, "g", "other", 0, [entries[2]])


async def test_the_slowest_group_counts_also_one_that_is_not_ours(
    redis: Redis, redis_url: str, stream: StreamName
) -> None:
    entries = [days_ago(9, n) for n in range(6)]
    await add(redis, stream, *entries)
    for group, count in (("ours", 6), ("slow", 2), ("done", 6)):
        await redis.xgroup_create(stream, group, "0")
        await redis.xack(stream, group, *await read(redis, stream, group, count))

    [result] = await trimmed(redis_url, stream)

    assert result == Trimmed(stream, 2, held_by="slow", held_from=entries[2])
    assert await ids_in(redis, stream) == entries[2:]


@pytest.mark.parametrize("group", [None, "fresh"])
async def test_what_nobody_has_read_stays_whatever_its_age(
    redis: Redis, redis_url: str, stream: StreamName, group: str | None
) -> None:
    entries = [days_ago(900, n) for n in range(3)]
    await add(redis, stream, *entries)
    if group is not None:
        await redis.xgroup_create(stream, group, "0")

    [result] = await trimmed(redis_url, stream)

    assert result.entries == 0
    assert await ids_in(redis, stream) == entries


async def test_ids_that_no_double_can_hold_are_compared_exactly(
    redis: Redis, redis_url: str, stream: StreamName
) -> None:
    largest = 2**64 - 1
    entries = [f"7-{largest - 2}", f"7-{largest - 1}", f"7-{largest}", "8-0"]
    await add(redis, stream, *entries)
    await redis.xgroup_create(stream, "g", "0")
    await redis.xack(stream, "g", *await read(redis, stream, "g", 2))

    await trimmed(redis_url, stream)

    assert await ids_in(redis, stream) == entries[1:]


async def test_every_shard_is_trimmed_and_a_stream_that_is_not_there_is_none(
    redis: Redis, redis_url: str, stream: StreamName
) -> None:
    shards = [StreamName(f"{stream}:{number}-of-2") for number in range(2)]
    for shard in shards:
        await add(redis, shard, days_ago(8))
        await redis.xgroup_create(shard, "g", "0")
        await redis.xack(shard, "g", *await read(redis, shard, "g", 1))

    results = await trimmed(redis_url, *shards, StreamName(f"{stream}:none"))

    assert [result.entries for result in results] == [1, 1, 0]
    assert not await redis.exists(f"{stream}:none")


async def test_many_entries_go_in_portions_and_the_lag_stays_right(
    redis: Redis, redis_url: str, stream: StreamName
) -> None:
    async with redis.pipeline(transaction=False) as pipeline:
        for number in range(25_000):
            pipeline.xadd(stream, {"n": "1"}, id=f"1-{number + 1}")
        await pipeline.execute()
    await redis.xgroup_create(stream, "g", "0", entries_read=0)
    await redis.xack(stream, "g", *await read(redis, stream, "g", 24_990))

    [result] = await trimmed(redis_url, stream)
    [group] = await redis.xinfo_groups(stream)

    assert (result.entries, await redis.xlen(stream), group["lag"]) == (24_990, 10, 10)


async def test_a_server_that_is_away_is_said_to_be(stream: StreamName) -> None:
    with pytest.raises(StreamsUnavailable):
        await trimmed("redis://127.0.0.1:1/0", stream)
