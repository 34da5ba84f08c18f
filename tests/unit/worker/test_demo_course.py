"""The demo waits for a busy machine, and for no stuck one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import pytest

from worker.demo import course
from worker.operator_error import OperatorError


class NothingEnded:
    """A stage all of whose programs run."""

    def check(self) -> None:
        """None has ended."""


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock comes forty seconds after the one before."""
    now = iter(range(0, 100_000, 40))
    monkeypatch.setattr(course, "_now", lambda: float(next(now)))
    monkeypatch.setattr(course, "POLL_SECONDS", 0)
    monkeypatch.setattr(course, "STANDSTILL", timedelta(seconds=90))


async def until_none(answers: Iterator[str | None]) -> None:
    async def missing() -> str | None:
        return next(answers)

    await course._until_none(cast("Any", NothingEnded()), missing)


@pytest.mark.usefixtures("seconds")
async def test_what_goes_on_is_waited_for_however_slow_it_is() -> None:
    answers = [*(f"{count} of 50 waits are registered" for count in range(50)), None]

    await until_none(iter(answers))


@pytest.mark.usefixtures("seconds")
async def test_what_stands_still_is_given_up_with_what_is_missing_and_what_to_do() -> None:
    answers: list[str | None] = ["32 of 50 waits are registered"] * 1000

    with pytest.raises(OperatorError, match="32 of 50 waits are registered") as given_up:
        await until_none(iter(answers))

    assert "Try it again when less runs on this machine" in str(given_up.value)
