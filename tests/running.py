"""Running a loop beside a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def in_background(loop: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run a loop while the block runs; what it raised by itself is raised at the end."""
    task = asyncio.create_task(loop)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
