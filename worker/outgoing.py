"""The two loops of the role `delivery` as one: signals and launches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from routing.dispatch import Dispatcher
from routing.incoming import Delivery
from routing.launcher import Launcher


class Outgoing:
    """Sends signals and starts workflows. `run` must be running."""

    def __init__(self, dispatcher: Dispatcher, launcher: Launcher) -> None:
        self._dispatcher = dispatcher
        self._launcher = launcher

    async def submit(self, deliveries: Sequence[Delivery]) -> None:
        """Take over deliveries that were just leased; see `Dispatcher.submit`."""
        await self._dispatcher.submit(deliveries)

    def wake(self) -> None:
        """There may be due deliveries or launches in the tables: look now."""
        self._dispatcher.wake()
        self._launcher.wake()

    async def run(self) -> None:
        """Send and start until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._dispatcher.run())
            group.create_task(self._launcher.run())

    async def drain(self, within: timedelta) -> None:
        """Take nothing on any more and finish what is in memory."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._dispatcher.drain(within))
            group.create_task(self._launcher.drain(within))
