"""Poison beside the stream: what is refused alone has its further chances while others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Final

from worker.cancelling import cancel

AT_ONCE: Final = 64
"""So many entries may be insisted on at once; more of them hold the stream up, as they should."""


class Insistence:
    """Runs what insists on single entries, within a group of tasks that ends it when it fails."""

    def __init__(self, group: asyncio.TaskGroup, at_once: int = AT_ONCE) -> None:
        self._group = group
        self._at_once = at_once
        self._under_way: set[asyncio.Task[None]] = set()

    async def take_on(self, insisting: Coroutine[None, None, None]) -> None:
        """Begin with one more; waits while too many are under way."""
        try:
            while len(self._under_way) >= self._at_once:
                await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            insisting.close()
            raise
        task = self._group.create_task(insisting)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def end(self) -> None:
        """Give up what is under way: those entries stay pending, for whoever comes next."""
        await cancel(self._under_way)
