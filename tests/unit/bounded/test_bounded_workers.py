"""Worker processes with limits: each limit ends its worker, and another one takes its place."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest

from correlation.judging import faults_in_worker, fits_in_worker
from worker.bounded.budgets import Budget, BudgetExceeded, WorkLimits
from worker.bounded.workers import Workers

LIMITS = WorkLimits(workers=1, time=timedelta(milliseconds=300), memory=64 * 2**20, queue=4)


@pytest.fixture
async def workers() -> AsyncGenerator[Workers]:
    workers = Workers(LIMITS)
    yield workers
    await workers.aclose()


@pytest.mark.parametrize(
    ("work", "arguments", "budget"),
    [
        (sum, [range(10**12)], Budget.TIME),
        (bytearray, [2**30], Budget.MEMORY),
        (os.abort, [], Budget.MEMORY),
        (signal.raise_signal, [signal.SIGKILL], Budget.WORKER),
        (os._exit, [3], Budget.WORKER),
    ],
    ids=["spins", "eats memory", "aborts", "is killed", "exits"],
)
async def test_a_limit_is_said_by_name_and_the_next_piece_is_done(
    workers: Workers, work: Any, arguments: list[Any], budget: Budget
) -> None:
    with pytest.raises(BudgetExceeded) as exceeded:
        await workers.run(work, *arguments)

    assert exceeded.value.budget is budget
    assert await workers.run(sum, [20, 22]) == 42


async def test_what_a_library_allocates_counts(workers: Workers) -> None:
    # Two branches, each of which would keep a fault of every member.
    branches = [{"items": {"type": "string"}}, {"items": {"type": "null"}}]
    schema = f'{{"anyOf": {str(branches).replace(chr(39), chr(34))}}}'
    value = f"[{','.join(['1'] * 100_000)}]"

    assert not await workers.run(fits_in_worker, schema, None, value)
    with pytest.raises(BudgetExceeded):
        await workers.run(faults_in_worker, schema, None, value, 5)


async def test_an_exception_of_the_work_comes_back_as_it_is(workers: Workers) -> None:
    with pytest.raises(ZeroDivisionError):
        await workers.run(divmod, 1, 0)


def test_without_work_no_process_is_started() -> None:
    assert not Workers(LIMITS).started


def test_places_are_counted_in_all_and_per_tenant() -> None:
    workers = Workers(LIMITS)

    with (
        workers.place("acme"),
        workers.place("acme"),
        pytest.raises(BudgetExceeded, match=Budget.QUEUE),
        workers.place("acme"),
    ):
        pass
    with (
        workers.place("acme"),
        workers.place("acme"),
        workers.place("beta"),
        workers.place("beta"),
        pytest.raises(BudgetExceeded, match=Budget.QUEUE),
        workers.place("gamma"),
    ):
        pass

    with workers.place("acme"):
        assert not workers.started


def test_workers_serve_several_loops() -> None:
    several = Workers(LIMITS)

    answers = [asyncio.run(several.run(sum, [each, 1])) for each in range(2)]
    asyncio.run(several.aclose())

    assert answers == [1, 2]
