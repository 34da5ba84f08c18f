"""How a Redis client must be made for reading streams."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

SOCKET_MARGIN: Final = timedelta(seconds=3)
CONNECT_TIMEOUT: Final = timedelta(seconds=3)


def connect_redis(url: str, *, block: timedelta) -> Redis:
    """A client (not connected yet) for reads that block for so long, and for acknowledgements.

    Every choice here was measured: a server that stops without closing its sockets is noticed by
    nothing but the socket's own time-out, which must be longer than the blocking read; the client's
    own retries would hide an outage from the log and from readiness, and could read twice.
    """
    return Redis.from_url(
        url,
        protocol=2,
        decode_responses=False,
        socket_timeout=(block + SOCKET_MARGIN).total_seconds(),
        socket_connect_timeout=CONNECT_TIMEOUT.total_seconds(),
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
    )
