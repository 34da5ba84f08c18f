"""Setting entries aside as dead letters, for an operator to see (`ingress/letter.py`)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from correlation.reason import Reason
from ingress.entry import Entry
from ingress.letter import dead_letter_stream, letter_fields
from ingress.reconnection import BackOff

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


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
