"""Publishes domain events to the stream that Pointsman reads. Needs the extra `redis`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeAlias, cast

from redis.asyncio import Redis

from pointsman.contract import STREAM
from pointsman.domain_event import DomainEvent, stream_fields

Entry: TypeAlias = tuple[str, Mapping[str, str]]
"""A stream, and the fields of an entry for it."""

BATCH: Final = 500
"""Entries sent in one round trip."""


class BeforePublish(Protocol):
    """A hook that sees each event before it is checked and sent, and returns what to publish.

    The place to set a correlation key, an event id or a traceparent in one spot for all events:
    `return dataclasses.replace(event, traceparent=current_traceparent())`. What it raises ends the
    call; nothing has been sent then.
    """

    def __call__(self, event: DomainEvent, /) -> DomainEvent:
        """The event to publish instead of this one, or the same."""
        ...


class Publisher:
    """Appends events to a Redis stream, or to its shards.

    With `shards` every event of a tenant and key goes to the same one of that many streams
    (`docs/scaling.md`); the service must be set up with the same number, and `rules` must be the
    service's own if keys stand in payloads. Needs the extra `correlation` then.

    Delivery is at least once: when the connection breaks at the wrong moment, the client's own
    retry (or yours) appends the same event a second time (measured: one XADD, two entries, after a
    server was stopped for 4 s). That is harmless, since the service knows an event by its tenant
    and `event_id` and not by its entry. So publish the *same* `DomainEvent` again after an error,
    never a new one made from the same data without an `event_id` of its own.

    The stream is not trimmed here: a length limit would silently cut off events that nobody has
    read yet.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        stream: str = STREAM,
        shards: int = 1,
        rules: Mapping[str, Any] | None = None,
        before_publish: Sequence[BeforePublish] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._redis = redis
        self._stream_of = _streams(stream, shards, rules)
        self._before_publish = tuple(before_publish)
        self._now = now

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        stream: str = STREAM,
        shards: int = 1,
        rules: Mapping[str, Any] | None = None,
        before_publish: Sequence[BeforePublish] = (),
    ) -> Self:
        """A publisher with a connection of its own (`redis://…`); `async with` closes it."""
        redis = Redis.from_url(url)
        return cls(redis, stream=stream, shards=shards, rules=rules, before_publish=before_publish)

    async def publish(self, event: DomainEvent) -> str:
        """Append one event; returns the entry's id.

        Raises PublishError before anything is sent, and `redis.RedisError` when it is uncertain
        whether the event was appended: publish the same event again then.
        """
        [entry_id] = await self.publish_many([event])
        return entry_id

    async def publish_many(self, events: Iterable[DomainEvent]) -> list[str]:
        """Append events in their order; returns the entries' ids.

        All are checked before the first is sent: one PublishError and none goes out. A
        `redis.RedisError` leaves open which were appended: publish them all again then.
        """
        entries = [self._entry(event) for event in events]
        streams = [self._stream_of(fields) for fields in entries]
        entry_ids: list[str] = []
        for batch in _batches(list(zip(streams, entries, strict=True))):
            async with self._redis.pipeline(transaction=False) as pipeline:
                for stream, fields in batch:
                    pipeline.xadd(stream, cast("dict[Any, Any]", fields))
                entry_ids += [_text(entry_id) for entry_id in await pipeline.execute()]
        return entry_ids

    async def aclose(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _entry(self, event: DomainEvent) -> Mapping[str, str]:
        for hook in self._before_publish:
            event = hook(event)
        return stream_fields(event, now=self._now)


def _streams(
    stream: str, shards: int, rules: Mapping[str, Any] | None
) -> Callable[[Mapping[str, str]], str]:
    if shards == 1:
        return lambda _fields: stream
    from pointsman.sharding import Sharding  # one stream needs no key, and no extra for it

    return Sharding(stream, shards, rules).stream_of


def _batches(entries: Sequence[Entry]) -> Iterable[Sequence[Entry]]:
    return (entries[start : start + BATCH] for start in range(0, len(entries), BATCH))


def _text(entry_id: bytes | str) -> str:
    return entry_id.decode() if isinstance(entry_id, bytes) else entry_id
