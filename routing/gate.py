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
        longest = min(self.initial * doublings, self.maximum)
        return longest * (0.5 + draw() / 2)


class Gate:
    """Open while the server answers; after a failure shut for a pause, which grows."""

    def __init__(self, backoff: Backoff, clock: Callable[[], float]) -> None:
        self._backoff = backoff
        self._clock = clock
        self._opens_at = 0.0
        self._failures = 0

    @property
    def is_shut(self) -> bool:
        """Whether nothing should be tried now."""
        return self._clock() < self._opens_at

    async def opened(self) -> None:
        """Wait until the gate is open."""
        while (pause := self._opens_at - self._clock()) > 0:  # noqa: ASYNC110  time, not an event
            await asyncio.sleep(pause)

    def succeeded(self) -> None:
        """The server answered."""
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
