"""The audit's statements reach what they want through an index, also in a large database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import psycopg
import pytest

from routing.audit_records import WaitFilter
from routing.audit_statements import (
    LIST_OPEN_WAITS,
    STORY_DELIVERIES,
    STORY_EVENTS,
    STORY_REJECTED,
)
from tests.conftest import NewDatabase

FILL = """
INSERT INTO workflow_runtime_events (tenant_id, event_id, event_name, outcome, correlation_key,
    key_source, rules_version, payload, content_digest, stream, entry_id, received_at)
SELECT 'tenant-' || n % 20, 'event-' || n, 'NAME', 'matched', 'key-' || n, 'explicit', '-', '{}',
       '', 'stream', n || '-0', now() - n * interval '1 second'
FROM generate_series(1, 20000) AS n;
INSERT INTO workflow_rejected_entries (tenant_id, stream, entry_id, outcome, reason, detail,
    event_id, raw, received_at)
SELECT 'tenant-' || n % 20, 'stream-' || n % 3, n || '-0', 'malformed', 'invalid_json', '',
       'event-' || n, '', now() - n * interval '1 second'
FROM generate_series(1, 20000) AS n;
INSERT INTO workflow_run_waits (tenant_id, wait_id, event_name, correlation_key, workflow_id,
    signal_name, kind, cardinality, lookback, status, registered_at)
SELECT 'tenant-' || n % 20, 'wait-' || n, 'NAME', 'key-' || n, 'workflow-' || n, 'signal', 'event',
       'all', interval '0', CASE WHEN n % 2 = 0 THEN 'waiting' ELSE 'closed' END, now()
FROM generate_series(1, 20000) AS n;
INSERT INTO workflow_event_deliveries (tenant_id, event_id, wait_id, workflow_id, signal_name,
    correlation_key, cardinality, status, looked_back, due_at, created_at)
SELECT 'tenant-' || n % 20, 'event-' || n, 'wait-' || n, 'workflow-' || n, 'signal', 'key-' || n,
       'all', 'delivered', false, now(), now()
FROM generate_series(1, 20000) AS n;
"""
TABLES = (
    "workflow_runtime_events",
    "workflow_rejected_entries",
    "workflow_run_waits",
    "workflow_event_deliveries",
)


@pytest.fixture(scope="module")
def filled_url(new_database: NewDatabase) -> Iterator[str]:
    with new_database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL.encode())
            for table in TABLES:
                connection.execute(f"ANALYZE {table}".encode())
        yield url


@pytest.fixture
async def connection(filled_url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(filled_url, autocommit=True) as connection:
        yield connection


async def plan(
    connection: psycopg.AsyncConnection[Any], statement: str, parameters: Mapping[str, Any]
) -> str:
    cursor = await connection.execute(f"EXPLAIN {statement}".encode(), parameters)
    return "\n".join(row[0] for row in await cursor.fetchall())


@pytest.mark.parametrize("tenant", ["tenant-3", None])
async def test_a_story_is_read_through_the_primary_keys(
    connection: psycopg.AsyncConnection[Any], tenant: str | None
) -> None:
    wanted = {"tenant": tenant, "event_id": "event-77"}

    event = await plan(connection, STORY_EVENTS, wanted)
    rejected = await plan(connection, STORY_REJECTED, wanted)

    assert "workflow_runtime_events_pkey" in event
    assert "workflow_rejected_entries_by_event" in rejected
    assert "Seq Scan" not in event + rejected


async def test_deliveries_of_a_story_are_read_through_the_primary_keys(
    connection: psycopg.AsyncConnection[Any],
) -> None:
    wanted = {"tenant": "tenant-17", "event_id": "event-77"}

    deliveries = await plan(connection, STORY_DELIVERIES, wanted)

    assert "workflow_event_deliveries_pkey" in deliveries
    assert "workflow_run_waits_pkey" in deliveries
    assert "Seq Scan" not in deliveries


@pytest.mark.parametrize("tenant", ["tenant-4", None])
async def test_open_waits_are_listed_in_the_order_of_their_index(
    connection: psycopg.AsyncConnection[Any], tenant: str | None
) -> None:
    listing = await plan(connection, LIST_OPEN_WAITS, asdict(WaitFilter(tenant=tenant)))

    assert "workflow_run_waits_open" in listing
    assert "Seq Scan" not in listing
