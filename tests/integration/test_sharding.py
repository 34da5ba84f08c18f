"""Shards on a real Redis: order per key with several consumers, and another number of shards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from functools import partial

import pytest
from redis.asyncio import Redis

from ingress.entry import Entry, StreamName
from ingress.redis_connection import connect_redis
from ingress.redis_streams import RedisStreamSource
from pointsman import DomainEvent, Publisher
from pointsman.shard_names import shard_streams
from tests.streams import SHORTLY, Connect, client, drained, source

KEYS = [f"invoice-{number}" for number in range(20)]
RULES = {"INVOICE_PAID": "invoice.id"}


@pytest.fixture
def connect(redis_url: str) -> Connect:
    return partial(connect_redis, redis_url, block=SHORTLY)


@pytest.fixture
async def redis(connect: Connect) -> AsyncIterator[Redis]:
    async with client(connect) as opened:
        yield opened


class Publishing:
    """Publishes rounds of one event for each key, to whatever layout is in force."""

    def __init__(self, redis: Redis, stream: str) -> None:
        self._redis, self._stream = redis, stream
        self.published: dict[str, list[str]] = defaultdict(list)

    async def rounds(self, count: int, shards: int) -> None:
        publisher = Publisher(self._redis, stream=self._stream, shards=shards, rules=RULES)
        for _ in range(count):
            events = [self._event(key) for key in KEYS]
            await publisher.publish_many(events)

    def _event(self, key: str) -> DomainEvent:
        event_id = f"{key}/{len(self.published[key])}"
        self.published[key].append(event_id)
        return DomainEvent(
            name="INVOICE_PAID", tenant="acme", event_id=event_id, payload={"invoice": {"id": key}}
        )


def by_key(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """The ids of the events as they were read, by the key that stands in each."""
    found: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        event_id = entry.fields[b"event_id"].decode()
        found[event_id.partition("/")[0]].append(event_id)
    return found


async def read_all(connect: Connect, streams: Sequence[str], consumers: int) -> list[list[Entry]]:
    """Every consumer takes its share of the streams; they read in turns until all are empty."""
    async with AsyncExitStack() as stack:
        sources: list[RedisStreamSource] = []
        for number in range(consumers):
            taken = [StreamName(name) for name in streams[number::consumers]]
            reading = source(
                connect, taken[0], streams=taken, consumer=f"consumer-{number}", count=7
            )
            sources.append(await stack.enter_async_context(reading))
        found = []
        for opened in sources:
            entries = await drained(opened)
            await opened.acknowledge(entries)
            found.append(entries)
    return found


async def test_a_key_is_read_in_order_by_one_of_many_consumers(
    redis: Redis, connect: Connect, stream_name: str
) -> None:
    publishing = Publishing(redis, stream_name)
    await publishing.rounds(10, shards=4)

    shares = await read_all(connect, shard_streams(stream_name, 4), consumers=4)

    read = [by_key(entries) for entries in shares]
    assert sorted(key for share in read for key in share) == sorted(KEYS)
    assert {key: ids for share in read for key, ids in share.items()} == publishing.published
    assert all(read), "a consumer had nothing to do: the keys are not spread"


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 2), (4, 7), (3, 1)])
async def test_another_number_of_shards_loses_nothing_and_keeps_each_keys_order(
    redis: Redis, connect: Connect, stream_name: str, before: int, after: int
) -> None:
    publishing = Publishing(redis, stream_name)
    old, new = shard_streams(stream_name, before), shard_streams(stream_name, after)

    # First the publishers, while the old layout is read; then, when it is empty, the consumers.
    await publishing.rounds(3, shards=before)
    read = await read_all(connect, old, consumers=before)
    await publishing.rounds(3, shards=before)
    await publishing.rounds(3, shards=after)
    read += await read_all(connect, old, consumers=before)
    await publishing.rounds(3, shards=after)
    read += await read_all(connect, new, consumers=after)

    assert by_key([entry for share in read for entry in share]) == publishing.published
