"""How far behind a group is: what Redis says of its streams, without reading an entry for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from ingress.entry import StreamName
from ingress.letter import dead_letter_stream
from ingress.stream_group import StreamGroup
from ingress.trimming import parse_id, trimmed_unread


class StreamsUnavailable(Exception):
    """Redis does not answer, or not as a server of streams does: try again later."""


@dataclass(frozen=True, slots=True)
class StreamBacklog:
    """What stands in one stream for one group; ages are by the clock of Redis."""

    stream: StreamName
    length: int = 0
    unread: int | None = 0
    """Entries that nobody has read yet; None where Redis cannot tell (after some deletions)."""
    oldest_unread: timedelta | None = None
    pending: int = 0
    """Entries that were read and are not acknowledged."""
    oldest_pending: timedelta | None = None
    trimmed_unread: int = 0
    """Entries that were removed before the group read them, as far as that shows now."""
    dead_letters: int = 0


class StreamBacklogs:
    """Asks Redis about a group's streams, over a connection of its own."""

    def __init__(
        self, connect: Callable[[], Redis], streams: Sequence[StreamName], group: str
    ) -> None:
        self._redis = connect()
        self._streams = streams
        self._group = group

    async def measure(self) -> Sequence[StreamBacklog]:
        """The backlog of each stream; a stream or group that is not there has none.

        Raises StreamsUnavailable.
        """
        try:
            return [await self._of(stream) for stream in self._streams]
        except (RedisError, OSError) as error:
            raise StreamsUnavailable(f"{type(error).__name__}: {error}") from error

    async def aclose(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    async def _of(self, stream: StreamName) -> StreamBacklog:
        letters = await self._redis.xlen(dead_letter_stream(stream))
        about = await self._about_group(stream)
        if about is None:
            return StreamBacklog(stream, dead_letters=letters)
        seconds, microseconds = await self._redis.time()
        now = timedelta(seconds=seconds, microseconds=microseconds)
        progress = await StreamGroup(self._redis, stream, self._group, "").progress()
        pending: Any = await self._redis.xpending(stream, self._group)
        return StreamBacklog(
            stream,
            length=await self._redis.xlen(stream),
            unread=about.get("lag"),
            oldest_unread=await self._oldest_unread(stream, about["last-delivered-id"], now),
            pending=pending["pending"],
            oldest_pending=_age(pending["min"], now) if pending["min"] else None,
            trimmed_unread=trimmed_unread(progress) if progress else 0,
            dead_letters=letters,
        )

    async def _about_group(self, stream: StreamName) -> dict[str, Any] | None:
        try:
            groups = await self._redis.xinfo_groups(stream)
        except ResponseError as error:
            if "no such key" in str(error):
                return None
            raise
        return next((row for row in groups if row["name"].decode() == self._group), None)

    async def _oldest_unread(
        self, stream: StreamName, last_delivered: bytes, now: timedelta
    ) -> timedelta | None:
        found: Any = await self._redis.xrange(stream, f"({last_delivered.decode()}", "+", count=1)
        return _age(found[0][0], now) if found else None


def _age(entry_id: bytes, now: timedelta) -> timedelta:
    """The first part of an entry's id is the moment of its adding, unless its publisher chose."""
    milliseconds, _ = parse_id(entry_id)
    return max(now - timedelta(milliseconds=milliseconds), timedelta())
