"""Do the loops really turn? Each beats when it comes by; one that is silent too long is stuck.

A loop that waits for a server that is away still turns: it comes by with every try.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Final

TURNS_EVERY: Final = 0.25
STALLED_AFTER: Final = timedelta(seconds=3)
"""An event loop that has not turned for so long is stalled: something blocks it."""


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a loop has been silent, and how long it may be."""

    loop: str
    silent: timedelta
    limit: timedelta

    @property
    def is_stuck(self) -> bool:
        """Whether it has been silent for too long."""
        return self.silent > self.limit


class Heartbeat:
    """The beat of one loop, which counts as turning when it is made."""

    def __init__(self, loop: str, limit: timedelta, clock: Callable[[], float] = monotonic) -> None:
        self._loop = loop
        self._limit = limit
        self._clock = clock
        self._last = clock()
        self._holds = 0

    def beat(self) -> None:
        """The loop has come by."""
        self._last = self._clock()

    @contextmanager
    def held(self) -> Generator[None]:
        """While the block runs the loop waits for another one, whose beat counts instead."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            self.beat()

    async def sleep(self, seconds: float) -> None:
        """Sleep as a loop does between two tries: it comes by before and after."""
        self.beat()
        await asyncio.sleep(seconds)
        self.beat()

    def silence(self) -> Silence:
        """How the loop stands now."""
        passed = 0.0 if self._holds else self._clock() - self._last
        return Silence(self._loop, timedelta(seconds=passed), self._limit)


async def turn(beat: Heartbeat) -> None:
    """Beat as often as the running event loop turns, until cancelled."""
    while True:
        beat.beat()
        await asyncio.sleep(TURNS_EVERY)


Sleep = Callable[[float], Awaitable[None]]


class Heartbeats:
    """All loops of a process."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._beats: list[Heartbeat] = []

    def watch(self, loop: str, limit: timedelta) -> Heartbeat:
        """From now on the loop has to beat at least that often."""
        beat = Heartbeat(loop, limit, self._clock)
        self._beats.append(beat)
        return beat

    def silences(self) -> Sequence[Silence]:
        """How every loop stands, in the order of watching."""
        return [beat.silence() for beat in self._beats]
