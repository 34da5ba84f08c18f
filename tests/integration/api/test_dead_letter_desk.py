"""Dead letters on a real Redis: looked at page by page, put back byte for byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from correlation.reason import Reason
from ingress.dead_letter_desk import DeadLetterDesk, LettersUnavailable
from ingress.dead_letters import RedisDeadLetters
from ingress.entry import EntryId, StreamName, entry_of

FIELDS = {b"tenant": b"acme", b"event_id": b"e", b"\xff\x00": b"\x80\r\n"}


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Any]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def set_aside(redis_url: str, stream: str, *entry_ids: str) -> None:
    letters = RedisDeadLetters(lambda: Redis.from_url(redis_url))
    for entry_id in entry_ids:
        entry = entry_of(StreamName(stream), EntryId(entry_id), FIELDS)
        await letters.set_aside(entry, Reason.POISON, "refused")
    await letters.aclose()


async def test_letters_are_read_newest_first_and_page_by_page(
    redis_url: str, stream_name: str
) -> None:
    stream = StreamName(stream_name)
    await set_aside(redis_url, stream_name, "1-0", "2-0", "3-0")
    desk = DeadLetterDesk(lambda: Redis.from_url(redis_url))

    first = await desk.read(stream, before=None, limit=2)
    rest = await desk.read(stream, before=first[-1].letter_id, limit=2)
    await desk.aclose()

    assert [letter.entry_id for letter in (*first, *rest)] == ["3-0", "2-0", "1-0"]
    assert first[0].fields == FIELDS
    assert (first[0].reason, first[0].detail) == ("poison", "refused")


async def test_a_requeued_entry_comes_back_byte_for_byte_and_once(
    redis_url: str, redis: Any, stream_name: str
) -> None:
    stream = StreamName(stream_name)
    await set_aside(redis_url, stream_name, "1-0")
    desk = DeadLetterDesk(lambda: Redis.from_url(redis_url))
    [letter] = await desk.read(stream, before=None, limit=2)

    entry_id = await desk.requeue(stream, letter.letter_id)
    again = await desk.requeue(stream, letter.letter_id)
    await desk.aclose()

    entries = await redis.xrange(stream_name)
    assert [(entry.decode(), fields) for entry, fields in entries] == [(entry_id, FIELDS)]
    assert again is None
    assert await redis.xlen(f"{stream_name}:dlq") == 0


async def test_an_outage_is_said_to_be_one() -> None:
    desk = DeadLetterDesk(lambda: Redis.from_url("redis://127.0.0.1:1", retry=None))

    with pytest.raises(LettersUnavailable):
        await desk.find(StreamName("s"), "1-0")
    await desk.aclose()
