"""An event loop in a thread of its own: what stalls it stalls no other.

Objects that belong to one loop (connections, clients, events) are never touched from another.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

import structlog

from worker.cancelling import cancel

log = structlog.get_logger(__name__)

Value = TypeVar("Value")
Work = Callable[[asyncio.Event], Awaitable[None]]
"""What the thread does until its event, which is of its own loop, is set."""


async def run_in_thread(
    name: str, work: Work, stopping: asyncio.Event, *, within: timedelta
) -> None:
    """Do the work in another loop until `stopping` is set, or it ends; what it raises is raised.

    It has the time `within` to end. A loop that is stalled is left behind then: the process ends
    without it.
    """
    thread = _LoopThread(name, work)
    ended = thread.start()
    told = asyncio.ensure_future(stopping.wait())
    first: set[asyncio.Future[Any]] = {ended, told}
    try:
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    finally:
        thread.stop()
        await cancel([told])
        await asyncio.wait({ended}, timeout=within.total_seconds())
    if ended.done():
        ended.result()
    else:
        log.error("thread.abandoned", thread=name)


@asynccontextmanager
async def opened_in_thread(
    name: str, opened: Callable[[], AbstractAsyncContextManager[Value]], *, within: timedelta
) -> AsyncGenerator[Value]:
    """Keep a context open in another loop while the block runs; yields its value."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    value: asyncio.Future[Value] = loop.create_future()

    async def work(stop: asyncio.Event) -> None:
        async with opened() as entered:
            loop.call_soon_threadsafe(value.set_result, entered)
            await stop.wait()

    running = asyncio.create_task(run_in_thread(name, work, stopping, within=within))
    first: set[asyncio.Future[Any]] = {running, value}
    try:
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if not value.done():
            await running  # raises what kept it from opening
        yield value.result()
    finally:
        stopping.set()
        await running


class _LoopThread:
    def __init__(self, name: str, work: Work) -> None:
        self._name = name
        self._work = work
        self._told = False
        self._own: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def start(self) -> asyncio.Future[None]:
        """Begin; the future, of the caller's loop, is done when the thread's loop is closed."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def turn() -> None:
            error: BaseException | None = None
            try:
                asyncio.run(self._main())
            except BaseException as raised:  # noqa: BLE001  raised again in the caller's loop
                error = raised
            # The caller may have left this thread behind.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, ended, error)

        # A daemon: the process may end while this loop is stalled.
        threading.Thread(target=turn, name=self._name, daemon=True).start()
        return ended

    def stop(self) -> None:
        """Tell the thread to stop; it may not have begun yet, or may have ended."""
        self._told = True
        if self._own is not None:
            loop, stopping = self._own
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(stopping.set)

    async def _main(self) -> None:
        stopping = asyncio.Event()
        self._own = asyncio.get_running_loop(), stopping
        if self._told:
            stopping.set()
        await self._work(stopping)


def _settle(ended: asyncio.Future[None], error: BaseException | None) -> None:
    if ended.done():
        return
    if error is None:
        ended.set_result(None)
    else:
        ended.set_exception(error)
