"""The dispatcher with a store and a Temporal that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from correlation.reason import Reason
from routing.delivery_store import DeliveryStatus
from routing.dispatch import Dispatcher, DispatchLimits
from routing.gate import Backoff
from routing.incoming import Delivery
from routing.signalling import Refused, SignalResult
from tests.running import in_background
from tests.unit.routing.fakes import BUSY, OUTAGE, FakeClock, FakeSignaller, FakeStore, a_delivery
from tests.waiting import wait_until

# Pauses too short to wait for; what is tested moves the clock.
LIMITS = DispatchLimits(
    claim_period=timedelta(hours=1),
    backoff=Backoff(timedelta(milliseconds=1), timedelta(milliseconds=1)),
)
PENDING, DELIVERED, DEAD = DeliveryStatus.PENDING, DeliveryStatus.DELIVERED, DeliveryStatus.DEAD


class Rig:
    def __init__(self, limits: DispatchLimits) -> None:
        self.store, self.signaller, self.clock = FakeStore(), FakeSignaller(), FakeClock()
        self.dispatcher = Dispatcher(self.store, self.signaller, limits, clock=self.clock)

    async def idle(self) -> None:
        """Until nothing is in memory any more."""
        await wait_until(lambda: self.dispatcher.in_memory == 0, description="nothing in memory")

    async def settled(self, status: DeliveryStatus, count: int) -> list[Delivery]:
        await wait_until(
            lambda: len(self.store.ends(status)) >= count,
            description=f"{count} deliveries are {status}",
        )
        return self.store.ends(status)


@asynccontextmanager
async def a_rig(limits: DispatchLimits = LIMITS) -> AsyncIterator[Rig]:
    rig = Rig(limits)
    async with in_background(rig.dispatcher.run()):
        await quiet()
        yield rig


async def quiet() -> None:
    """Let every task go as far as it can without time passing."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_one_workflows_deliveries_go_out_in_order_and_one_at_a_time() -> None:
    one, other = ([a_delivery(name) for _ in range(20)] for name in ("one", "other"))
    mixed = [delivery for pair in zip(one, other, strict=True) for delivery in pair]

    async with a_rig() as rig:
        await rig.dispatcher.submit(mixed)
        await rig.idle()

    assert rig.signaller.sent_to("one") == one
    assert rig.signaller.sent_to("other") == other
    assert rig.signaller.most_under_way == 1
    assert len(rig.store.ends(DELIVERED)) == 40


async def test_a_target_that_hangs_delays_no_other() -> None:
    hanging, others = a_delivery("hanging"), [a_delivery(f"w-{n}") for n in range(100)]

    async with a_rig() as rig:
        rig.signaller.held["hanging"] = asyncio.Event()
        await rig.dispatcher.submit([hanging, *others])

        assert await rig.settled(DELIVERED, 100) == others
        assert rig.dispatcher.in_memory == 1


async def test_a_target_that_fails_is_alone_and_nothing_of_it_is_overtaken() -> None:
    failing = [a_delivery("busy") for _ in range(3)]
    others = [a_delivery(f"w-{n}") for n in range(10)]

    async with a_rig() as rig:
        rig.signaller.answers["busy"] = BUSY
        await rig.dispatcher.submit([failing[0], *others, *failing[1:]])
        await rig.idle()

    assert rig.signaller.sent_to("busy") == failing[:1]
    assert rig.store.ends(PENDING) == failing
    assert [each.tried for each in rig.store.settled if each.status is PENDING] == [
        True,
        False,
        False,
    ]
    assert len(rig.store.ends(DELIVERED)) == 10


@pytest.mark.parametrize(
    "answer",
    [BUSY, OUTAGE, Refused(Reason.RUN_NOT_FOUND, "not found")],
    ids=lambda each: each.reason,
)
async def test_what_follows_a_postponed_delivery_waits_until_that_is_claimed(
    answer: SignalResult,
) -> None:
    first = a_delivery("failing")
    second = a_delivery("failing", after=first)
    third = a_delivery("failing", after=second)

    async with a_rig() as rig:
        rig.signaller.answers["failing"] = answer
        await rig.dispatcher.submit([first, second])
        await rig.idle()
        rig.signaller.answers.clear()
        rig.clock.seconds += 1_000_000
        await rig.dispatcher.submit([replace(third, leased_at=rig.clock())])
        await rig.idle()
        assert rig.signaller.sent == [first]

        rig.store.end_pauses()
        rig.dispatcher.wake()

        assert ids(await rig.settled(DELIVERED, 3)) == ids([first, second, third])


async def test_what_follows_nothing_goes_out_at_once() -> None:
    first, second = a_delivery("busy"), a_delivery("busy")

    async with a_rig() as rig:
        rig.signaller.answers["busy"] = BUSY
        await rig.dispatcher.submit([first])
        await rig.idle()
        rig.signaller.answers.clear()
        await rig.dispatcher.submit([second])

        assert await rig.settled(DELIVERED, 1) == [second]


async def test_what_comes_before_what_it_follows_goes_back_to_the_table() -> None:
    first = a_delivery("w")
    second = a_delivery("w", after=first)

    async with a_rig() as rig:
        await rig.dispatcher.submit([second])
        await rig.dispatcher.submit([first])
        await rig.idle()
        assert rig.signaller.sent == [first]

        rig.store.end_pauses()
        rig.dispatcher.wake()

        assert ids(await rig.settled(DELIVERED, 2)) == ids([first, second])


async def test_a_lease_counts_from_when_it_was_asked_for() -> None:
    async with a_rig() as rig:
        asked = rig.clock()
        rig.clock.seconds += 51
        await rig.dispatcher.submit([replace(a_delivery("w"), leased_at=asked)])
        await rig.idle()

    assert rig.signaller.sent == []
    assert len(rig.store.ends(PENDING)) == 1


async def test_a_refused_delivery_is_dead_with_its_reason_and_the_next_one_goes_out() -> None:
    first, second = a_delivery("closed"), a_delivery("closed")

    async with a_rig() as rig:
        rig.signaller.answers["closed"] = Refused(Reason.RUN_CLOSED, "already completed")
        await rig.dispatcher.submit([first, second])
        await rig.idle()

    assert rig.signaller.sent == [first, second]
    assert {(each.status, each.reason, each.grace) for each in rig.store.settled} == {
        (DEAD, Reason.RUN_CLOSED, timedelta(0))
    }


async def test_a_missing_run_has_a_grace() -> None:
    async with a_rig() as rig:
        rig.signaller.answers["nobody"] = Refused(Reason.RUN_NOT_FOUND, "not found")
        await rig.dispatcher.submit([a_delivery("nobody")])
        await rig.idle()

    [settlement] = rig.store.settled
    assert (settlement.status, settlement.grace) == (DEAD, LIMITS.run_not_found_grace)


async def test_an_outage_shuts_the_gate_for_all_and_nothing_is_lost() -> None:
    deliveries = [a_delivery(f"w-{n}") for n in range(10)]
    limits = replace(LIMITS, concurrency=1)

    async with a_rig(limits) as rig:
        rig.signaller.answers = {delivery.workflow_id: OUTAGE for delivery in deliveries}
        await rig.dispatcher.submit(deliveries)
        await rig.settled(PENDING, 1)
        await quiet()
        assert rig.signaller.sent == deliveries[:1]

        rig.signaller.answers.clear()
        rig.clock.seconds += 1
        await rig.settled(DELIVERED, 9)
        rig.store.end_pauses()
        rig.dispatcher.wake()

        assert ids(await rig.settled(DELIVERED, 10)) == ids([*deliveries[1:], deliveries[0]])


async def test_a_server_that_failed_is_tried_by_half_as_many_at_once() -> None:
    later = [a_delivery(f"w-{n}") for n in range(8)]

    async with a_rig(replace(LIMITS, concurrency=8)) as rig:
        rig.signaller.answers["failing"] = OUTAGE
        await rig.dispatcher.submit([a_delivery("failing")])
        await rig.idle()
        rig.clock.seconds += 1
        rig.signaller.held = {delivery.workflow_id: asyncio.Event() for delivery in later}
        await rig.dispatcher.submit(later)
        await quiet()
        under_way = sum(rig.signaller.under_way.values())
        for event in rig.signaller.held.values():
            event.set()
        await rig.settled(DELIVERED, 8)

    assert under_way == 4


async def test_an_outage_does_not_count_as_a_pause_of_the_delivery() -> None:
    async with a_rig() as rig:
        rig.signaller.answers["w"] = OUTAGE
        await rig.dispatcher.submit([a_delivery("w")])
        await rig.idle()

    [settlement] = rig.store.settled
    assert (settlement.status, settlement.delay) == (PENDING, timedelta(0))
    assert settlement.reason is Reason.TEMPORAL_UNAVAILABLE


async def test_who_submits_waits_while_memory_is_full() -> None:
    deliveries = [a_delivery("w") for _ in range(5)]

    async with a_rig(replace(LIMITS, in_memory=3)) as rig:
        rig.signaller.held["w"] = asyncio.Event()
        submitting = asyncio.create_task(rig.dispatcher.submit(deliveries))
        await quiet()
        assert not submitting.done()
        assert rig.dispatcher.in_memory == 3

        rig.signaller.held["w"].set()
        await submitting

        assert await rig.settled(DELIVERED, 5) == deliveries


async def test_nobody_waits_for_room_while_temporal_is_away() -> None:
    deliveries = [a_delivery(f"w-{n}") for n in range(6)]

    async with a_rig(replace(LIMITS, in_memory=3, concurrency=1)) as rig:
        rig.signaller.answers = {delivery.workflow_id: OUTAGE for delivery in deliveries}
        await rig.dispatcher.submit(deliveries)

        given_back = await rig.settled(PENDING, 3)
        assert [each.workflow_id for each in given_back] == ["w-0", "w-4", "w-5"]
        assert rig.dispatcher.in_memory == 3


async def test_what_is_claimed_is_bounded_by_the_room_in_memory() -> None:
    async with a_rig(replace(LIMITS, in_memory=7)) as rig:
        rig.store.due = [a_delivery(f"w-{n}") for n in range(20)]
        rig.dispatcher.wake()

        await rig.settled(DELIVERED, 20)
        assert max(rig.store.claims) == 7


async def test_a_delivery_whose_lease_is_ending_is_given_back_unsent_and_uncounted() -> None:
    first, *rest = deliveries = [a_delivery("w") for _ in range(3)]

    async with a_rig() as rig:
        rig.signaller.held["w"] = asyncio.Event()
        await rig.dispatcher.submit(deliveries)
        await quiet()
        # The lease of 60 s is over in 10 s: the margin that a signal may need.
        rig.clock.seconds += 51
        rig.signaller.held["w"].set()
        await rig.idle()

        assert rig.signaller.sent == [first]
        assert rig.store.ends(DELIVERED) == [first]
        assert rig.store.ends(PENDING) == rest
        assert not any(each.tried for each in rig.store.settled if each.delivery in rest)


async def test_a_slow_temporal_is_claimed_less_for() -> None:
    async with a_rig(replace(LIMITS, in_memory=80, concurrency=8)) as rig:
        rig.signaller.answers["failing"] = OUTAGE
        await rig.dispatcher.submit([a_delivery("failing")])
        await rig.idle()
        rig.store.claims.clear()
        rig.clock.seconds += 1
        rig.dispatcher.wake()
        await wait_until(lambda: rig.store.claims, description="it claims")

    assert rig.store.claims[0] == 40


async def test_draining_finishes_what_is_in_memory_and_takes_nothing_on() -> None:
    taken, refused = [a_delivery("w") for _ in range(5)], a_delivery("other")

    async with a_rig() as rig:
        rig.signaller.held["w"] = asyncio.Event()
        await rig.dispatcher.submit(taken)
        draining = asyncio.create_task(rig.dispatcher.drain(timedelta(seconds=20)))
        await quiet()
        await rig.dispatcher.submit([refused])
        rig.signaller.held["w"].set()
        await draining

    assert rig.store.ends(DELIVERED) == taken
    assert rig.store.ends(PENDING) == [refused]
    assert rig.dispatcher.in_memory == 0


async def test_draining_gives_back_what_cannot_be_sent() -> None:
    deliveries = [a_delivery(f"w-{n}") for n in range(4)]

    async with a_rig(replace(LIMITS, concurrency=1)) as rig:
        rig.signaller.answers = {delivery.workflow_id: OUTAGE for delivery in deliveries}
        await rig.dispatcher.submit(deliveries)
        await rig.settled(PENDING, 1)

        await rig.dispatcher.drain(timedelta(seconds=20))

        assert rig.dispatcher.in_memory == 0
        assert set(map(_name, rig.store.ends(PENDING))) == set(map(_name, deliveries))


async def test_what_cannot_be_written_back_is_written_back_later() -> None:
    deliveries = [a_delivery(f"w-{n}") for n in range(5)]

    async with a_rig() as rig:
        rig.store.available.clear()
        await rig.dispatcher.submit(deliveries)
        await wait_until(lambda: len(rig.signaller.sent) == 5, description="all are sent")
        assert rig.store.settled == []

        rig.store.available.set()

        assert set(map(_name, await rig.settled(DELIVERED, 5))) == set(map(_name, deliveries))
        await rig.idle()
        assert len(rig.signaller.sent) == 5


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.event_id for delivery in deliveries]


def _name(delivery: Delivery) -> str:
    return delivery.workflow_id
