"""Handing deliveries from one event loop to the dispatcher of another."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from routing.incoming import Delivery
from worker.consumer import DeliverySink


class CrossingSink:
    """A sink that belongs to the loop in which this is made, used from another thread's loop."""

    def __init__(self, sink: DeliverySink) -> None:
        self._sink = sink
        self._loop = asyncio.get_running_loop()

    async def submit(self, deliveries: Sequence[Delivery]) -> None:
        """Take over deliveries that were just leased; waits while the dispatcher has no room."""
        if deliveries:
            submitted = asyncio.run_coroutine_threadsafe(self._sink.submit(deliveries), self._loop)
            await asyncio.wrap_future(submitted)

    def wake(self) -> None:
        """There are deliveries in the table to be claimed."""
        with contextlib.suppress(RuntimeError):  # the other loop is closed: nobody delivers now
            self._loop.call_soon_threadsafe(self._sink.wake)
