"""Deliveries that nobody attempts are an alarm, and not ready; a backlog that moves is none."""

from __future__ import annotations

from datetime import timedelta

import pytest

from routing.backlog import Unattempted
from routing.faults import DatabaseUnavailable
from tests.unit.routing.fakes import FakeClock
from worker.observe.unattended import DeliveryWatch, Unattended


class Rig:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.oldest: Unattempted | None = None
        self.shown = timedelta(days=1)
        self.watch = DeliveryWatch(self._ask, self._show, clock=self.clock)

    def stands(self, event_id: str, age: timedelta = timedelta(hours=1)) -> None:
        self.oldest = Unattempted("acme", event_id, "wait", "default", age)

    async def later(self, seconds: float) -> None:
        self.clock.seconds += seconds
        await self.watch.check()

    async def _ask(self) -> Unattempted | None:
        return self.oldest

    def _show(self, span: timedelta) -> None:
        self.shown = span


async def test_without_a_delivery_that_waits_all_is_well() -> None:
    rig = Rig()

    await rig.later(0)
    await rig.later(1_000)

    assert rig.shown == timedelta()


async def test_what_nobody_attempts_for_a_minute_is_an_alarm_until_it_moves() -> None:
    rig = Rig()
    rig.stands("1")
    await rig.later(0)
    await rig.later(59)

    with pytest.raises(Unattended, match=r"event 1 of tenant acme, namespace default.* 1h ago"):
        await rig.later(2)
    assert rig.shown == timedelta(seconds=61)

    rig.stands("2")
    await rig.later(10)
    assert rig.shown == timedelta()


async def test_a_long_backlog_that_moves_is_no_alarm() -> None:
    rig = Rig()

    for number in range(10):
        rig.stands(str(number))
        await rig.later(50)

    assert rig.shown == timedelta()


async def test_a_database_that_does_not_answer_says_nothing_of_deliveries() -> None:
    async def away() -> Unattempted | None:
        raise DatabaseUnavailable("down")

    shown: list[timedelta] = []
    watch = DeliveryWatch(away, shown.append)

    await watch.check()

    assert shown == []
