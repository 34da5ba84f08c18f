"""The Redis source on a server that is killed, suspended, or turned into a replica."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from structlog.testing import capture_logs

from ingress.redis_connection import connect_redis
from ingress.redis_streams import RedisStreamSource
from tests.streams import SHORTLY, Connect, add, client, pending_ids, source, values
from tests.strictness import give_up
from tests.waiting import wait_until
from worker.embedded.ladder import ServerUnavailable
from worker.embedded.processes import ServerProcess
from worker.embedded.redis_server import find_redis, redis_recipe

STREAM = "events"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A Redis of this test alone, which keeps what it is told through a kill."""
    try:
        program = await find_redis(os.environ)
    except ServerUnavailable as missing:
        give_up(str(missing))
    process = ServerProcess(redis_recipe(program, tmp_path / "redis", durable=True))
    await process.start()
    try:
        yield process
    finally:
        await process.kill()


@pytest.fixture
def connect(server: ServerProcess) -> Connect:
    """Clients that give up on a silent server soon."""
    return partial(
        Redis.from_url,
        f"redis://{server.address}",
        protocol=2,
        socket_timeout=0.4,
        retry=Retry(NoBackoff(), 0),
    )


@pytest.fixture
async def redis(server: ServerProcess) -> AsyncIterator[Redis]:
    """A publisher's client, with more patience."""
    async with client(lambda: Redis.from_url(f"redis://{server.address}", protocol=2)) as opened:
        yield opened


async def until_lost(opened: RedisStreamSource) -> None:
    await wait_until(lambda: "Error" in opened.status().detail, description="the stream is lost")


async def is_blocked(redis: Redis) -> bool:
    clients: Any = await redis.client_list()
    return any("b" in each["flags"] for each in clients)


async def first_entries(opened: RedisStreamSource) -> list[str]:
    """The values of the first reading that has entries."""
    while not (found := await opened.read()).entries:
        pass
    return values(list(found.entries))


async def test_reading_goes_on_after_the_server_was_killed(
    server: ServerProcess, connect: Connect, redis: Redis
) -> None:
    async with source(connect, STREAM, count=2) as opened:
        await add(redis, STREAM, "a", "b", "c")
        first = (await opened.read()).entries
        await server.kill()
        rest = asyncio.create_task(first_entries(opened))
        await until_lost(opened)

        await server.start()
        await opened.acknowledge(first)
        await add(redis, STREAM, "d")

        found = await rest
        while len(found) < 2:
            found += await first_entries(opened)
        assert found == ["c", "d"]
        assert len(await pending_ids(redis, STREAM)) == 2


async def test_a_source_waits_for_a_server_that_is_not_there_yet(
    server: ServerProcess, connect: Connect
) -> None:
    await server.kill()
    async with source(connect, STREAM) as opened:
        with capture_logs() as logs:
            read = asyncio.create_task(opened.read())
            await wait_until(
                lambda: "ConnectionError" in opened.status().detail, description="the refusal"
            )
            await server.start()
            await read

        assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["stream.lost"]
        assert opened.status().connected


async def test_an_entry_delivered_to_a_connection_that_was_given_up_is_read_again(
    server: ServerProcess, connect: Connect, redis: Redis
) -> None:
    # The server goes on blocking after the client gave up, as it does when it is suspended.
    async with source(connect, STREAM, block=SHORTLY * 200) as opened:
        read = asyncio.create_task(opened.read())
        await wait_until(lambda: is_blocked(redis), description="the read blocks")
        server.suspend()
        adding = asyncio.create_task(add(redis, STREAM, "orphan"))
        await until_lost(opened)

        server.resume()
        ids = await adding
        found = (await read).entries

        assert [entry.entry_id for entry in found] == ids
        rows: Any = await redis.xpending_range(STREAM, "g", "-", "+", 10)
        # Delivered twice by the server: that it was an orphan is part of what is shown.
        assert [row["times_delivered"] for row in rows] == [2]


async def test_a_replica_is_left_for_a_primary(
    server: ServerProcess, connect: Connect, redis: Redis
) -> None:
    async with source(connect, STREAM) as opened:
        await opened.read()
        await redis.replicaof("127.0.0.1", "1")
        read = asyncio.create_task(first_entries(opened))
        await until_lost(opened)
        detail = opened.status().detail

        await redis.replicaof("NO", "ONE")
        await add(redis, STREAM, "a")

        assert "ReadOnly" in detail
        assert await read == ["a"]


async def test_a_client_as_it_is_made_for_use_reads_and_gives_up_on_a_silent_server(
    server: ServerProcess, redis: Redis
) -> None:
    connect = partial(connect_redis, f"redis://{server.address}", block=SHORTLY)
    async with source(connect, STREAM, block=SHORTLY) as opened:
        await add(redis, STREAM, "a")

        assert await first_entries(opened) == ["a"]
        server.suspend()
        read = asyncio.create_task(opened.read())
        await until_lost(opened)
        server.resume()
        await read
        assert opened.status().connected
