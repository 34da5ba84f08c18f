"""The body of a request as it comes in: bounded in size, and in the time that the client takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from typing import Final

from starlette.types import Message, Receive

from worker.api.problems import Problem

UNKNOWN_CALLER: Final = 64 * 1024
"""Bytes that are read before it is known who sends them: enough for the form of the login."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Bounds on a body."""

    size: int
    """Bytes."""
    first: float
    """Seconds that the client may be waited for, and more with what comes."""
    rate: int
    """So many bytes give a second more."""


class Body:
    """Gives the messages of a request; raises Problem (408, 413) at its limits.

    Only the time in which the client is waited for counts.
    """

    def __init__(
        self, receive: Receive, limits: BodyLimits, clock: Callable[[], float] = monotonic
    ) -> None:
        self._receive = receive
        self._limits = limits
        self._clock = clock
        self._most = min(UNKNOWN_CALLER, limits.size)
        self._size = 0
        self._waited = 0.0
        self._ended = False

    def admit(self) -> None:
        """It is known who sends it: it may be as large as any."""
        self._most = self._limits.size

    def end(self) -> None:
        """The answer has begun: what still comes is only a sign of life."""
        self._ended = True

    async def __call__(self) -> Message:
        """The next message; see ASGI."""
        if self._ended:
            return await self._receive()
        message = await self._in_time()
        self._size += len(message.get("body", b""))
        if not message.get("more_body", False):
            self._ended = True
        if self._size > self._most:
            raise too_large(self._most)
        return message

    async def _in_time(self) -> Message:
        allowed = self._limits.first + self._size / self._limits.rate
        began = self._clock()
        try:
            async with asyncio.timeout(max(0.0, allowed - self._waited)):
                return await self._receive()
        except TimeoutError:
            raise Problem(
                HTTPStatus.REQUEST_TIMEOUT,
                "the body of the request took too long",
                field="body",
                fix=f"send the body at once, at {self._limits.rate} bytes per second or faster",
            ) from None
        finally:
            self._waited += self._clock() - began


def too_large(limit: int) -> Problem:
    """The refusal of a body over the limit."""
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than {limit} bytes",
        field="body",
        fix="post fewer events at once, or smaller ones",
    )
