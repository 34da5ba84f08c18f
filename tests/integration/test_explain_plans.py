"""Explaining, replaying and retention go by an index, also where there is much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

import psycopg
import pytest

from routing.columns import event_columns
from routing.explain_statements import (
    AWAITED_NAMES,
    BUFFERED_NAMES,
    DELIVERIES_OF_WAITS,
    EVENTS_OF_ANOTHER_TENANT,
    EVENTS_OF_KEYS,
    RECENT_EVENTS,
    WAITS_BESIDE_KEYS,
    WAITS_OF_ANOTHER_TENANT,
    WAITS_OF_KEYS,
)
from routing.replay_statements import (
    BIND_EVENT,
    FORESEE_NOW,
    FORESEE_SINCE_ARRIVAL,
    REPLAY_EVENTS,
    STORED_EVENTS,
)
from routing.retention import (
    REMOVE_ACTIONS,
    REMOVE_EVENTS,
    REMOVE_REJECTED,
    REMOVE_RUNS,
    REMOVE_WAITS,
)
from tests.builders import incoming
from tests.integration.plans import scans

FILL: Final = """
INSERT INTO workflow_runtime_events (tenant_id, event_id, event_name, outcome, correlation_key,
    key_source, rules_version, payload, content_digest, stream, entry_id, received_at,
    available_until)
SELECT 'tenant-' || n % 20, 'event-' || n, 'NAME-' || n % 7, 'matched', 'key-' || n, 'explicit',
       '-', '{}', '', 'stream', n || '-0', now() - n * interval '1 second', now()
FROM generate_series(1, 10000) AS n;
INSERT INTO workflow_run_waits (tenant_id, wait_id, event_name, correlation_key, workflow_id,
    signal_name, kind, cardinality, lookback, status, registered_at, closed_at)
SELECT 'tenant-' || n % 20, 'wait-' || n, 'NAME-' || n % 7, 'key-' || n, 'workflow-' || n, 'signal',
       'event', 'all', interval '0', CASE WHEN n % 2 = 0 THEN 'waiting' ELSE 'closed' END, now(),
       CASE WHEN n % 2 = 1 THEN now() END
FROM generate_series(1, 10000) AS n;
INSERT INTO workflow_event_deliveries (tenant_id, event_id, wait_id, workflow_id, signal_name,
    correlation_key, cardinality, status, looked_back, due_at, created_at)
SELECT 'tenant-' || n % 20, 'event-' || n, 'wait-' || n, 'workflow-' || n, 'signal', 'key-' || n,
       'all', 'delivered', false, now(), now()
FROM generate_series(1, 10000) AS n;
INSERT INTO workflow_event_launches (tenant_id, event_id, trigger_id, trigger_version, workflow_id,
    workflow_type, task_queue, status, due_at, created_at)
SELECT 'tenant-' || n % 20, 'event-' || n, 'trigger', 1, 'w', 'w', 'q', 'launched', now(), now()
FROM generate_series(1, 10000) AS n;
INSERT INTO workflow_rejected_entries (tenant_id, stream, entry_id, outcome, reason, detail, raw,
    received_at)
SELECT 'tenant-' || n % 20, 'stream', n || '-0', 'malformed', 'invalid_json', '', '', now()
FROM generate_series(1, 10000) AS n;
INSERT INTO workflow_runs (tenant_id, workflow_id, run_id, engine, status, started_at, closed_at,
    updated_at)
SELECT 'tenant-' || n % 20, 'workflow-' || n, 'run-' || n, 'temporal', 'completed', now(), now(),
       now()
FROM generate_series(1, 10000) AS n;
INSERT INTO workflow_operator_actions (tenant_id, action_id, actor, action, target_kind, target_id,
    at)
SELECT 'tenant-' || n % 20, 'action-' || n, 'test', 'requeue', 'dead_letter', n || '-0', now()
FROM generate_series(1, 10000) AS n;
"""
TERMS: Final[Mapping[str, Any]] = {
    **event_columns([incoming(tenant="tenant-3", name="NAME-1", key="key-43")]),
    "tenant": "tenant-3",
    "tenants": ["tenant-3"],
    "event_id": "event-43",
    "event_ids": ["event-43"],
    "wait_id": "wait-43",
    "wait_ids": ["wait-43"],
    "name": "NAME-1",
    "names": ["NAME-1"],
    "keys": ["key-43"],
    "hashes": [1],
    "count": 100,
    "buffer_ttl": timedelta(days=7),
    "after": "-infinity",
    "after_id": "",
    "age": timedelta(days=90),
    "outcome": "matched",
}
STATEMENTS: Final[Mapping[str, str]] = {
    "awaited names": AWAITED_NAMES,
    "waits of keys": WAITS_OF_KEYS,
    "waits beside keys": WAITS_BESIDE_KEYS,
    "another tenant's waits": WAITS_OF_ANOTHER_TENANT,
    "another tenant's events": EVENTS_OF_ANOTHER_TENANT,
    "buffered names": BUFFERED_NAMES,
    "events of keys": EVENTS_OF_KEYS,
    "recent events": RECENT_EVENTS,
    "deliveries of waits": DELIVERIES_OF_WAITS,
    "stored events": STORED_EVENTS,
    "foresee now": FORESEE_NOW,
    "foresee since arrival": FORESEE_SINCE_ARRIVAL,
    "replay": REPLAY_EVENTS,
    "bind": BIND_EVENT,
    "remove events": REMOVE_EVENTS,
    "remove rejected": REMOVE_REJECTED,
    "remove waits": REMOVE_WAITS,
    "remove runs": REMOVE_RUNS,
    "remove actions": REMOVE_ACTIONS,
}


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(FILL.encode())
        connection.execute("ANALYZE")
        connection.execute("SET enable_seqscan = off")
        yield connection


def test_no_statement_walks_a_table_or_a_whole_index(
    connection: psycopg.Connection[Any],
) -> None:
    found = {
        name: [
            scan
            for scan in scans(connection, statement, TERMS, "force_custom_plan")
            if scan.index is None or not ("=" in scan.condition or ">" in scan.condition)
        ]
        for name, statement in STATEMENTS.items()
    }

    # Hopping through the tenants begins with the first row of the primary key.
    hops = {"another tenant's waits": 1, "another tenant's events": 1}
    assert {name: len(walks) for name, walks in found.items() if walks} == hops, {
        name: walks for name, walks in found.items() if walks
    }
