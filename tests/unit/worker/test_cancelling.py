"""Cancelling for certain, also what swallows its first cancellation."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from worker import cancelling
from worker.cancelling import cancel, cancellable


@pytest.fixture(autouse=True)
def again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "AGAIN_SECONDS", 0.001)


async def swallowing_once() -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()


async def failing() -> None:
    raise ValueError("its own end")


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    task = asyncio.create_task(swallowing_once())
    await asyncio.sleep(0)

    await cancel([task])

    assert task.cancelled()


async def test_cancelling_nothing_returns_at_once() -> None:
    await cancel([])


async def test_work_that_swallows_a_cancellation_ends_with_its_caller() -> None:
    caller = asyncio.create_task(cancellable(swallowing_once()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    caller.cancel()
    await asyncio.wait({caller})

    assert caller.cancelled()


async def test_work_that_is_left_alone_gives_its_result_or_its_error() -> None:
    assert await cancellable(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(ValueError, match="its own end"):
        await cancellable(failing())
