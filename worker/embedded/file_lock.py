"""A lock between processes that ends with the process that holds it."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

RETRY_SECONDS: Final = 0.2


@asynccontextmanager
async def exclusive_lock(path: Path) -> AsyncGenerator[None]:
    """Hold the lock on the file, waiting for it as long as it takes; the file stays behind."""
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                break
        # Closing the file gives the lock back.
        yield
