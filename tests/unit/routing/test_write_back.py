"""Writing ends back: a lone one at once, many together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from routing.faults import StatementFailed
from routing.gate import Backoff
from routing.write_back import WriteBack
from tests.running import in_background
from tests.unit.routing.test_dispatch import quiet
from tests.waiting import wait_until


class Rows:
    def __init__(self, *, crowded: bool) -> None:
        self.batches: list[list[int]] = []
        self.back = WriteBack(
            self._write,
            lambda _batch, _dead: None,
            Backoff(timedelta(milliseconds=1), timedelta(milliseconds=1)),
            name="numbers",
            crowded=lambda: crowded,
        )

        self.refused: set[int] = set()
        self.written: list[int] = []

    async def _write(self, batch: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(batch))
        if self.refused.intersection(batch):
            raise StatementFailed("P0001")
        self.written += batch
        return ()


async def test_a_lone_end_is_written_at_once() -> None:
    rows = Rows(crowded=False)

    async with in_background(rows.back.run()):
        rows.back.add(1)
        await quiet()

    assert rows.batches == [[1]]


async def test_where_many_are_on_their_way_those_that_follow_closely_are_written_with_it() -> None:
    rows = Rows(crowded=True)

    async with in_background(rows.back.run()):
        rows.back.add(1)
        await quiet()
        rows.back.add(2)
        await wait_until(lambda: rows.batches, description="something is written")

    assert rows.batches == [[1, 2]]


async def test_an_end_that_the_database_never_takes_holds_up_no_other() -> None:
    rows = Rows(crowded=False)
    rows.refused = {3}

    async with in_background(rows.back.run()):
        for number in range(8):
            rows.back.add(number)
        await wait_until(lambda: len(rows.written) == 7, description="the others are written")
        rows.back.add(8)
        await wait_until(lambda: 8 in rows.written, description="what comes later, too")

    assert 3 not in rows.written
