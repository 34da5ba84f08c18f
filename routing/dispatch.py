"""Sending deliveries: many at once, in order for each workflow, one failing target alone.

A delivery is a row first and in memory second. What is in memory is leased, bounded, and may be
dropped at any moment: the row is due again when the lease ends, and any process takes it up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Final, Protocol, assert_never

import structlog

from correlation.reason import Reason
from routing.delivery_store import DeliveryStatus, Settlement
from routing.faults import RoutingError
from routing.gate import Backoff, Gate
from routing.incoming import Delivery
from routing.line import Line, Target, target_of
from routing.signalling import Delivered, Refused, Signaller, SignalResult, TryAgain
from routing.write_back import WriteBack

log = structlog.get_logger(__name__)

GIVE_BACK_WITHIN: Final = timedelta(seconds=2)
CROWD: Final = 16
"""From so many signals under way on, what became of them is written back by the handful."""


class Deliveries(Protocol):
    """Where deliveries are leased from and settled."""

    lease: timedelta

    async def claim(self, count: int) -> list[Delivery]:
        """Lease what is due, in the order of signalling within each workflow."""
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> list[Settlement]:
        """Write back what became of deliveries; returns those that are dead now."""
        ...


@dataclass(frozen=True, slots=True)
class DispatchLimits:
    """Bounds of sending."""

    concurrency: int = 50
    """Signals under way at once."""
    in_memory: int = 2_000
    """Deliveries held at once, sent but unsettled ones included."""
    claim_period: timedelta = timedelta(seconds=1)
    """How often the table is asked for what other processes left."""
    run_not_found_grace: timedelta = timedelta(seconds=60)
    send_margin: timedelta = timedelta(seconds=10)
    """A delivery whose lease ends sooner is given back instead of sent."""
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(slots=True)
class _Leased:
    delivery: Delivery
    deadline: float


class Dispatcher:
    """Sends what is submitted and what it claims. `run` must be running."""

    def __init__(
        self,
        deliveries: Deliveries,
        signaller: Signaller,
        limits: DispatchLimits,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._deliveries = deliveries
        self._signaller = signaller
        self._limits = limits
        self._clock = clock
        self._gate = Gate(limits.backoff, clock, widest=limits.concurrency)
        self._queues: dict[Target, deque[_Leased]] = {}
        self._ready: asyncio.Queue[Target] = asyncio.Queue()
        self._line = Line(remembered=2 * limits.in_memory)
        self._write_back = WriteBack(
            deliveries.settle,
            self._report,
            limits.backoff,
            name="deliveries",
            crowded=lambda: self._gate.under_way >= CROWD,
        )
        self._to_claim = asyncio.Event()
        self._changed = asyncio.Event()
        self._in_memory = 0
        self._more_expected = False
        self._draining = False

    @property
    def in_memory(self) -> int:
        """Deliveries held at this moment."""
        return self._in_memory

    def wake(self) -> None:
        """There may be due deliveries in the table: look now."""
        self._more_expected = True
        self._to_claim.set()

    async def submit(self, deliveries: Sequence[Delivery]) -> None:
        """Take over deliveries that were just leased, in their order; waits while there is no room.

        While Temporal is away nobody waits here: what finds no room goes back to the table.
        """
        now, lease = self._clock(), self._deliveries.lease.total_seconds()
        for delivery in deliveries:
            await self._until(lambda: self._has_room or self._gate.is_shut)
            since = now if delivery.leased_at is None else delivery.leased_at
            self._accept(_Leased(delivery, since + lease))

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write_back.run())
            group.create_task(self._claim_for_ever())
            for _ in range(self._limits.concurrency):
                group.create_task(self._send_for_ever())

    async def drain(self, within: timedelta) -> None:
        """Take nothing on any more and finish what is in memory; give back what cannot be."""
        self._draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                await self._until(lambda: self._in_memory == 0 or self._gate.is_shut)
        for target in list(self._queues):
            self._give_back(target)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GIVE_BACK_WITHIN.total_seconds()):
                await self._until(lambda: self._in_memory == 0)
        if self._in_memory:
            log.warning("dispatcher.left_to_lease", deliveries=self._in_memory)

    @property
    def _has_room(self) -> bool:
        return self._in_memory < self._limits.in_memory

    @property
    def _room_to_claim(self) -> int:
        """Less while Temporal is slow: what is claimed should be sent before its lease ends."""
        share = self._gate.width / self._limits.concurrency
        return max(1, int(self._limits.in_memory * share)) - self._in_memory

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def _accept(self, leased: _Leased) -> None:
        self._in_memory += 1
        delivery = leased.delivery
        target = target_of(delivery)
        full = self._in_memory > self._limits.in_memory
        if full or self._draining or not self._line.admits(delivery):
            self._write_back.add(_given_back(delivery))
            return
        self._line.extend(delivery)
        queue = self._queues.get(target)
        if queue is None:
            self._queues[target] = deque([leased])
            self._ready.put_nowait(target)
        else:
            queue.append(leased)

    async def _send_for_ever(self) -> None:
        while True:
            target = await self._ready.get()
            async with self._gate:
                if not (leased := self._taken(target)):
                    continue
                result = await self._signaller.signal(leased.delivery)
            self._conclude(target, leased.delivery, result)

    def _taken(self, target: Target) -> _Leased | None:
        """The target's next, taken out before it is sent: nobody else's to give back."""
        queue = self._queues.get(target)
        if not queue:
            return None
        if self._clock() + self._limits.send_margin.total_seconds() > queue[0].deadline:
            self._give_back(target)
            return None
        return queue.popleft()

    def _conclude(self, target: Target, delivery: Delivery, result: SignalResult) -> None:
        match result:
            case Delivered(to):
                self._gate.succeeded()
                self._write_back.add(Settlement(delivery, DeliveryStatus.DELIVERED, to=to))
            case Refused(Reason.RUN_NOT_FOUND, detail) if self._limits.run_not_found_grace:
                self._await_run(target, delivery, detail)
                return
            case Refused(reason, detail):
                self._gate.succeeded()
                self._write_back.add(Settlement(delivery, DeliveryStatus.DEAD, reason, detail))
            case TryAgain(reason, detail, outage):
                self._postpone(target, delivery, reason, detail, outage=outage)
                return
            case _:
                assert_never(result)
        self._go_on(target)

    def _await_run(self, target: Target, delivery: Delivery, detail: str) -> None:
        """The run may yet be started: what stands behind the delivery waits for it as well."""
        self._gate.succeeded()
        delay = self._limits.backoff.delay(delivery.attempts)
        self._write_back.add(
            Settlement(
                delivery,
                DeliveryStatus.DEAD,
                Reason.RUN_NOT_FOUND,
                detail,
                grace=self._limits.run_not_found_grace,
                delay=delay,
            )
        )
        self._give_back(target, delay)

    def _postpone(
        self, target: Target, delivery: Delivery, reason: Reason, detail: str, *, outage: bool
    ) -> None:
        """Give the delivery back for later, and with it all that must not overtake it."""
        if outage:
            self._gate.failed(reason, detail)
        delay = timedelta(0) if outage else self._limits.backoff.delay(delivery.attempts)
        self._write_back.add(
            Settlement(delivery, DeliveryStatus.PENDING, reason, detail, delay=delay)
        )
        self._give_back(target, delay)

    def _give_back(self, target: Target, delay: timedelta = timedelta(0)) -> None:
        """Let the target's deliveries be claimed again, by whichever process."""
        self._line.broken(target)
        for leased in self._queues.pop(target, ()):
            self._write_back.add(_given_back(leased.delivery, delay))

    def _go_on(self, target: Target) -> None:
        if self._queues.get(target):
            self._ready.put_nowait(target)
        else:
            self._queues.pop(target, None)

    def _released(self, count: int) -> None:
        self._in_memory -= count
        self._changed.set()

    def _report(self, batch: Sequence[Settlement], dead: Sequence[Settlement]) -> None:
        for settlement in dead:
            delivery = settlement.delivery
            log.warning(
                "delivery.dead_lettered",
                tenant=delivery.tenant,
                event_id=delivery.event_id,
                wait_id=delivery.wait_id,
                workflow_id=delivery.workflow_id,
                reason=settlement.reason,
                detail=settlement.detail,
            )
        # What is dead may have been offered to somebody else.
        kept = any(each.status is DeliveryStatus.PENDING for each in batch)
        if dead or kept or self._more_expected:
            self.wake()
        self._released(len(batch))

    async def _claim_for_ever(self) -> None:
        failures = 0
        while True:
            await self._gate.opened()
            await self._until(lambda: self._room_to_claim > 0 and not self._draining)
            self._to_claim.clear()
            try:
                claimed = await self._deliveries.claim(max(1, self._room_to_claim >> failures))
            except RoutingError as error:
                log.warning("deliveries.claiming_postponed", error=str(error))
                await asyncio.sleep(self._limits.backoff.delay(failures).total_seconds())
                failures += 1
                continue
            failures = 0
            if claimed:
                await self._take_over(claimed)
            else:
                self._more_expected = self._more_expected and self._in_memory > 0
                await self._rest()

    async def _take_over(self, claimed: Sequence[Delivery]) -> None:
        # What stands behind them in the table is due once they are through.
        self._more_expected = True
        await self.submit(claimed)

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.claim_period.total_seconds()):
                await self._to_claim.wait()


def _given_back(delivery: Delivery, delay: timedelta = timedelta(0)) -> Settlement:
    return Settlement(delivery, DeliveryStatus.PENDING, tried=False, delay=delay)
