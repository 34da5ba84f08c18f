"""How many requests are worked on at once, and how many of them are one caller's."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from typing import Final

WAIT: Final = 10.0
"""Seconds that a request waits for its turn."""


class Busy(Exception):
    """No turn within the time, or too many wait already; try again later."""

    def __init__(self, *, own: bool) -> None:
        super().__init__("busy")
        self.own = own
        """Whether the caller's own requests are in the way, and not those of all."""


class Shares:
    """Turns for requests, given to one caller after the other."""

    def __init__(self, *, most: int, most_of_one: int, wait: float = WAIT) -> None:
        self._most = most
        self._most_of_one = min(most, most_of_one)
        self._wait = wait
        self._running: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        """Who waits; the caller whose turn comes first stands first."""

    @property
    def running(self) -> int:
        """Requests that are worked on."""
        return self._running.total()

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return sum(map(len, self._queues.values()))

    async def take(self, caller: str) -> None:
        """Wait for a turn, to be given back by `give_back`. Raises Busy."""
        if caller not in self._queues and self._has_room(caller):
            self._running[caller] += 1
            return
        queue = self._queues.setdefault(caller, deque())
        if len(queue) >= 4 * self._most_of_one:
            raise Busy(own=self._running[caller] >= self._most_of_one)
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            async with asyncio.timeout(self._wait):
                await turn
        except BaseException as error:
            self._give_up(caller, turn)
            if isinstance(error, TimeoutError):
                raise Busy(own=self._running[caller] >= self._most_of_one) from None
            raise

    def give_back(self, caller: str) -> None:
        """The request is answered."""
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]
        self._next()

    def _has_room(self, caller: str) -> bool:
        return self._running.total() < self._most and self._running[caller] < self._most_of_one

    def _next(self) -> None:
        while (caller := next(filter(self._has_room, self._queues), None)) is not None:
            queue = self._queues[caller]
            turn = queue.popleft()
            # Whoever has had a turn stands last.
            self._queues.move_to_end(caller)
            if not queue:
                del self._queues[caller]
            if not turn.done():  # else its request is gone
                self._running[caller] += 1
                turn.set_result(None)

    def _give_up(self, caller: str, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            self.give_back(caller)
            return
        queue = self._queues.get(caller)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._queues[caller]
        # One that was cancelled may have stood before others that fit.
        self._next()
