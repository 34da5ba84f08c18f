"""An entry that was trimmed is audited as trimmed only once nobody has its content any more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

import pytest
from redis.asyncio import Redis

from tests.streams import add, drained, source
from tests.waiting import wait_until

NOW = timedelta(0)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url, protocol=2)
    yield client
    await client.aclose()


async def test_a_trimmed_entry_in_a_living_consumers_hands_is_its_own(
    redis: Redis, redis_url: str, stream_name: str
) -> None:
    connect = partial(Redis.from_url, redis_url, protocol=2)
    async with (
        source(connect, stream_name) as reader,
        source(connect, stream_name, consumer="two", claim_period=NOW) as other,
    ):
        await add(redis, stream_name, "a")
        in_hand = await reader.read()
        await redis.xtrim(stream_name, maxlen=0)

        found = await other.read()

    assert len(in_hand.entries) == 1
    assert (found.entries, found.trimmed) == ([], [])


async def test_a_trimmed_entry_that_was_abandoned_is_found_by_its_id(
    redis: Redis, redis_url: str, stream_name: str
) -> None:
    connect = partial(Redis.from_url, redis_url, protocol=2)
    idle = timedelta(milliseconds=50)
    async with (
        source(connect, stream_name) as reader,
        source(
            connect, stream_name, consumer="two", claim_idle=idle, claim_period=NOW, count=2
        ) as other,
    ):
        [first, *_, last] = await add(redis, stream_name, "a", "b", "c", "d", "e")
        assert len(await drained(reader)) == 5
        await redis.xdel(stream_name, first, last)
        trimmed: list[str] = []
        kept: list[str] = []

        async def found_all() -> bool:
            reading = await other.read()
            trimmed.extend(entry.entry_id for entry in reading.trimmed)
            kept.extend(entry.fields[b"v"].decode() for entry in reading.entries)
            return len(trimmed) + len(kept) == 5

        await wait_until(found_all, description="every abandoned entry is found")

    assert sorted(trimmed) == sorted([first, last])
    assert kept == ["b", "c", "d"]
