from __future__ import annotations

from datetime import timedelta

from routing.page_walk import page_walk
from tests.unit.routing.fakes import FakeClock


async def test_a_walk_rests_four_times_as_long_as_a_slow_page_took() -> None:
    clock = FakeClock()
    rests: list[float] = []
    seconds_of_a_page = [0.1, 3.0, 5.0]

    async def look(number: int) -> int:
        clock.seconds += seconds_of_a_page[number]
        return number

    async def rest(seconds: float) -> None:
        rests.append(round(seconds, 3))

    walk = page_walk(
        look,
        0,
        lambda page: page + 1 if page < 2 else None,
        pause=timedelta(seconds=1),
        rest=rest,
        clock=clock,
    )
    pages = [page async for page in walk]

    assert pages == [0, 1, 2]
    assert rests == [1.0, 12.0]
