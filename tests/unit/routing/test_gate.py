from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from correlation.reason import Reason
from routing.gate import Backoff, Gate
from tests.unit.routing.fakes import FakeClock
from tests.waiting import wait_until

BACKOFF = Backoff(timedelta(seconds=1), timedelta(seconds=5))
WIDEST = 8


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
    gate = Gate(BACKOFF, clock, widest=WIDEST)

    for _ in range(50):
        gate.failed(Reason.TEMPORAL_UNAVAILABLE, "down")
    clock.seconds += 1

    assert not gate.is_shut


def test_a_gate_that_fails_again_and_again_stays_shut_longer() -> None:
    clock = FakeClock()
    gate = Gate(BACKOFF, clock, widest=WIDEST)

    for _ in range(4):
        gate.failed(Reason.TEMPORAL_UNAVAILABLE, "down")
        clock.seconds += 5
    gate.failed(Reason.TEMPORAL_UNAVAILABLE, "down")
    clock.seconds += 2.4

    assert gate.is_shut


def test_an_answer_makes_the_next_pause_short_again() -> None:
    clock = FakeClock()
    gate = Gate(BACKOFF, clock, widest=WIDEST)
    for _ in range(4):
        gate.failed(Reason.TEMPORAL_UNAVAILABLE, "down")
        clock.seconds += 5

    gate.succeeded()
    gate.failed(Reason.TEMPORAL_UNAVAILABLE, "down")
    clock.seconds += 1

    assert not gate.is_shut


async def test_an_open_gate_lets_everybody_through() -> None:
    await Gate(BACKOFF, FakeClock(), widest=WIDEST).opened()


def test_each_failure_halves_how_many_pass_at_once_down_to_one() -> None:
    clock = FakeClock()
    gate = Gate(BACKOFF, clock, widest=WIDEST)

    widths = []
    for _ in range(5):
        gate.failed(Reason.TEMPORAL_TIMEOUT, "slow")
        clock.seconds += 5
        widths.append(gate.width)

    assert widths == [4, 2, 1, 1, 1]


def test_every_round_of_answers_lets_one_more_pass_up_to_the_widest() -> None:
    clock = FakeClock()
    gate = Gate(BACKOFF, clock, widest=WIDEST)
    for _ in range(5):
        gate.failed(Reason.TEMPORAL_TIMEOUT, "slow")
        clock.seconds += 5

    widths = []
    for _ in range(WIDEST + 2):
        for _ in range(gate.width + 1):
            gate.succeeded()
        widths.append(gate.width)

    assert widths == sorted(widths)
    assert set(widths) >= {2, 3, 4, WIDEST}
    assert max(widths) == WIDEST


async def two_at(gate: Gate, hold: asyncio.Event) -> tuple[list[str], list[asyncio.Task[None]]]:
    """Two that stay in the gate until `hold` is set, the first of them in it; who has passed."""
    passed: list[str] = []

    async def pass_through(name: str) -> None:
        async with gate:
            passed.append(name)
            await hold.wait()

    tasks = [asyncio.create_task(pass_through(name)) for name in ("first", "second")]
    await wait_until(lambda: passed, description="one passes")
    return passed, tasks


async def test_who_finds_no_room_waits_until_another_has_passed() -> None:
    clock = FakeClock()
    gate = Gate(BACKOFF, clock, widest=2)
    gate.failed(Reason.TEMPORAL_TIMEOUT, "slow")
    clock.seconds += 5
    hold = asyncio.Event()
    passed, tasks = await two_at(gate, hold)
    waiting = list(passed)
    hold.set()
    await asyncio.gather(*tasks)

    assert waiting == ["first"]
    assert passed == ["first", "second"]


async def test_a_gate_that_shuts_meanwhile_keeps_out_who_waits_for_room() -> None:
    clock = FakeClock()
    gate = Gate(BACKOFF, clock, widest=1)
    hold = asyncio.Event()
    passed, tasks = await two_at(gate, hold)
    gate.failed(Reason.TEMPORAL_UNAVAILABLE, "away")
    hold.set()
    await tasks[0]
    await asyncio.sleep(0)
    kept_out = list(passed)
    clock.seconds += 60
    await tasks[1]

    assert kept_out == ["first"]
    assert passed == ["first", "second"]


async def test_who_is_cancelled_while_waiting_takes_no_room() -> None:
    gate = Gate(BACKOFF, FakeClock(), widest=1)

    async def pass_through() -> None:
        async with gate:
            pass

    async with gate:
        waiting = asyncio.create_task(pass_through())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    await pass_through()
    assert gate.under_way == 0
