"""The statements of runs go by an index, however many runs there are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
import pytest

from routing.run_statements import (
    ACTIONS_OF_RUNS,
    FOLLOW_END,
    NOTE_REQUESTED_CONTROL,
    OPEN_RUNS,
    PAGE_OF_RUNS,
    PROJECT_REGISTERED,
    RECONCILE_RUNS,
    RUNS_BY_ID,
)
from tests.integration.plans import Scan, scans

FILL: Final = """
INSERT INTO workflow_runs (tenant_id, workflow_id, run_id, status, started_at, closed_at,
    updated_at)
SELECT 'acme', 'w-' || n, 'run-' || n, 'running', now() - n * interval '1 second',
       CASE WHEN n % 50 <> 0 THEN now() END, now()
FROM generate_series(1, 20000) AS n;
ANALYZE workflow_runs
"""
FILL_ACTIONS: Final = """
INSERT INTO workflow_operator_actions (tenant_id, action_id, actor, action, target_kind, target_id,
    detail, at)
SELECT 'acme', 'action-' || n, 'ada', 'cancel_run', 'run', 'run-' || n, '{}', now()
FROM generate_series(1, 20000) AS n
"""
NUMBERS: Final = range(1, 6)


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for statement in FILL.split(";"):
            connection.execute(statement.encode())
        connection.execute("SET enable_seqscan = off")  # as every transaction of ours has it
        yield connection


def conditions(found: list[Scan], index: str) -> str:
    assert all(scan.index is not None for scan in found), found
    return " / ".join(scan.condition for scan in found if scan.index == index)


def texts(*names: str) -> dict[str, Any]:
    return {name: [f"{name}-{n}" for n in NUMBERS] for name in names}


def test_writing_runs_goes_by_their_key(connection: psycopg.Connection[Any]) -> None:
    keys = texts("tenants", "workflow_ids", "run_ids")
    seen = keys | texts("statuses", "workflow_types", "task_queues", "parents", "parent_runs")
    seen |= texts("first_runs") | {"grace": timedelta(0)}
    seen |= {name: [datetime.now(UTC)] * 5 for name in ("starts", "ends")}
    one = {"tenant": "acme", "workflow_id": "w-1", "run_id": "run-1"}
    end = {"status": "canceled", "closed_at": datetime.now(UTC), "control": "cancel"}
    registered = keys | texts("namespaces", "first_run_ids", "run_vouchers")

    registering = scans(connection, PROJECT_REGISTERED, registered, "force_custom_plan")
    reconciling = scans(connection, RECONCILE_RUNS, seen, "force_custom_plan")
    following = [
        *scans(connection, NOTE_REQUESTED_CONTROL, one | end, "force_custom_plan"),
        *scans(connection, FOLLOW_END, one | end, "force_custom_plan"),
    ]

    assert registering == []
    assert all("run_id = " in scan.condition for scan in (*reconciling, *following))


def test_the_reconciler_walks_the_open_runs_alone(connection: psycopg.Connection[Any]) -> None:
    page = {"tenant": "", "workflow_id": "", "run_id": "", "count": 200, "namespaces": ["default"]}

    found = scans(connection, OPEN_RUNS, page, "force_custom_plan")

    assert [scan.index for scan in found] == ["workflow_runs_open"]


def test_a_page_of_runs_is_read_along_the_list_and_one_run_by_its_id(
    connection: psycopg.Connection[Any],
) -> None:
    filters = ["workflow_id", "run_id", "status", "requested", "engine", "workflow_type", "origin"]
    filters += ["trigger_id", "event_id", "key", "since", "until"]
    cursor = {
        "tenants": ["acme"],
        "before_at": datetime.now(UTC),
        "before_tenant": "acme",
        "before_workflow": "w",
        "before_run": "r",
        "limit": 51,
    }

    page = scans(connection, PAGE_OF_RUNS, dict.fromkeys(filters) | cursor, "force_custom_plan")
    one = scans(
        connection, RUNS_BY_ID, {"tenants": ["acme"], "run_id": "run-7"}, "force_custom_plan"
    )

    assert "started_at" in conditions(page, "workflow_runs_listed")
    assert "run_id = " in conditions(one, "workflow_runs_by_run")


def test_what_operators_asked_is_found_by_the_runs(connection: psycopg.Connection[Any]) -> None:
    connection.execute(FILL_ACTIONS.encode())
    wanted = {"tenant": "acme", "run_ids": [f"run-{n}" for n in NUMBERS], "limit": 100}

    found = scans(connection, ACTIONS_OF_RUNS, wanted, "force_custom_plan")

    assert "target_id = " in conditions(found, "workflow_operator_actions_by_target")
