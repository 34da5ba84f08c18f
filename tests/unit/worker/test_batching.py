from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from routing.faults import DatabaseUnavailable, RecordRefused
from worker.batching import Batcher


class Doubler:
    """Doubles numbers, a batch at a time, and fails as it is told."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.refused: set[int] = set()
        self.unavailable = False
        self.held: asyncio.Event | None = None
        self.called = asyncio.Event()

    async def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        self.called.set()
        if self.held is not None:
            await self.held.wait()
        if self.unavailable:
            raise DatabaseUnavailable("down")
        if self.refused.intersection(numbers):
            raise RecordRefused("refused")
        return [2 * number for number in numbers]


async def test_a_lone_call_goes_through_at_once() -> None:
    double = Doubler()

    assert await Batcher(double).call(21) == 42

    assert double.batches == [[21]]


async def test_calls_that_come_while_one_is_under_way_go_together() -> None:
    double = Doubler()
    double.held = asyncio.Event()
    batcher = Batcher(double)
    first = asyncio.create_task(batcher.call(0))
    await double.called.wait()
    others = [asyncio.create_task(batcher.call(number)) for number in range(1, 6)]
    await asyncio.sleep(0)

    double.held.set()

    assert await asyncio.gather(first, *others) == [0, 2, 4, 6, 8, 10]
    assert double.batches == [[0], [1, 2, 3, 4, 5]]


async def test_a_batch_is_bounded() -> None:
    double = Doubler()
    batcher = Batcher(double, limit=2)

    answers = await asyncio.gather(*(batcher.call(number) for number in range(5)))

    assert answers == [0, 2, 4, 6, 8]
    assert max(map(len, double.batches)) == 2


async def test_a_refused_call_costs_its_neighbours_nothing() -> None:
    double = Doubler()
    double.refused = {2}
    batcher = Batcher(double)

    answers = await asyncio.gather(
        *(batcher.call(number) for number in range(4)), return_exceptions=True
    )

    assert [answers[number] for number in (0, 1, 3)] == [0, 2, 6]
    assert isinstance(answers[2], RecordRefused)


async def test_an_outage_reaches_every_caller_and_is_not_multiplied() -> None:
    double = Doubler()
    double.unavailable = True
    batcher = Batcher(double)

    answers = await asyncio.gather(
        *(batcher.call(number) for number in range(4)), return_exceptions=True
    )

    assert all(isinstance(answer, DatabaseUnavailable) for answer in answers)
    assert len(double.batches) == 1


async def test_a_batcher_works_on_after_a_failure() -> None:
    double = Doubler()
    double.unavailable = True
    batcher = Batcher(double)
    with pytest.raises(DatabaseUnavailable):
        await batcher.call(1)

    double.unavailable = False

    assert await batcher.call(1) == 2


async def test_a_caller_who_gave_up_is_not_answered_and_disturbs_nobody() -> None:
    double = Doubler()
    double.held = asyncio.Event()
    batcher = Batcher(double)
    impatient, patient = (asyncio.create_task(batcher.call(number)) for number in (1, 2))
    await double.called.wait()

    impatient.cancel()
    double.held.set()

    assert await patient == 4
