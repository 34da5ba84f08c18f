"""A page of the audit costs what it shows, however much the tenant has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import psycopg
import pytest

from routing import audit_page_statements as pages
from tests.conftest import NewDatabase
from tests.integration.plans import Scan, scans

FILL: Final = """
INSERT INTO workflow_runtime_events (tenant_id, event_id, event_name, outcome, correlation_key,
    key_source, rules_version, payload, content_digest, stream, entry_id, received_at)
SELECT 'tenant-' || n % 2, 'event-' || n, 'NAME-' || n % 5, 'matched', 'key-' || n, 'explicit', '-',
       '{}', '', 'stream', n || '-0', now() - n * interval '1 second'
FROM generate_series(1, 20000) AS n;
INSERT INTO workflow_rejected_entries (tenant_id, stream, entry_id, outcome, reason, detail,
    event_id, raw, received_at)
SELECT 'tenant-' || n % 2, 'stream-' || n % 3, n || '-0', 'malformed', 'invalid_json', '',
       'event-' || n, '', now() - n * interval '1 second'
FROM generate_series(1, 20000) AS n;
INSERT INTO workflow_run_waits (tenant_id, wait_id, event_name, correlation_key, workflow_id,
    signal_name, kind, cardinality, lookback, status, registered_at)
SELECT 'tenant-' || n % 2, 'wait-' || n, 'NAME-' || n % 5, 'key-' || n, 'workflow-' || n, 'signal',
       'event', 'all', interval '0', CASE WHEN n % 4 < 2 THEN 'waiting' ELSE 'closed' END, now()
FROM generate_series(1, 20000) AS n;
INSERT INTO workflow_event_deliveries (tenant_id, event_id, wait_id, workflow_id, signal_name,
    correlation_key, cardinality, status, looked_back, due_at, created_at)
SELECT 'tenant-' || n % 2, 'event-' || n, 'wait-' || n, 'workflow-' || n, 'signal', 'key-' || n,
       'all', CASE WHEN n % 1000 < 2 THEN 'pending' WHEN n % 1000 < 4 THEN 'dead'
       ELSE 'delivered' END, false, now(), now()
FROM generate_series(1, 20000) AS n;
"""
LAUNCHES_FILL: Final = """
INSERT INTO workflow_event_launches (tenant_id, event_id, trigger_id, trigger_version, workflow_id,
    workflow_type, task_queue, status, reason, due_at, created_at)
SELECT 'tenant-' || n % 2, 'event-' || n, 'trigger', 1, 'workflow-' || n, 'type', 'queue',
       CASE WHEN n % 1000 < 2 THEN 'pending' WHEN n % 1000 < 4 THEN 'dead' ELSE 'launched' END,
       CASE WHEN n % 1000 < 4 THEN 'permission_denied' END, now(), now()
FROM generate_series(1, 20000) AS n;
UPDATE workflow_event_deliveries SET reason = 'run_closed' WHERE status = 'dead';
"""
NOTHING_ASKED: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("state", "way_reason")),
    **dict.fromkeys(
        ("name", "key", "outcome", "reason", "workflow_id", "run_id", "since", "until", "q")
    ),
    **dict.fromkeys(("status", "event_id", "wait_id")),
    **dict.fromkeys(("after_tenant", "after_name", "after_key", "after_position")),
    "tenants": ["tenant-1"],
    "with_payload": False,
    "before_at": "infinity",
    "before_tenant": "",
    "before_source": "",
    "before_id": "",
    "before_stream": "",
    "limit": 51,
}
OF_EVENT: Final = {"event_id": "event-43"}
OF_WAIT: Final = {"wait_id": "wait-43"}
OF_WORKFLOW: Final = {"workflow_id": "workflow-43"}
OF_KEY: Final = {"name": "NAME-3", "key": "key-43"}
EVENTS, REJECTED = "workflow_runtime_events", "workflow_rejected_entries"
WAITS, DELIVERIES = "workflow_run_waits", "workflow_event_deliveries"
LAUNCHES: Final = "workflow_event_launches"
PENDING: Final = "what is pending"
OF_PENDING: Final = {f"{DELIVERIES}_due", f"{DELIVERIES}_in_order"}
CASES: Final[Mapping[str, tuple[str, Mapping[str, Any], set[str]]]] = {
    "events": (
        pages.PAGE_OF_EVENTS,
        {},
        {f"{EVENTS}_listed", f"{REJECTED}_listed", f"{DELIVERIES}_pkey", f"{LAUNCHES}_pkey"},
    ),
    "late events": (
        pages.PAGE_OF_EVENTS,
        {"state": "late"},
        {f"{EVENTS}_listed", f"{DELIVERIES}_pkey", f"{LAUNCHES}_pkey"},
    ),
    "events of nobody": (
        pages.PAGE_OF_EVENTS,
        {"state": "nobody"},
        {f"{EVENTS}_listed", f"{REJECTED}_listed", f"{DELIVERIES}_pkey", f"{LAUNCHES}_pkey"},
    ),
    "dead events": (
        pages.PAGE_OF_DEAD_EVENTS,
        {"state": "dead"},
        {
            f"{DELIVERIES}_dead",
            f"{LAUNCHES}_dead",
            f"{EVENTS}_pkey",
            f"{DELIVERIES}_pkey",
            f"{LAUNCHES}_pkey",
        },
    ),
    "events of a signal's reason": (
        pages.PAGE_OF_EVENTS_OF_REASON,
        {"way_reason": "run_closed"},
        {
            f"{DELIVERIES}_reasons",
            f"{LAUNCHES}_reasons",
            f"{EVENTS}_pkey",
            f"{DELIVERIES}_pkey",
            f"{LAUNCHES}_pkey",
        },
    ),
    "events of a workflow": (
        pages.PAGE_OF_EVENTS_OF_WORKFLOW,
        OF_WORKFLOW,
        {
            f"{WAITS}_by_workflow",
            f"{DELIVERIES}_by_wait",
            f"{EVENTS}_pkey",
            f"{DELIVERIES}_pkey",
            f"{LAUNCHES}_pkey",
        },
    ),
    "open waits": (pages.PAGE_OF_OPEN_WAITS, {}, {f"{WAITS}_open"}),
    "all waits": (pages.PAGE_OF_ALL_WAITS, {}, {f"{WAITS}_listed"}),
    "waits of a key": (pages.PAGE_OF_WAITS_OF_KEY, OF_KEY, {f"{WAITS}_open", f"{WAITS}_closed"}),
    "waits of a workflow": (
        pages.PAGE_OF_WAITS_OF_WORKFLOW,
        OF_WORKFLOW,
        {f"{WAITS}_by_workflow"},
    ),
    "one wait": (pages.ONE_WAIT, OF_WAIT, {f"{WAITS}_pkey"}),
    "deliveries": (
        pages.ALL_DELIVERIES,
        {},
        {f"{DELIVERIES}_settled", PENDING},
    ),
    "pending deliveries": (pages.PENDING_DELIVERIES, {}, {PENDING}),
    "dead deliveries": (pages.DEAD_DELIVERIES, {"status": "dead"}, {f"{DELIVERIES}_dead"}),
    "deliveries of an event": (pages.DELIVERIES_OF_EVENT, OF_EVENT, {f"{DELIVERIES}_pkey"}),
    "deliveries of a wait": (pages.DELIVERIES_OF_WAIT, OF_WAIT, {f"{DELIVERIES}_by_wait"}),
    "deliveries of a workflow": (
        pages.DELIVERIES_OF_WORKFLOW,
        OF_WORKFLOW,
        {f"{WAITS}_by_workflow", f"{DELIVERIES}_by_wait"},
    ),
}


@pytest.fixture(scope="module")
def connection(new_database: NewDatabase) -> Iterator[psycopg.Connection[Any]]:
    with new_database() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL.encode())
        connection.execute(LAUNCHES_FILL.encode())
        connection.execute("ANALYZE")
        yield connection


def indexes(found: list[Scan]) -> set[str]:
    named = {scan.index or f"all of {scan.table}" for scan in found}
    return {PENDING if name in OF_PENDING else name for name in named}


def test_every_page_enters_by_its_index(connection: psycopg.Connection[Any]) -> None:
    for further in ({}, {"after_position": 15_000}):
        found = {
            name: indexes(
                scans(
                    connection,
                    statement,
                    {**NOTHING_ASKED, **asked, **further},
                    "force_custom_plan",
                )
            )
            for name, (statement, asked, _) in CASES.items()
            if not (further and "open" in name)
        }

        assert found == {name: CASES[name][2] for name in found}


@pytest.mark.parametrize("name", ["events", "open waits", "all waits", "deliveries"])
def test_no_list_of_a_tenant_is_sorted_as_a_whole(
    connection: psycopg.Connection[Any], name: str
) -> None:
    statement, asked, _ = CASES[name]
    terms = {**NOTHING_ASKED, **asked}
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".encode(), terms)
        row = cursor.fetchone()

    assert row is not None
    # Two pages of events and rejected entries, and a page's deliveries: never the thousands.
    assert max(_rows_read(row[0][0]["Plan"])) < 500


def _rows_read(node: Mapping[str, Any]) -> Iterator[int]:
    yield int(node["Actual Rows"]) + int(node.get("Rows Removed by Filter", 0))
    for child in node.get("Plans", []):
        yield from _rows_read(child)
