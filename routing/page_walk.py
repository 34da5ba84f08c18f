"""Walking through much of something, a page at a time, without being a burden to who is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from time import monotonic
from typing import Final, TypeVar

Cursor = TypeVar("Cursor")
Page = TypeVar("Page")

RESTS: Final = 4
"""So many times as long as the page took is rested before the next one: where Temporal is slow,
a walk takes at most a fifth of its time asking it."""


async def page_walk(
    look: Callable[[Cursor], Awaitable[Page]],
    first: Cursor,
    next_after: Callable[[Page], Cursor | None],
    *,
    pause: timedelta,
    rest: Callable[[float], Awaitable[object]] = asyncio.sleep,
    clock: Callable[[], float] = monotonic,
) -> AsyncGenerator[Page]:
    """Every page from `first` on, until `next_after` is None; two are at least `pause` apart."""
    after: Cursor | None = first
    while after is not None:
        began = clock()
        page = await look(after)
        took = clock() - began
        yield page
        after = next_after(page)
        if after is not None:
            await rest(max(pause.total_seconds(), RESTS * took))
