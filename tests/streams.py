"""Sources and streams for tests: on a real server, or on fakeredis."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis

from ingress.entry import Entry, StreamName
from ingress.redis_streams import RedisStreamSource, StreamReading

Connect = Callable[[], Redis]

SHORTLY = timedelta(milliseconds=50)
NEVER = timedelta(days=1)


def reading(stream: str, **changes: Any) -> StreamReading:
    """Read one stream without claiming anything, unless told otherwise."""
    settings: dict[str, Any] = {
        "streams": [StreamName(stream)],
        "group": "g",
        "consumer": "one",
        "block": SHORTLY,
        "claim_idle": NEVER,
        "claim_period": NEVER,
        "consumer_idle": NEVER,
    }
    return StreamReading(**(settings | changes))


@asynccontextmanager
async def source(
    connect: Connect, stream: str, *, surroundings: dict[str, Any] | None = None, **changes: Any
) -> AsyncGenerator[RedisStreamSource]:
    """An open source; `surroundings` are the constructor's own arguments."""
    opened = RedisStreamSource(reading(stream, **changes), connect, **(surroundings or {}))
    try:
        yield opened
    finally:
        await opened.aclose()


@asynccontextmanager
async def client(connect: Connect) -> AsyncGenerator[Redis]:
    """A client of the test's own."""
    redis = connect()
    try:
        yield redis
    finally:
        await redis.aclose()


async def add(redis: Redis, stream: str, *values: str | bytes) -> list[str]:
    """Add one entry `{"v": value}` each; their ids."""
    ids: list[Any] = [await redis.xadd(stream, {"v": value}) for value in values]
    return [entry_id.decode() for entry_id in ids]


async def pending_ids(redis: Redis, stream: str) -> list[str]:
    """The ids pending in the group of `reading`."""
    rows: Any = await redis.xpending_range(stream, "g", "-", "+", 1000)
    return [row["message_id"].decode() for row in rows]


async def drained(opened: RedisStreamSource) -> list[Entry]:
    """All entries until a read is empty."""
    entries: list[Entry] = []
    while found := await opened.read():
        entries += found.entries
    return entries


def values(entries: list[Entry]) -> list[str]:
    """What `add` wrote."""
    return [entry.fields[b"v"].decode() for entry in entries]
