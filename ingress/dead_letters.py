"""The dead-letter stream: entries that could never be recorded, whole, for an operator to see.

`<stream>:dlq` holds each entry with all its original fields, and beside them what this module
adds under the prefix `dlq_`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from correlation.reason import Reason
from ingress.entry import Entry, StreamName
from ingress.reconnection import BackOff

SUFFIX: Final = ":dlq"
STREAM_FIELD: Final = b"dlq_stream"
ENTRY_FIELD: Final = b"dlq_entry_id"
REASON_FIELD: Final = b"dlq_reason"
DETAIL_FIELD: Final = b"dlq_detail"
ADDED_FIELDS: Final = frozenset({STREAM_FIELD, ENTRY_FIELD, REASON_FIELD, DETAIL_FIELD})

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def dead_letter_stream(stream: StreamName) -> StreamName:
    """Where a stream's dead letters stand."""
    return StreamName(f"{stream}{SUFFIX}")


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
        fields: dict[bytes, bytes] = dict(entry.fields)
        fields[STREAM_FIELD] = entry.stream.encode()
        fields[ENTRY_FIELD] = entry.entry_id.encode()
        fields[REASON_FIELD] = reason.value.encode()
        fields[DETAIL_FIELD] = detail.encode("utf-8", "replace")
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
