"""Publishes domain events to the stream that Pointsman reads. Needs the extra `redis`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Protocol, Self, cast

from redis.asyncio import Redis

from pointsman.contract import STREAM
from pointsman.domain_event import DomainEvent, stream_fields

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
    """Appends events to one Redis stream.

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
        before_publish: Sequence[BeforePublish] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._redis = redis
        self._stream = stream
        self._before_publish = tuple(before_publish)
        self._now = now

    @classmethod
    def from_url(
        cls, url: str, *, stream: str = STREAM, before_publish: Sequence[BeforePublish] = ()
    ) -> Self:
        """A publisher with a connection of its own (`redis://…`); `async with` closes it."""
        return cls(Redis.from_url(url), stream=stream, before_publish=before_publish)

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
        entry_ids: list[str] = []
        for batch in _batches(entries):
            async with self._redis.pipeline(transaction=False) as pipeline:
                for fields in batch:
                    pipeline.xadd(self._stream, cast("dict[Any, Any]", fields))
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


def _batches(entries: Sequence[Mapping[str, str]]) -> Iterable[Sequence[Mapping[str, str]]]:
    return (entries[start : start + BATCH] for start in range(0, len(entries), BATCH))


def _text(entry_id: bytes | str) -> str:
    return entry_id.decode() if isinstance(entry_id, bytes) else entry_id
