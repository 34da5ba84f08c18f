"""Random histories with crashes at any step, on a real Postgres, against a plain model.

POINTSMAN_MODEL_EXAMPLES asks for more histories than the suite has time for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import ModuleType
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from routing import delivery_store, matching, waits
from routing.faults import RecordRefused
from tests.integration.model_steps import Histories

EXAMPLES: Final = int(os.environ.get("POINTSMAN_MODEL_EXAMPLES", "15"))
STEPS: Final = 30


def run_histories(
    url: str, examples: int, phases: Sequence[Phase], *, derandomize: bool = False
) -> None:
    run_state_machine_as_test(
        type("HistoriesHere", (Histories,), {"url": url}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            phases=phases,
            derandomize=derandomize,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


@pytest.mark.timeout(60 + 20 * EXAMPLES)
def test_any_history_with_crashes_ends_as_the_model_says(database_url: str) -> None:
    run_histories(database_url, EXAMPLES, list(Phase))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("module", "name", "right", "wrong"),
    [
        # One event to every exclusive wait.
        (matching, "MATCH_EVENTS", "NOT (cardinality = 'exclusive' AND age > 1)", "true"),
        # A look-back hands a run what it has accepted, ...
        (waits, "REGISTER_WAITS", "((d.workflow_id = i.workflow_id AND", "((false AND"),
        # ... and takes what an exclusive wait holds.
        (waits, "REGISTER_WAITS", "(d.cardinality = 'exclusive' AND", "(false AND"),
        # A closed wait keeps what was never sent to it.
        (waits, "SETTLE_CLOSED", "d.disposition IS NULL AND", "false AND"),
        # What one exclusive wait gave back is offered although another has it.
        (
            waits,
            "REOFFER_EVENTS",
            "d.cardinality = 'exclusive' AND d.status IN",
            "false AND d.status IN",
        ),
        # A signal that arrived after all is forgotten.
        (
            delivery_store,
            "SETTLE_DELIVERIES",
            "d.status IN ('pending', 'withdrawn')",
            "d.status = 'pending'",
        ),
    ],
)
def test_a_wrong_statement_is_found_out(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
    right: str,
    wrong: str,
) -> None:
    statement: str = getattr(module, name)
    assert right in statement
    monkeypatch.setattr(module, name, statement.replace(right, wrong, 1))

    with pytest.raises((AssertionError, RecordRefused)):
        run_histories(database_url, 200, [Phase.generate], derandomize=True)
