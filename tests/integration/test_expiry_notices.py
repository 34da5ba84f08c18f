"""Notices of expired events: on the stream that a setting names, and never in the way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from ingress.expiry_notices import ExpiryNotices
from routing.sweep import ExpiredEvent
from worker.expiry import ExpiryNotice

EXPIRED = ExpiredEvent("acme", "paid", "INVOICE_PAID", "7", datetime(2026, 11, 21, tzinfo=UTC))


async def test_an_expired_event_is_counted_and_told_on_the_stream(
    redis_url: str, stream_name: str
) -> None:
    counted: list[int] = []
    notices = ExpiryNotices(lambda: Redis.from_url(redis_url), stream_name)

    await ExpiryNotice(counted.append, notices.tell)([EXPIRED])

    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        told: Any = await redis.xrange(stream_name)
    [(_, fields)] = told
    await notices.aclose()
    assert counted == [1]
    assert fields == {
        "tenant": "acme",
        "event_id": "paid",
        "event_name": "INVOICE_PAID",
        "correlation_key": "7",
        "received_at": "2026-11-21T00:00:00+00:00",
        "reason": "buffer_expired",
    }


async def test_a_missing_redis_keeps_nothing_from_expiring() -> None:
    notices = ExpiryNotices(lambda: Redis.from_url("redis://127.0.0.1:1"), "nowhere")

    await ExpiryNotice(tell=notices.tell)([EXPIRED])

    await notices.aclose()
