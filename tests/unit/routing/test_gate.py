from __future__ import annotations

from datetime import timedelta

import pytest

from correlation.reason import Reason
from routing.gate import Backoff, Gate
from tests.unit.routing.fakes import FakeClock

BACKOFF = Backoff(timedelta(seconds=1), timedelta(seconds=5))


@pytest.mark.parametrize(
    ("failures", "shortest", "longest"),
    [(0, 0.5, 1), (1, 1, 2), (2, 2, 4), (3, 2.5, 5), (99, 2.5, 5)],
)
def test_pauses_double_up_to_the_longest_and_vary_by_half(
    failures: int, shortest: float, longest: float
) -> None:
    assert BACKOFF.delay(failures, lambda: 0.0) == timedelta(seconds=shortest)
    assert BACKOFF.delay(failures, lambda: 1.0) == timedelta(seconds=longest)


def test_failures_that_were_under_way_together_count_once() -> None:
    clock = FakeClock()
    gate = Gate(BACKOFF, clock)

    for _ in range(50):
        gate.failed(Reason.TEMPORAL_UNAVAILABLE, "down")
    clock.seconds += 1

    assert not gate.is_shut


def test_a_gate_that_fails_again_and_again_stays_shut_longer() -> None:
    clock = FakeClock()
    gate = Gate(BACKOFF, clock)

    for _ in range(4):
        gate.failed(Reason.TEMPORAL_UNAVAILABLE, "down")
        clock.seconds += 5
    gate.failed(Reason.TEMPORAL_UNAVAILABLE, "down")
    clock.seconds += 2.4

    assert gate.is_shut


def test_an_answer_makes_the_next_pause_short_again() -> None:
    clock = FakeClock()
    gate = Gate(BACKOFF, clock)
    for _ in range(4):
        gate.failed(Reason.TEMPORAL_UNAVAILABLE, "down")
        clock.seconds += 5

    gate.succeeded()
    gate.failed(Reason.TEMPORAL_UNAVAILABLE, "down")
    clock.seconds += 1

    assert not gate.is_shut


async def test_an_open_gate_lets_everybody_through() -> None:
    await Gate(BACKOFF, FakeClock()).opened()
