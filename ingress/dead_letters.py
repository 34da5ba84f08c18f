"""The dead-letter stream: entries that could never be recorded, whole, for an operator to see.

`<stream>:dlq` holds each entry with all its original fields, and beside them what this module
adds: `dlq_stream`, `dlq_entry_id`, `dlq_reason` and `dlq_detail`. An original field whose name
begins with `dlq_` is kept under `dlq_original:` and its name, so that nothing is ever overwritten.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from correlation.reason import Reason
from ingress.entry import Entry, EntryId, StreamName
from ingress.reconnection import BackOff
from ingress.trimming import parse_id

SUFFIX: Final = ":dlq"
PREFIX: Final = b"dlq_"
STREAM_FIELD: Final = b"dlq_stream"
ENTRY_FIELD: Final = b"dlq_entry_id"
REASON_FIELD: Final = b"dlq_reason"
DETAIL_FIELD: Final = b"dlq_detail"
ADDED_FIELDS: Final = frozenset({STREAM_FIELD, ENTRY_FIELD, REASON_FIELD, DETAIL_FIELD})
ESCAPED: Final = b"dlq_original:"

PAGE: Final = 200
MAX_FIELDS: Final = 3_900
"""Lua passes no more than 8,000 values to one command."""

# Adds before it deletes: a script is not undone when a command in it fails (no memory, a key of
# another type), and rather two copies of an event than none.
_REQUEUE: Final = """
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return false end
local entry_id = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 2))
redis.call('XDEL', KEYS[1], ARGV[1])
return entry_id
"""

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class LetterUnusable(Exception):
    """A dead letter that cannot be requeued; its message says why. Show it, then purge it."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One entry that was set aside, and why."""

    letter_id: EntryId
    stream: StreamName
    """Where the entry came from, and goes back to."""
    entry_id: EntryId
    reason: str
    detail: str
    fields: Mapping[bytes, bytes]
    """The entry's own fields, byte for byte."""

    @property
    def set_aside_at(self) -> datetime:
        """When it was set aside, by the clock of Redis."""
        milliseconds, _ = parse_id(self.letter_id.encode())
        return datetime.fromtimestamp(milliseconds / 1000, UTC)


def dead_letter_stream(stream: StreamName) -> StreamName:
    """Where a stream's dead letters stand."""
    return StreamName(f"{stream}{SUFFIX}")


def letter_fields(entry: Entry, reason: Reason, detail: str) -> dict[bytes, bytes]:
    """The fields of the dead letter of an entry; `read_letter` is the inverse."""
    fields = {
        (ESCAPED + name if name.startswith(PREFIX) else name): value
        for name, value in entry.fields.items()
    }
    fields[STREAM_FIELD] = entry.stream.encode()
    fields[ENTRY_FIELD] = entry.entry_id.encode()
    fields[REASON_FIELD] = reason.value.encode()
    fields[DETAIL_FIELD] = detail.encode("utf-8", "replace")
    return fields


def read_letter(
    letter_id: EntryId, fields: Mapping[bytes, bytes], stream: StreamName
) -> DeadLetter:
    """Read a dead letter; one that somebody else wrote counts as having come from `stream`."""
    return DeadLetter(
        letter_id,
        StreamName(_text(fields.get(STREAM_FIELD, stream.encode()))),
        EntryId(_text(fields.get(ENTRY_FIELD, b""))),
        _text(fields.get(REASON_FIELD, b"")),
        _text(fields.get(DETAIL_FIELD, b"")),
        {
            name.removeprefix(ESCAPED): value
            for name, value in fields.items()
            if name not in ADDED_FIELDS
        },
    )


class RedisDeadLetters:
    """Writes dead letters; through an outage it goes on trying, for nothing may be lost here."""

    def __init__(
        self,
        connect: Callable[[], Redis],
        back_off: BackOff | None = None,
        fraction: Callable[[], float] = random.random,
    ) -> None:
        self._redis = connect()
        self._back_off = back_off or BackOff()
        self._fraction = fraction

    async def set_aside(self, entry: Entry, reason: Reason, detail: str) -> None:
        """Write the entry to its dead-letter stream; returns when it stands there.

        A crash between this and the acknowledgement makes a second letter of the same entry id.
        """
        fields = letter_fields(entry, reason, detail)
        failures = 0
        while True:
            try:
                await self._redis.xadd(dead_letter_stream(entry.stream), dict(fields.items()))
            except (RedisError, OSError) as error:
                failures += 1
                _log.error("dead_letter.postponed", entry_id=entry.entry_id, error=str(error))
                pause = self._back_off.pause(failures, self._fraction())
                await asyncio.sleep(pause.total_seconds())
            else:
                return

    async def aclose(self) -> None:
        """Close the connection."""
        await self._redis.aclose()


class DeadLetterBox:
    """The dead letters of one stream, for an operator.

    Every method raises `redis.exceptions.RedisError` when the server does not do it.
    """

    def __init__(self, redis: Redis, stream: StreamName) -> None:
        self._redis = redis
        self._stream = stream
        self._letters = dead_letter_stream(stream)

    async def read(self) -> AsyncGenerator[DeadLetter]:
        """All dead letters, the oldest first; what comes in meanwhile, too."""
        after = "-"
        while True:
            page: Any = await self._redis.xrange(self._letters, min=after, count=PAGE)
            for letter_id, fields in page:
                yield read_letter(EntryId(letter_id.decode()), fields, self._stream)
            if len(page) < PAGE:
                return
            after = f"({page[-1][0].decode()}"

    async def find(self, letter_id: EntryId) -> DeadLetter | None:
        """The dead letter of this id."""
        page: Any = await self._redis.xrange(self._letters, min=letter_id, max=letter_id)
        return read_letter(letter_id, page[0][1], self._stream) if page else None

    async def requeue(self, letter: DeadLetter) -> EntryId | None:
        """Put the entry back behind its stream, and remove the letter, in one step.

        Exactly its original fields are restored, under a new entry id, which is returned; None
        when somebody else has requeued or purged the letter. Raises LetterUnusable for an entry
        without fields, or with more than fit into one command of a script.
        """
        if not 0 < len(letter.fields) <= MAX_FIELDS:
            raise LetterUnusable(
                f"dead letter {letter.letter_id} has {len(letter.fields)} fields of its own;"
                f" from 1 to {MAX_FIELDS} can be put back"
            )
        flat = [part for pair in letter.fields.items() for part in pair]
        keys = (self._letters, letter.stream)
        script = self._redis.eval(_REQUEUE, 2, *keys, letter.letter_id, *cast("Any", flat))
        entry_id = await cast("Any", script)
        return None if entry_id is None else EntryId(entry_id.decode())

    async def purge(self, letter_ids: Sequence[EntryId]) -> int:
        """Remove dead letters for good; how many were there."""
        removed = 0
        for start in range(0, len(letter_ids), PAGE):
            removed += await self._redis.xdel(self._letters, *letter_ids[start : start + PAGE])
        return removed


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
