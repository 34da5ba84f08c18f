"""The stream as the demo uses it: publish, and see from outside that everything was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from redis.asyncio import Redis

from worker.demo.examples import ExampleEntry

BATCH = 50


async def publish(redis: Redis, stream: str, entries: Sequence[ExampleEntry]) -> Sequence[str]:
    """Append every entry in order, many per round trip; the entries' ids."""
    ids: list[bytes] = []
    for start in range(0, len(entries), BATCH):
        async with redis.pipeline(transaction=False) as pipeline:
            for entry in entries[start : start + BATCH]:
                pipeline.xadd(stream, cast("dict[Any, Any]", entry.fields))
            ids += await pipeline.execute()
    return [entry_id.decode() for entry_id in ids]


async def unread(redis: Redis, stream: str, group: str) -> str | None:
    """What the group has still to read or to acknowledge, in words; None when nothing."""
    groups = await redis.xinfo_groups(stream)
    ours = next((found for found in groups if found["name"] == group.encode()), None)
    if ours is None:
        return f"the group {group} does not exist"
    pending, lag = ours["pending"], ours["lag"]
    if pending or lag:
        return f"{pending} entries are pending, {lag} unread"
    return None


def published_at(entry_id: str) -> float:
    """Seconds since the epoch, by Redis' clock, at which an entry was appended."""
    return int(entry_id.partition("-")[0]) / 1000
