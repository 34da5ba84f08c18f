"""The Redis source on a real server that is flushed, trimmed, raced against."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from correlation.event import Event
from correlation.reason import Reason
from ingress.entry import Malformed, StreamName
from ingress.envelope import decode
from ingress.redis_connection import connect_redis
from ingress.stream_group import StreamGroup
from tests.streams import (
    NEVER,
    SHORTLY,
    Connect,
    add,
    client,
    drained,
    pending_ids,
    source,
    values,
)
from tests.waiting import wait_until

NOW = SHORTLY * 0
LONG = SHORTLY * 200

Remove = Callable[[str], Awaitable[Any]]


@pytest.fixture
def connect(redis_url: str) -> Connect:
    return partial(connect_redis, redis_url, block=LONG)


@pytest.fixture
async def redis(connect: Connect) -> AsyncIterator[Redis]:
    async with client(connect) as opened:
        yield opened


def group_of(redis: Redis, stream: str, consumer: str = "one") -> StreamGroup:
    return StreamGroup(redis, StreamName(stream), "g", consumer)


async def blocked(redis: Redis) -> bool:
    """Whether some client waits in a blocking read of this test's database."""
    clients: Any = await redis.client_list()
    own: Any = redis.connection_pool.connection_kwargs.get("db", 0)
    return any("b" in each["flags"] and int(each["db"]) == int(own) for each in clients)


async def consumers(redis: Redis, stream: str) -> set[str]:
    rows: Any = await redis.xinfo_consumers(stream, "g")
    return {row["name"].decode() for row in rows}


async def test_a_blocked_read_wakes_up_with_the_first_entry(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    async with source(connect, stream_name, block=LONG) as opened:
        read = asyncio.create_task(opened.read())
        await wait_until(lambda: blocked(redis), description="the read blocks")

        await add(redis, stream_name, "a")

        assert values(list((await read).entries)) == ["a"]


async def test_an_acknowledgement_does_not_wait_behind_a_blocked_read(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    async with source(connect, stream_name, block=LONG) as opened:
        await add(redis, stream_name, "a")
        entries = (await opened.read()).entries
        read = asyncio.create_task(opened.read())
        await wait_until(lambda: blocked(redis), description="the read blocks")

        await opened.acknowledge(entries)

        assert await pending_ids(redis, stream_name) == []
        assert not read.done()
        read.cancel()
        await asyncio.wait({read})


async def test_a_flushed_server_is_read_from_the_beginning(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    async with source(connect, stream_name, block=LONG) as opened:
        read = asyncio.create_task(opened.read())
        await wait_until(lambda: blocked(redis), description="the read blocks")

        await redis.flushdb()
        await wait_until(
            lambda: redis.exists(stream_name), description="stream and group are made again"
        )
        await add(redis, stream_name, "after")

        assert values(list((await read).entries)) == ["after"]


async def test_entries_added_before_a_flush_is_noticed_are_read(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    async with source(connect, stream_name) as opened:
        await opened.read()
        await redis.flushdb()
        await add(redis, stream_name, "a", "b", "c")

        assert values(await drained(opened)) == ["a", "b", "c"]


async def test_a_large_abandoned_backlog_is_claimed_to_its_end(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    ids = await add(redis, stream_name, *(str(number) for number in range(137)))
    async with source(connect, stream_name, consumer="gone", count=500) as gone:
        await drained(gone)
    await redis.xdel(stream_name, *ids[10:20])

    async with source(connect, stream_name, claim_idle=NOW, count=10) as opened:
        entries, trimmed = [], []
        while found := await opened.read():
            entries += [entry.entry_id for entry in found.entries]
            trimmed += [entry.entry_id for entry in found.trimmed]

        assert entries == [*ids[:10], *ids[20:]]
        assert trimmed == ids[10:20]


async def test_an_undecodable_entry_does_not_hold_up_its_neighbours(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    good: dict[Any, Any] = {"tenant": "acme", "event_id": "1", "event_type": "PAID"}
    for fields in (good, good | {"tenant": b"\xff\xfe"}, good | {"event_id": "2"}):
        await redis.xadd(stream_name, fields)

    async with source(connect, stream_name) as opened:
        entries = (await opened.read()).entries
        decoded = [decode(entry.fields) for entry in entries]
        await opened.acknowledge(entries)

    assert [type(each) for each in decoded] == [Event, Malformed, Event]
    assert isinstance(decoded[1], Malformed)
    assert decoded[1].reason is Reason.NOT_UTF8
    assert await pending_ids(redis, stream_name) == []


async def test_entries_trimmed_before_they_were_read_raise_one_alarm(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    async with source(connect, stream_name) as opened:
        await add(redis, stream_name, "a", "b")
        await drained(opened)
        await add(redis, stream_name, *(str(number) for number in range(8)))
        await redis.xtrim(stream_name, maxlen=3, approximate=False)

        with capture_logs() as logs:
            found = [await opened.check_trimming() for _ in range(2)]
            rest = values(await drained(opened))

    alarms = [line for line in logs if line["event"] == "stream.trimmed_unread"]
    assert found == [{stream_name: 5}] * 2
    assert [(alarm["stream"], alarm["entries"]) for alarm in alarms] == [(stream_name, 5)]
    assert rest == ["5", "6", "7"]


async def test_a_stream_trimmed_before_the_group_existed_raises_no_alarm(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    await add(redis, stream_name, *(str(number) for number in range(8)))
    await redis.xtrim(stream_name, maxlen=3, approximate=False)

    async with source(connect, stream_name) as opened:
        await drained(opened)

        assert await opened.check_trimming() == {stream_name: 0}


async def test_entries_trimmed_after_they_were_read_raise_no_alarm(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    async with source(connect, stream_name) as opened:
        await add(redis, stream_name, *(str(number) for number in range(8)))
        await drained(opened)
        await redis.xtrim(stream_name, maxlen=0, approximate=False)

        assert await opened.check_trimming() == {stream_name: 0}


async def test_a_consumer_leaves_when_nothing_is_pending_for_it(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    await add(redis, stream_name, "a")
    async with source(connect, stream_name, consumer="tidy") as tidy:
        await tidy.acknowledge((await tidy.read()).entries)
        present = await consumers(redis, stream_name)

    assert present == {"tidy"}
    assert await consumers(redis, stream_name) == set()


async def test_a_consumer_with_pending_entries_stays(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    ids = await add(redis, stream_name, "a")
    async with source(connect, stream_name, consumer="busy") as busy:
        await busy.read()

    assert await consumers(redis, stream_name) == {"busy"}
    assert await pending_ids(redis, stream_name) == ids


async def test_idle_consumers_are_removed_when_empty_and_only_then(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    await group_of(redis, stream_name).ensure()
    ids = await add(redis, stream_name, "a")
    await redis.xreadgroup("g", "busy", {stream_name: ">"})
    await redis.xgroup_createconsumer(stream_name, "g", "empty")

    async with source(connect, stream_name, consumer_idle=NOW, claim_idle=NEVER) as opened:
        # Redis 7.0 makes a consumer with the first entry that it is given.
        ids += await add(redis, stream_name, "b")
        await opened.read()

        assert await consumers(redis, stream_name) == {"busy", "one"}
        assert await pending_ids(redis, stream_name) == ids


async def entries_dropped(redis: Redis, stream: str, remove: Remove, entries: int) -> int:
    """Read and acknowledge one by one, while somebody removes the consumer again and again."""
    group = group_of(redis, stream, "raced")
    await group.ensure()
    await add(redis, stream, *(str(number) for number in range(entries)))
    dropped = 0

    async def read_all() -> None:
        nonlocal dropped
        for _ in range(entries):
            reply: Any = await redis.xreadgroup("g", "raced", {stream: ">"}, count=1)
            acknowledged: Any = await redis.xack(stream, "g", reply[0][1][0][0])
            dropped += 1 - acknowledged

    reading = asyncio.create_task(read_all())
    while not reading.done():
        await remove("raced")
    await reading
    return dropped


async def test_removing_a_consumer_never_drops_what_it_has_pending(
    redis: Redis, stream_name: str
) -> None:
    remove = group_of(redis, stream_name).remove_consumer

    assert await entries_dropped(redis, stream_name, remove, 1000) == 0


async def test_the_race_does_drop_entries_when_looking_and_removing_are_two_steps(
    redis: Redis, stream_name: str
) -> None:
    async def remove(name: str) -> None:
        if not await redis.xpending_range(stream_name, "g", "-", "+", 1, consumername=name):
            await redis.xgroup_delconsumer(stream_name, "g", name)

    assert await entries_dropped(redis, stream_name, remove, 1000) > 0


async def test_two_consumers_share_a_stream_without_doubling(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    ids = await add(redis, stream_name, *(str(number) for number in range(300)))

    async with (
        source(connect, stream_name, consumer="one", count=7) as one,
        source(connect, stream_name, consumer="two", count=7) as two,
    ):
        found = await asyncio.gather(drained(one), drained(two))

        assert sorted(entry.entry_id for each in found for entry in each) == sorted(ids)
