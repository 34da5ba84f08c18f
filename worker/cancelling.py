"""Cancelling a task for certain, whatever the libraries make of it.

A cancellation can get lost: `asyncio.wait_for` before Python 3.12 swallows one that arrives in the
moment in which what it waits for is done (cpython issue 86296), and connection pools wait by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

AGAIN_SECONDS: Final = 1.0


async def cancel(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel them, again and again until each has ended; raises nothing of what they ended with."""
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=AGAIN_SECONDS)


async def cancellable(work: Coroutine[Any, Any, Result]) -> Result:
    """As `await work`, but a cancellation meanwhile ends it for certain."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task})
    finally:
        await cancel([task])
    return task.result()
