"""The statements of launching go by an index, and cost no round trip where nothing is launched."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import psycopg
import pytest

from routing.database import Database
from routing.launch_pages import (
    COUNT_LAUNCHES,
    LAUNCHES_OF_EVENT,
    PAGE_OF_DEAD_LAUNCHES,
    PAGE_OF_LAUNCHES,
    RETRY_LAUNCHES,
)
from routing.launch_statements import (
    CLAIM_LAUNCHES,
    RECORD_LAUNCHES,
    SETTLE_LAUNCHES,
    TRIGGERS_OF_NAMES,
)
from routing.matching import Matcher
from routing.triggers import apply_triggers
from tests.builders import incoming
from tests.integration.launches import a_trigger
from tests.integration.plans import Scan, scans

FILL: Final = """
INSERT INTO workflow_event_triggers (tenant_id, trigger_id, event_name, workflow_type, task_queue)
SELECT 'acme', 'trigger-' || n, 'NAME-' || n, 'W', 'q' FROM generate_series(1, 5000) AS n;
INSERT INTO workflow_event_launches (tenant_id, event_id, trigger_id, trigger_version, workflow_id,
    workflow_type, task_queue, status, due_at, created_at)
SELECT 'acme', 'event-' || n, 'trigger', 1, 'w-' || n, 'W', 'q',
       CASE WHEN n % 100 = 0 THEN 'pending' ELSE 'launched' END, now(), now()
FROM generate_series(1, 20000) AS n;
"""
NUMBERS: Final = range(1, 6)


@pytest.fixture(params=["empty", "full", "analysed"])
def connection(
    database_url: str, request: pytest.FixtureRequest
) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        if request.param != "empty":
            connection.execute(FILL.encode())
        if request.param == "analysed":
            connection.execute("ANALYZE workflow_event_triggers, workflow_event_launches")
        connection.execute("SET enable_seqscan = off")  # as every transaction of ours has it
        yield connection


def conditions(found: list[Scan], index: str) -> str:
    assert all(scan.index is not None for scan in found), found
    return " / ".join(scan.condition for scan in found if scan.index == index)


def test_looking_triggers_up_probes_the_index_of_enabled_ones(
    connection: psycopg.Connection[Any],
) -> None:
    terms = {"trigger_tenants": ["acme"] * 5, "trigger_names": [f"NAME-{n}" for n in NUMBERS]}

    found = scans(connection, TRIGGERS_OF_NAMES, terms, "force_generic_plan")

    entered = conditions(found, "workflow_event_triggers_enabled")
    assert "event_name = n.event_name" in entered


def test_recording_launches_reads_the_events_by_their_key(
    connection: psycopg.Connection[Any],
) -> None:
    texts = [
        "tenants",
        "event_ids",
        "trigger_ids",
        "workflow_ids",
        "workflow_types",
        "task_queues",
        "inputs",
        "reasons",
        "details",
        "namespaces",
    ]
    terms: dict[str, Any] = {name: [f"{name}-{n}" for n in NUMBERS] for name in texts}
    terms |= {"versions": [1] * 5, "only_without_wait": [False] * 5}

    found = scans(connection, RECORD_LAUNCHES, terms, "force_generic_plan")

    assert "event_id = i.event_id" in conditions(found, "workflow_runtime_events_pkey")


def test_claiming_and_settling_launches_go_by_what_is_due_and_by_the_key(
    connection: psycopg.Connection[Any],
) -> None:
    texts = ["tenants", "event_ids", "trigger_ids", "statuses", "reasons", "details", "run_ids"]
    ends: dict[str, Any] = {name: [f"{name}-{n}" for n in NUMBERS] for name in texts}
    ends |= {"delays": [timedelta(0)] * 5, "owner": "me"}
    claim = {"count": 50, "owner": "me", "lease": timedelta(seconds=60)}
    claim |= {"namespaces": ["default", "orders"]}

    claiming = scans(connection, CLAIM_LAUNCHES, claim, "force_custom_plan")
    settling = scans(connection, SETTLE_LAUNCHES, ends, "force_custom_plan")

    assert "due_at) <= ROW(n.namespace, statement_timestamp())" in conditions(
        claiming, "workflow_event_launches_due_by_namespace"
    )
    assert "trigger_id = i.trigger_id" in conditions(settling, "workflow_event_launches_pkey")


def test_launches_are_listed_and_retried_along_their_indexes(
    connection: psycopg.Connection[Any],
) -> None:
    names = ("status", "reason", "event_id", "trigger_id", "workflow_id", "since")
    terms: dict[str, Any] = dict.fromkeys(names) | {"tenants": ["acme"], "limit": 50}
    terms |= {"before_at": "infinity"}
    terms |= dict.fromkeys(("before_tenant", "before_event", "before_trigger"), "")
    cases = {
        "listed": (PAGE_OF_LAUNCHES, {}),
        "dead": (PAGE_OF_DEAD_LAUNCHES, {"status": "dead"}),
        "pkey": (LAUNCHES_OF_EVENT, {"event_id": "event-7"}),
    }

    found = {
        name: {scan.index for scan in scans(connection, sql, terms | asked, "force_custom_plan")}
        for name, (sql, asked) in cases.items()
    }
    retrying = scans(connection, RETRY_LAUNCHES, terms | {"status": "dead"}, "force_custom_plan")
    counting = scans(connection, COUNT_LAUNCHES, terms, "force_custom_plan")

    assert found == {name: {f"workflow_event_launches_{name}"} for name in cases}
    assert {scan.index for scan in retrying} == {
        "workflow_event_launches_dead",
        "workflow_event_launches_pkey",
        "workflow_event_triggers_pkey",
    }
    assert all(scan.index is not None for scan in counting)


async def test_the_number_of_statements_does_not_grow_with_events_or_triggers(
    database: Database, matcher: Matcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    execute = psycopg.AsyncConnection.execute

    async def counted(self: Any, query: Any, *rest: Any, **terms: Any) -> Any:
        sent.append(query)
        return await execute(self, query, *rest, **terms)

    async def statements(events: int) -> int:
        sent.clear()
        await matcher.record([incoming(name="CLIENT_CREATED") for _ in range(events)])
        return len(sent)

    await matcher.record([incoming()])
    monkeypatch.setattr(psycopg.AsyncConnection, "execute", counted)
    without = [await statements(1), await statements(100)]
    await apply_triggers(
        database, [a_trigger(f"trigger-{number}") for number in range(10)], actor="test"
    )
    sent.clear()
    with_triggers = [await statements(1), await statements(100)]

    assert without[0] == without[1]
    assert with_triggers == [without[0] + 1, without[0] + 1]
