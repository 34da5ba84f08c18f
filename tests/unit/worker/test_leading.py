"""One process does a duty while it has the lease, and stops before another one begins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from routing.faults import DatabaseUnavailable
from tests.waiting import wait_until
from worker.cancelling import cancel
from worker.leading import Loops, lead_for_ever


class FakeLease:
    """A lease that a test gives, withholds or makes unreachable."""

    duty = "sweeping"
    span = timedelta(milliseconds=60)

    def __init__(self) -> None:
        self.is_ours: bool | Exception = False
        self.tries = 0
        self.released = 0

    async def take(self) -> bool:
        self.tries += 1
        if isinstance(self.is_ours, Exception):
            raise self.is_ours
        return self.is_ours

    async def release(self) -> None:
        self.released += 1


class StuckLease(FakeLease):
    """Once taken, a renewal never comes back."""

    async def take(self) -> bool:
        if self.tries == 1:
            await asyncio.Event().wait()
        return await super().take()


class Process:
    """Whether the duty is being done, and what the observer was told last."""

    def __init__(self) -> None:
        self.working = 0
        self.rounds = 0
        self.told: bool | None = None

    async def loop(self) -> None:
        self.working += 1
        self.rounds += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.working -= 1

    def came_by(self, duty: str, *, leads: bool) -> None:
        assert duty == FakeLease.duty
        self.told = leads


@asynccontextmanager
async def leading(lease: FakeLease, process: Process) -> AsyncIterator[asyncio.Task[None]]:
    def loops() -> Loops:
        return [process.loop(), process.loop()]

    task = asyncio.create_task(lead_for_ever(lease, loops, process))
    try:
        yield task
    finally:
        await cancel([task])


async def test_nothing_is_done_while_another_process_leads() -> None:
    lease, process = FakeLease(), Process()

    async with leading(lease, process):
        await wait_until(lambda: lease.tries > 2, description="it was tried again and again")

    assert (process.rounds, process.told) == (0, False)


async def test_the_leader_works_until_another_process_has_the_lease() -> None:
    lease, process = FakeLease(), Process()
    lease.is_ours = True

    async with leading(lease, process):
        await wait_until(lambda: process.working == 2, description="it leads")
        told = process.told
        lease.is_ours = False
        await wait_until(lambda: process.working == 0, description="it has stopped")
        lease.is_ours = True
        await wait_until(lambda: process.rounds == 4, description="it leads again")

    assert (told, process.working) == (True, 0)


@pytest.mark.parametrize("lease", [FakeLease(), StuckLease()], ids=["refused", "silent"])
async def test_a_leader_that_cannot_renew_its_lease_stops_before_it_runs_out(
    lease: FakeLease,
) -> None:
    process = Process()
    lease.is_ours = True

    async with leading(lease, process):
        await wait_until(lambda: process.working == 2, description="it leads")
        lease.is_ours = DatabaseUnavailable("away")
        await wait_until(lambda: process.working == 0, description="it has stopped")

    assert process.told is False


async def test_a_leader_that_leaves_gives_the_lease_back() -> None:
    lease, process = FakeLease(), Process()
    lease.is_ours = True

    async with leading(lease, process):
        await wait_until(lambda: process.working == 2, description="it leads")

    assert (lease.released, process.working, process.told) == (1, 0, False)


async def test_a_bug_in_a_loop_is_not_hidden() -> None:
    lease, process = FakeLease(), Process()
    lease.is_ours = True

    async def broken() -> None:
        raise KeyError("a bug")

    with pytest.raises(ExceptionGroup) as caught:
        await lead_for_ever(lease, lambda: [process.loop(), broken()], process)

    assert isinstance(caught.value.exceptions[0], KeyError)
    assert (lease.released, process.working) == (1, 0)
