"""Starting launches: many at once, in no order, one failing alone.

Deliveries are dispatched by another loop, with a gate of its own: neither holds up the other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Protocol, assert_never

import structlog

from correlation.reason import Reason
from routing.faults import RoutingError
from routing.gate import Backoff, Gate
from routing.launches import Launch, Launched, LaunchEnd, LaunchResult, LaunchStatus, Starter
from routing.signalling import Refused, TryAgain
from routing.write_back import WriteBack

log = structlog.get_logger(__name__)


class Launches(Protocol):
    """Where launches are leased from and settled."""

    async def claim(self, count: int) -> Sequence[Launch]:
        """Lease what is due."""
        ...

    async def settle(self, ends: Sequence[LaunchEnd]) -> Sequence[LaunchEnd]:
        """Write back what became of attempts; returns those whose launch is dead now."""
        ...


@dataclass(frozen=True, slots=True)
class LaunchLimits:
    """Bounds of launching."""

    concurrency: int = 50
    """Starts under way at once, those whose end is not written back included; fewer while Temporal
    is slow."""
    claim_period: timedelta = timedelta(seconds=1)
    """How often the table is asked for what other processes left."""
    backoff: Backoff = field(default_factory=Backoff)


class Launcher:
    """Claims launches and starts their workflows. `run` must be running."""

    def __init__(
        self,
        launches: Launches,
        starter: Starter,
        limits: LaunchLimits,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._launches = launches
        self._starter = starter
        self._limits = limits
        self._gate = Gate(limits.backoff, clock, widest=limits.concurrency)
        self._write_back = WriteBack(launches.settle, self._report, limits.backoff, name="launches")
        self._to_claim = asyncio.Event()
        self._changed = asyncio.Event()
        self._under_way = 0
        self._draining = False

    def wake(self) -> None:
        """There may be due launches in the table: look now."""
        self._to_claim.set()

    async def run(self) -> None:
        """Launch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write_back.run())
            await self._claim_for_ever(group)

    async def drain(self, within: timedelta) -> None:
        """Take nothing on any more and finish what is under way; the leases free the rest."""
        self._draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                await self._until(lambda: self._under_way == 0)
        if self._under_way:
            log.warning("launcher.left_to_lease", launches=self._under_way)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def _claim_for_ever(self, group: asyncio.TaskGroup) -> None:
        failures = 0
        while True:
            await self._gate.opened()
            # Not one by one as they end: a claim costs a transaction.
            await self._until(
                lambda: self._under_way <= self._gate.width // 2 and not self._draining
            )
            self._to_claim.clear()
            room = self._gate.width - self._under_way
            try:
                claimed = await self._launches.claim(max(1, room >> failures))
            except RoutingError as error:
                log.warning("launches.claiming_postponed", error=str(error))
                await asyncio.sleep(self._limits.backoff.delay(failures).total_seconds())
                failures += 1
                continue
            failures = 0
            self._under_way += len(claimed)
            for launch in claimed:
                group.create_task(self._launch(launch))
            if len(claimed) < room:
                await self._rest()

    async def _launch(self, launch: Launch) -> None:
        result = await self._starter.start(launch)
        self._write_back.add(self._end(launch, result))

    def _end(self, launch: Launch, result: LaunchResult) -> LaunchEnd:
        match result:
            case Launched(run_id, by_another):
                self._gate.succeeded()
                reason = Reason.ALREADY_STARTED if by_another else None
                return LaunchEnd(launch, LaunchStatus.LAUNCHED, reason, run_id=run_id)
            case Refused(reason, detail):
                self._gate.succeeded()
                return LaunchEnd(launch, LaunchStatus.DEAD, reason, detail)
            case TryAgain(reason, detail, outage):
                if outage:
                    self._gate.failed(reason, detail)
                delay = timedelta(0) if outage else self._limits.backoff.delay(launch.attempts)
                return LaunchEnd(launch, LaunchStatus.PENDING, reason, detail, delay=delay)
            case _:
                assert_never(result)

    def _report(self, batch: Sequence[LaunchEnd], dead: Sequence[LaunchEnd]) -> None:
        self._under_way -= len(batch)
        self._changed.set()
        for end in dead:
            log.warning(
                "launch.dead_lettered",
                tenant=end.launch.tenant,
                event_id=end.launch.event_id,
                trigger_id=end.launch.trigger_id,
                workflow_id=end.launch.workflow_id,
                reason=end.reason,
                detail=end.detail,
            )
        if any(end.status is LaunchStatus.PENDING for end in batch):
            self.wake()

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.claim_period.total_seconds()):
                await self._to_claim.wait()
