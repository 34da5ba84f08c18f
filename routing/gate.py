"""Standing back while a server is away: one gate for all senders, with growing pauses."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from correlation.reason import Reason

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double from `initial` to `maximum`, each shortened by up to half at random."""

    initial: timedelta = timedelta(milliseconds=200)
    maximum: timedelta = timedelta(seconds=5)

    def delay(self, failures: int, draw: Callable[[], float] = random.random) -> timedelta:
        """The pause after `failures` earlier failures."""
        doublings: int = 2 ** min(failures, 30)
        # Compared by division: the product may be longer than any timedelta.
        beyond = doublings >= self.maximum / self.initial
        longest = self.maximum if beyond else self.initial * doublings
        return longest * (0.5 + draw() / 2)


class Gate:
    """Open while the server answers; after a failure shut for a pause, which grows.

    As many pass at once as the server can bear: `widest` at first, half as many after a failure,
    one more for every round of answers (as TCP avoids congestion: RFC 5681, section 3.1). So a
    server that is slow rather than away is not kept slow by what is tried again.
    """

    def __init__(self, backoff: Backoff, clock: Callable[[], float], *, widest: int) -> None:
        self._backoff = backoff
        self._clock = clock
        self._widest = widest
        self._width = float(widest)
        self._under_way = 0
        self._opens_at = 0.0
        self._failures = 0
        self._left = asyncio.Event()

    @property
    def is_shut(self) -> bool:
        """Whether nothing should be tried now."""
        return self._clock() < self._opens_at

    @property
    def width(self) -> int:
        """How many may be under way at once now."""
        return int(self._width)

    @property
    def under_way(self) -> int:
        """How many are passing now."""
        return self._under_way

    async def opened(self) -> None:
        """Wait until the gate is open."""
        while (pause := self._opens_at - self._clock()) > 0:  # noqa: ASYNC110  time, not an event
            await asyncio.sleep(pause)

    async def __aenter__(self) -> None:
        """Wait until the gate is open and there is room in it, which is taken for the block."""
        while self.is_shut or self._under_way >= self.width:
            await self.opened()
            if self._under_way >= self.width:
                self._left.clear()
                await self._left.wait()
        self._under_way += 1

    async def __aexit__(self, *failure: object) -> None:
        """Make room."""
        self._under_way -= 1
        self._left.set()

    def succeeded(self) -> None:
        """The server answered."""
        self._width = min(self._widest, self._width + 1 / self._width)
        if self._failures:
            self._failures = 0
            log.info("temporal.recovered")

    def failed(self, reason: Reason, detail: str) -> None:
        """Everything fails now. Attempts that were under way together count once."""
        if self.is_shut:
            return
        if self._failures == 0:
            log.error("temporal.lost", reason=reason, detail=detail)
        self._opens_at = self._clock() + self._backoff.delay(self._failures).total_seconds()
        self._failures += 1
        self._width = max(1.0, self._width / 2)
