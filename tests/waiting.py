"""Waiting for something to become true, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, overload

Value = TypeVar("Value")

INTERVAL_SECONDS: Final = 0.02


@overload
async def wait_until(
    predicate: Callable[[], Awaitable[Value]], *, description: str, timeout: float = ...
) -> Value: ...


@overload
async def wait_until(
    predicate: Callable[[], Value], *, description: str, timeout: float = ...
) -> Value: ...


async def wait_until(
    predicate: Callable[[], object],
    *,
    description: str,
    timeout: float = 60.0,
) -> object:
    """The first truthy value of `predicate`, plain or async, asked again every 20 ms.

    What it raises is a failure at once. Raises AssertionError with the description and the last
    value when `timeout` seconds have passed.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        value: object = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {description}; last seen: {value!r}")
        await asyncio.sleep(INTERVAL_SECONDS)
