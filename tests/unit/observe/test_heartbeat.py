from __future__ import annotations

from datetime import timedelta

import pytest

from worker.observe.heartbeat import Heartbeats

LIMIT = timedelta(seconds=10)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_loop_that_was_silent_for_longer_than_its_limit_is_stuck(clock: Clock) -> None:
    heartbeats = Heartbeats(clock)
    heartbeats.watch("slow", LIMIT)
    quick = heartbeats.watch("quick", LIMIT)

    clock.now += 11
    quick.beat()

    assert [(each.loop, each.is_stuck) for each in heartbeats.silences()] == [
        ("slow", True),
        ("quick", False),
    ]


def test_a_loop_that_waits_for_another_is_not_stuck(clock: Clock) -> None:
    heartbeats = Heartbeats(clock)
    waiting = heartbeats.watch("waiting", LIMIT)

    with waiting.held():
        clock.now += 1000
        [held] = heartbeats.silences()
    [after] = heartbeats.silences()
    clock.now += 11
    [later] = heartbeats.silences()

    assert (held.silent, after.silent) == (timedelta(), timedelta())
    assert later.is_stuck


async def test_a_loop_comes_by_before_and_after_it_sleeps(clock: Clock) -> None:
    heartbeats = Heartbeats(clock)
    beat = heartbeats.watch("trying", LIMIT)
    clock.now += 1000

    await beat.sleep(0)
    [silence] = heartbeats.silences()

    assert silence.silent == timedelta()
