"""Publishing to a real Redis stream."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from correlation.event import Event
from ingress.envelope import decode
from pointsman import DomainEvent, Publisher, PublishError
from pointsman.publisher import BATCH


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as redis:
        yield redis


def event(number: int = 1, **changes: Any) -> DomainEvent:
    values = {"name": "INVOICE_PAID", "tenant": "acme", "event_id": f"e-{number}"}
    return DomainEvent(**{**values, **changes})


async def published(redis: Redis, stream: str) -> list[tuple[bytes, Event]]:
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", await redis.xrange(stream))
    decoded = [(entry_id, decode(fields)) for entry_id, fields in entries]
    return [(entry_id, event) for entry_id, event in decoded if isinstance(event, Event)]


async def test_a_published_event_stands_in_the_stream(redis: Redis, stream_name: str) -> None:
    publisher = Publisher(redis, stream=stream_name)

    entry_id = await publisher.publish(event(payload={"amount": 12}))

    [(found_id, found)] = await published(redis, stream_name)
    assert found_id.decode() == entry_id
    assert (found.event_id, found.payload.value) == ("e-1", {"amount": 12})


async def test_many_events_keep_their_order_over_several_batches(
    redis: Redis, stream_name: str
) -> None:
    events = [event(number) for number in range(2 * BATCH + 1)]

    entry_ids = await Publisher(redis, stream=stream_name).publish_many(events)

    found = await published(redis, stream_name)
    assert [item.event_id for _, item in found] == [item.event_id for item in events]
    assert [found_id.decode() for found_id, _ in found] == entry_ids


async def test_one_wrong_event_keeps_all_from_being_sent(redis: Redis, stream_name: str) -> None:
    with pytest.raises(PublishError, match="tenant: must not be blank"):
        await Publisher(redis, stream=stream_name).publish_many([event(1), event(2, tenant="")])

    assert await redis.exists(stream_name) == 0


async def test_a_hook_sets_what_all_events_have_in_common(redis: Redis, stream_name: str) -> None:
    def traced(event: DomainEvent) -> DomainEvent:
        return dataclasses.replace(event, traceparent="00-trace", correlation_key="I-1")

    def renamed(event: DomainEvent) -> DomainEvent:
        return dataclasses.replace(event, event_id=f"outbox-{event.event_id}")

    publisher = Publisher(redis, stream=stream_name, before_publish=[traced, renamed])

    await publisher.publish(event())

    [(_, found)] = await published(redis, stream_name)
    assert found.context.traceparent == "00-trace"
    assert (found.explicit_key, found.event_id) == ("I-1", "outbox-e-1")


async def test_a_hook_that_raises_keeps_the_event_from_being_sent(
    redis: Redis, stream_name: str
) -> None:
    def strict(event: DomainEvent) -> DomainEvent:
        raise LookupError("no trace")

    with pytest.raises(LookupError):
        await Publisher(redis, stream=stream_name, before_publish=[strict]).publish(event())

    assert await redis.exists(stream_name) == 0


async def test_a_stream_is_never_trimmed_by_its_publisher(redis: Redis, stream_name: str) -> None:
    await Publisher(redis, stream=stream_name).publish_many([event(n) for n in range(1500)])

    assert await redis.xlen(stream_name) == 1500


async def test_a_redis_that_refuses_is_an_error_of_redis(redis: Redis, stream_name: str) -> None:
    await redis.set(stream_name, "no stream")

    with pytest.raises(RedisError):
        await Publisher(redis, stream=stream_name).publish(event())


async def test_a_publisher_made_from_an_address_closes_its_connection(
    redis: Redis, redis_url: str, stream_name: str
) -> None:
    async with Publisher.from_url(redis_url, stream=stream_name) as publisher:
        await publisher.publish(event())

    assert await redis.xlen(stream_name) == 1
