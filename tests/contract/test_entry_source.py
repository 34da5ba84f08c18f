"""What every source of entries does, on a real server as on fakeredis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import fakeredis
import pytest
from redis.asyncio import Redis

from ingress.entry import Entry, StreamName
from ingress.redis_connection import connect_redis
from tests.streams import (
    SHORTLY,
    Connect,
    add,
    client,
    drained,
    pending_ids,
    source,
    values,
)

NOW = SHORTLY * 0


@pytest.fixture(params=["fakeredis", "redis"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """How a source under test gets its clients."""
    if request.param == "redis":
        return partial(connect_redis, request.getfixturevalue("redis_url"), block=SHORTLY)
    return partial(fakeredis.FakeAsyncRedis, server=fakeredis.FakeServer(), protocol=2)


@pytest.fixture
async def redis(connect: Connect) -> AsyncIterator[Redis]:
    """A publisher's client."""
    async with client(connect) as opened:
        yield opened


async def test_entries_come_in_order_as_bytes(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    ids = await add(redis, stream_name, "a", b"\xff", "c")

    async with source(connect, stream_name) as opened:
        reading = await opened.read()

        assert [entry.entry_id for entry in reading.entries] == ids
        assert [entry.fields for entry in reading.entries] == [
            {b"v": b"a"},
            {b"v": b"\xff"},
            {b"v": b"c"},
        ]
        assert {(entry.stream, entry.claimed) for entry in reading.entries} == {
            (stream_name, False)
        }


async def test_a_read_without_entries_is_empty(connect: Connect, stream_name: str) -> None:
    async with source(connect, stream_name) as opened:
        assert not await opened.read()
        assert opened.status().connected


async def test_entries_added_before_the_group_existed_are_read(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    await add(redis, stream_name, "early")

    async with source(connect, stream_name) as opened:
        entries = await drained(opened)

        assert values(entries) == ["early"]


async def test_an_entry_is_handed_out_once(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    async with source(connect, stream_name, claim_idle=NOW, claim_period=NOW) as opened:
        await add(redis, stream_name, "a")
        first = await drained(opened)

        await add(redis, stream_name, "b")

        assert values(first) == ["a"]
        assert values(await drained(opened)) == ["b"]


async def test_an_acknowledged_entry_is_not_pending(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    ids = await add(redis, stream_name, "a", "b")

    async with source(connect, stream_name) as opened:
        entries = await drained(opened)
        await opened.acknowledge(entries[:1])

        assert await pending_ids(redis, stream_name) == ids[1:]


async def test_acknowledging_nothing_or_twice_is_harmless(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    await add(redis, stream_name, "a")

    async with source(connect, stream_name) as opened:
        entries = await drained(opened)
        for acknowledged in ([], entries, entries):
            await opened.acknowledge(acknowledged)

        assert await pending_ids(redis, stream_name) == []


async def test_a_consumer_that_comes_back_reads_what_it_had_not_acknowledged(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    await add(redis, stream_name, "a", "b", "c")
    async with source(connect, stream_name) as earlier:
        entries = await drained(earlier)
        await earlier.acknowledge(entries[:1])
    await add(redis, stream_name, "d")

    async with source(connect, stream_name, count=1) as opened:
        again = await drained(opened)

        assert values(again) == ["b", "c", "d"]
        assert [entry.claimed for entry in again] == [True, True, False]


async def test_an_abandoned_entry_is_claimed(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    await add(redis, stream_name, *(str(number) for number in range(7)))
    async with source(connect, stream_name, consumer="gone") as gone:
        await gone.read()
    await add(redis, stream_name, "new")

    async with source(connect, stream_name, claim_idle=NOW, count=2) as opened:
        entries = await drained(opened)

        assert values(entries) == [*(str(number) for number in range(7)), "new"]
        assert [entry.claimed for entry in entries] == [True] * 7 + [False]


async def test_an_entry_that_is_pending_for_a_short_time_is_not_claimed(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    await add(redis, stream_name, "a")

    async with (
        source(connect, stream_name, consumer="slow") as slow,
        source(connect, stream_name, claim_period=NOW) as opened,
    ):
        await slow.read()

        assert not await opened.read()


async def test_a_lost_reply_is_read_again_while_the_source_goes_on(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    async with source(connect, stream_name, claim_period=NOW) as opened:
        await opened.read()
        await add(redis, stream_name, "orphan")
        await redis.xreadgroup("g", "one", {stream_name: ">"})

        entries = await drained(opened)

        assert values(entries) == ["orphan"]


async def test_a_released_entry_is_handed_out_again(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    await add(redis, stream_name, "a", "b")

    async with source(connect, stream_name) as opened:
        first = await drained(opened)
        opened.release(first[1:])

        assert values(await drained(opened)) == ["b"]


async def test_a_cancelled_read_loses_nothing(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    added: list[str] = []
    found: list[Entry] = []
    async with source(connect, stream_name) as opened:
        for number in range(25):
            read = asyncio.create_task(opened.read())
            added += await add(redis, stream_name, str(number))
            read.cancel()
            await asyncio.wait({read})
            if not read.cancelled():
                found += read.result().entries

        found += await drained(opened)

        assert sorted(entry.entry_id for entry in found) == sorted(added)


async def test_a_batch_is_bounded_in_count_and_bytes(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    await add(redis, stream_name, *("x" * 100 for _ in range(5)), "y" * 1000, "z")

    async with source(connect, stream_name, count=4, max_bytes=303) as opened:
        batches: list[int] = []
        while found := await opened.read():
            batches.append(len(found.entries))

        assert batches == [3, 1, 1, 1, 1]


async def test_several_streams_are_read_at_once(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    streams = [StreamName(stream_name), StreamName(f"{stream_name}:2")]
    await add(redis, streams[0], "a", "b")
    await add(redis, streams[1], "c")

    async with source(connect, "", streams=streams, count=2) as opened:
        entries = await drained(opened)
        await opened.acknowledge(entries)

        assert sorted((entry.stream, *values([entry])) for entry in entries) == [
            (streams[0], "a"),
            (streams[0], "b"),
            (streams[1], "c"),
        ]
        assert [await pending_ids(redis, stream) for stream in streams] == [[], []]


async def test_an_entry_trimmed_while_pending_for_another_consumer_is_told(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    ids = await add(redis, stream_name, "a", "b")
    async with source(connect, stream_name, consumer="gone") as gone:
        await gone.read()
    await redis.xdel(stream_name, ids[0])

    async with source(connect, stream_name, claim_idle=NOW) as opened:
        reading = await opened.read()

        assert [entry.entry_id for entry in reading.trimmed] == ids[:1]
        assert values(list(reading.entries)) == ["b"]


async def test_an_entry_trimmed_while_pending_for_itself_is_told_until_acknowledged(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    ids = await add(redis, stream_name, "a", "b")
    async with source(connect, stream_name) as earlier:
        await earlier.read()
    await redis.xdel(stream_name, ids[0])

    async with source(connect, stream_name) as opened:
        reading = await opened.read()
        await opened.acknowledge([*reading.entries, *reading.trimmed])

        assert [entry.entry_id for entry in reading.trimmed] == ids[:1]
        assert await pending_ids(redis, stream_name) == []
        assert not await opened.read()


async def test_a_stream_or_group_that_disappears_is_made_anew(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    async with source(connect, stream_name) as opened:
        await opened.read()
        await redis.delete(stream_name)
        await add(redis, stream_name, "after")

        entries = await drained(opened)

        assert values(entries) == ["after"]
        assert opened.status().connected
