"""The loops of the role `delivery` as one: for each namespace, signals and launches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import groupby

from routing.dispatch import Dispatcher
from routing.incoming import Delivery
from routing.launcher import Launcher


class Outgoing:
    """Sends signals and starts workflows. `run` must be running.

    Each namespace has loops of its own: one that is missing, busy or forbidden holds up no other.
    """

    def __init__(
        self, dispatchers: Mapping[str, Dispatcher], launchers: Mapping[str, Launcher]
    ) -> None:
        self._dispatchers = dispatchers
        self._launchers = launchers

    async def submit(self, deliveries: Sequence[Delivery]) -> None:
        """Take over deliveries that were just leased; see `Dispatcher.submit`."""
        for namespace, some in groupby(deliveries, lambda delivery: delivery.namespace):
            await self._dispatchers[namespace].submit(list(some))

    def wake(self) -> None:
        """There may be due deliveries or launches in the tables: look now."""
        for loop in self._loops():
            loop.wake()

    async def run(self) -> None:
        """Send and start until cancelled."""
        async with asyncio.TaskGroup() as group:
            for loop in self._loops():
                group.create_task(loop.run())

    async def drain(self, within: timedelta) -> None:
        """Take nothing on any more and finish what is in memory."""
        async with asyncio.TaskGroup() as group:
            for loop in self._loops():
                group.create_task(loop.drain(within))

    def _loops(self) -> Iterator[Dispatcher | Launcher]:
        yield from self._dispatchers.values()
        yield from self._launchers.values()
