"""One workflow's signals leave in the order of recording, whatever fails and whoever sends them."""

from __future__ import annotations

import os
from typing import Final

import pytest

from routing import delivery_statements, delivery_store
from routing.database import Database
from routing.dispatch import Dispatcher
from routing.line import Line
from tests.integration.flaky_processes import History

SEEDS: Final = range(int(os.environ.get("POINTSMAN_ORDER_SEEDS", "5")))
EVENTS: Final = 60


async def played(seed: int, database: Database) -> History:
    history = History(seed, database)
    await history.play(EVENTS)
    return history


@pytest.mark.parametrize("seed", SEEDS)
async def test_signals_leave_in_the_order_of_recording(seed: int, database: Database) -> None:
    history = await played(seed, database)

    assert history.temporal.arrived == history.expected


def claim_past_what_is_not_due(patch: pytest.MonkeyPatch) -> None:
    """Keep the order among deliveries that are due, and pass over those that are not."""
    wrong = delivery_statements.CLAIM_DELIVERIES
    for right in ("earlier.position < d.position", "workflow_id = o.workflow_id"):
        assert right in wrong
        wrong = wrong.replace(right, f"{right} AND due_at <= statement_timestamp()")
    wrong = wrong.replace(" d.position AND due_at", " d.position AND earlier.due_at")
    patch.setattr(delivery_store, "CLAIM_DELIVERIES", wrong)


def admit_everything(patch: pytest.MonkeyPatch) -> None:
    """Send what was just recorded although something before it went back to the table."""
    patch.setattr(Line, "admits", lambda *_: True)


def pass_over_missing_runs(patch: pytest.MonkeyPatch) -> None:
    """Go on with the next when the run is not found yet."""

    def go_on(dispatcher: Dispatcher, target: tuple[str, str], *_: object) -> None:
        dispatcher._go_on(target)

    patch.setattr(Dispatcher, "_give_back", go_on)


@pytest.mark.parametrize(
    "mistake", [claim_past_what_is_not_due, admit_everything, pass_over_missing_runs]
)
async def test_a_wrong_order_is_found_out(
    mistake: object, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(mistake)
    mistake(monkeypatch)

    for seed in range(100, 115):
        history = await played(seed, database)
        if history.temporal.arrived != history.expected:
            return
    pytest.fail("no history shows it")
