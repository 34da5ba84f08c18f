"""Stand-ins for the database and for Temporal, and a clock that only a test moves."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from correlation.event import EventId, EventName, TenantId
from correlation.key import CorrelationKey
from correlation.reason import Reason
from routing.delivery_store import DeliveryStatus, Settlement
from routing.faults import DatabaseUnavailable
from routing.incoming import Delivery, WaitId, WorkflowId
from routing.signalling import Delivered, SignalResult, TryAgain

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OUTAGE = TryAgain(Reason.TEMPORAL_UNAVAILABLE, "down", outage=True)
BUSY = TryAgain(Reason.TEMPORAL_BUSY, "busy", outage=False)

Pair = tuple[str, str]
"""event id, wait id"""

_numbers = itertools.count(1)


def a_delivery(
    workflow: str = "workflow", *, tenant: str = "acme", after: Delivery | None = None
) -> Delivery:
    """A delivery with a fresh event id, to one workflow; `after` another that was pending."""
    number = next(_numbers)
    return Delivery(
        tenant=TenantId(tenant),
        event_id=EventId(f"event-{number}"),
        wait_id=WaitId("wait"),
        event_name=EventName("NAME"),
        correlation_key=CorrelationKey("key"),
        workflow_id=WorkflowId(workflow),
        signal_name="signal",
        payload_text="{}",
        received_at=NOW,
        created_at=NOW,
        position=number,
        follows=None if after is None else after.position,
    )


class FakeClock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class FakeStore:
    """The table of deliveries as one process sees it, and what was written back to it.

    That it behaves as the real one does is what `tests/contract/test_deliveries.py` shows. But no
    time passes here: what is given back is due once a test says so.
    """

    def __init__(self, lease: timedelta = timedelta(seconds=60)) -> None:
        self.lease = lease
        self.due: list[Delivery] = []
        self.leased: list[Delivery] = []
        self.given_back: list[Delivery] = []
        self.settled: list[Settlement] = []
        self.claims: list[int] = []
        self.available = asyncio.Event()
        self.available.set()
        self._final: set[Pair] = set()

    async def claim(self, count: int) -> list[Delivery]:
        self._check()
        self.claims.append(count)
        free = [each for each in self.due if not self._stands_behind_another(each)][:count]
        claimed = [replace(each, follows=_before(each, free)) for each in free]
        self.leased += claimed
        self.due = [each for each in self.due if each not in free]
        return claimed

    async def settle(self, settlements: Sequence[Settlement]) -> list[Settlement]:
        self._check()
        self.settled.extend(settlements)
        return [each for each in settlements if self._settle(each)]

    def end_pauses(self) -> None:
        """What was given back is due now, whatever its delay."""
        self.due, self.given_back = _in_order([*self.due, *self.given_back]), []

    def end_leases(self) -> None:
        """Whoever held them has died."""
        self.due, self.leased = _in_order([*self.due, *self.leased]), []

    def _settle(self, settlement: Settlement) -> bool:
        """Whether the delivery is dead by this."""
        delivery, pair = settlement.delivery, _pair(settlement.delivery)
        if pair in self._final:
            return False
        self.leased = [each for each in self.leased if _pair(each) != pair]
        young = settlement.status is DeliveryStatus.DEAD and settlement.grace
        if settlement.status is DeliveryStatus.PENDING or young:
            attempts = delivery.attempts + settlement.tried
            self.given_back.append(replace(delivery, attempts=attempts))
            return False
        self._final.add(pair)
        return settlement.status is DeliveryStatus.DEAD

    def _stands_behind_another(self, delivery: Delivery) -> bool:
        return any(
            earlier.workflow_id == delivery.workflow_id and _number(earlier) < _number(delivery)
            for earlier in [*self.leased, *self.given_back]
        )

    def _check(self) -> None:
        if not self.available.is_set():
            raise DatabaseUnavailable("down")

    def ends(self, status: DeliveryStatus) -> list[Delivery]:
        """The deliveries that were written back with this status, in that order."""
        return [each.delivery for each in self.settled if each.status is status]


def _before(delivery: Delivery, claimed: Sequence[Delivery]) -> int | None:
    """The position of the one that is claimed before it for the same workflow."""
    earlier = [each.position for each in claimed if each.workflow_id == delivery.workflow_id]
    return max((each for each in earlier if each < delivery.position), default=None)


def _pair(delivery: Delivery) -> Pair:
    return delivery.event_id, delivery.wait_id


def _number(delivery: Delivery) -> int:
    return int(delivery.event_id.rpartition("-")[2])


def _in_order(deliveries: Sequence[Delivery]) -> list[Delivery]:
    return sorted(deliveries, key=_number)


class FakeSignaller:
    """Records what is sent; answers as it is told, when it is told."""

    def __init__(self) -> None:
        self.sent: list[Delivery] = []
        self.answers: dict[str, SignalResult] = {}
        """By workflow; any other gets Delivered."""
        self.under_way: defaultdict[str, int] = defaultdict(int)
        self.most_under_way = 0
        self.held: dict[str, asyncio.Event] = {}
        """Workflows whose signals hang until their event is set."""

    async def signal(self, delivery: Delivery) -> SignalResult:
        workflow = delivery.workflow_id
        self.sent.append(delivery)
        self.under_way[workflow] += 1
        self.most_under_way = max(self.most_under_way, self.under_way[workflow])
        try:
            if workflow in self.held:
                await self.held[workflow].wait()
            return self.answers.get(workflow, Delivered())
        finally:
            self.under_way[workflow] -= 1

    def sent_to(self, workflow: str) -> list[Delivery]:
        """What was sent to one workflow, in that order."""
        return [delivery for delivery in self.sent if delivery.workflow_id == workflow]
