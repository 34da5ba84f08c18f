"""Notices of events that nobody took in time, on a stream of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

LONGEST_STREAM: Final = 100_000
"""Nobody has to read the notices, so that they must bound themselves."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class ExpiryNotices:
    """Writes notices to one stream; what cannot be written is logged and left."""

    def __init__(self, connect: Callable[[], Redis], stream: str) -> None:
        self._connect = connect
        self._stream = stream
        self._redis: Redis | None = None

    async def tell(self, notices: Sequence[Mapping[str, str]]) -> None:
        """Add one entry for each notice, in their order. Never raises for Redis' sake."""
        if self._redis is None:
            self._redis = self._connect()
        pipeline = self._redis.pipeline(transaction=False)
        for notice in notices:
            fields = {name.encode(): text.encode() for name, text in notice.items()}
            pipeline.xadd(self._stream, dict(fields.items()), maxlen=LONGEST_STREAM)
        try:
            await pipeline.execute()
        except (RedisError, OSError) as error:
            _log.warning("notices.lost", count=len(notices), error=type(error).__name__)

    async def aclose(self) -> None:
        """Close the connection."""
        if self._redis is not None:
            await self._redis.aclose()
