"""Doing a duty while this process leads it, and watching for the lease while another one does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from time import monotonic
from typing import Any, Final, Protocol, TypeAlias

import structlog

from routing.faults import RoutingError
from worker.cancelling import cancel

log = structlog.get_logger(__name__)

RENEWALS: Final = 3
"""So often a lease is renewed within its span."""
RELEASE_SECONDS: Final = 2.0

Loops: TypeAlias = Sequence[Coroutine[Any, Any, None]]


class Claim(Protocol):
    """One process' claim to a duty; raises RoutingError where nobody can say."""

    duty: str
    span: timedelta

    async def take(self) -> bool:
        """Take or renew the lease; False while another process has it."""
        ...

    async def release(self) -> None:
        """Give it back, where this process has it."""
        ...


class Watch(Protocol):
    """Is told how a duty stands."""

    def came_by(self, duty: str, *, leads: bool) -> None:
        """The lease was tried or renewed, or lost."""
        ...


async def lead_for_ever(lease: Claim, loops: Callable[[], Loops], watch: Watch) -> None:
    """Run the loops of a duty for as long as this process has its lease; give it back at the end.

    Where the leader dies another process takes over within four thirds of the lease's span; where
    it leaves orderly, within a third. A leader that cannot renew its lease in time stops its loops
    before the lease has run out.
    """
    period = lease.span.total_seconds() / RENEWALS
    failing = False
    while True:
        until = monotonic() + lease.span.total_seconds()
        try:
            leads, failing = await lease.take(), False
        except RoutingError as error:
            if not failing:
                log.warning("duty.postponed", duty=lease.duty, error=str(error))
            leads, failing = False, True
        watch.came_by(lease.duty, leads=leads)
        if leads:
            log.info("duty.taken", duty=lease.duty)
            try:
                await _lead(lease, loops, watch, until)
            finally:
                watch.came_by(lease.duty, leads=False)
            log.warning("duty.lost", duty=lease.duty)
        await asyncio.sleep(period)


async def _lead(lease: Claim, loops: Callable[[], Loops], watch: Watch, until: float) -> None:
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(loop) for loop in loops()]
        try:
            await _until_lost(lease, watch, until)
        finally:
            await cancel(running)
            await _released(lease)


async def _until_lost(lease: Claim, watch: Watch, until: float) -> None:
    """Renew the lease until another process has it, or nobody can say in time."""
    span = lease.span.total_seconds()
    while True:
        await asyncio.sleep(span / RENEWALS)
        began = monotonic()
        try:
            async with asyncio.timeout(until - began):
                if not await lease.take():
                    return
        except TimeoutError:
            return
        except RoutingError:
            if monotonic() >= until:
                return
            continue
        until = began + span
        watch.came_by(lease.duty, leads=True)


async def _released(lease: Claim) -> None:
    try:
        async with asyncio.timeout(RELEASE_SECONDS):
            await lease.release()
    except (TimeoutError, RoutingError):
        pass  # it runs out by itself
