"""What happens when a buffered event expires: a line in the log and, if wanted, a notice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from correlation.reason import Reason
from routing.sweep import ExpiredEvent

log = structlog.get_logger(__name__)

Tell = Callable[[Sequence[Mapping[str, str]]], Awaitable[None]]


class ExpiryNotice:
    """The sweeper's notice; `count` and `tell` are told, too, where there are any."""

    def __init__(
        self, count: Callable[[int], None] | None = None, tell: Tell | None = None
    ) -> None:
        self._count = count
        self._tell = tell

    async def __call__(self, events: Sequence[ExpiredEvent]) -> None:
        """Say it of each event: names and keys, never a payload."""
        for event in events:
            log.info(
                "event.expired",
                tenant=event.tenant,
                event_id=event.event_id,
                event_name=event.name,
                correlation_key=event.correlation_key,
            )
        if self._count is not None:
            self._count(len(events))
        if self._tell is not None:
            await self._tell([_fields(event) for event in events])


def _fields(event: ExpiredEvent) -> Mapping[str, str]:
    return {
        "tenant": event.tenant,
        "event_id": event.event_id,
        "event_name": event.name,
        "correlation_key": event.correlation_key,
        "received_at": event.received_at.isoformat(),
        "reason": Reason.BUFFER_EXPIRED.value,
    }
