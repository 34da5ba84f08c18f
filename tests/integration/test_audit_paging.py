"""Whatever is listed, and however the pages are cut: every row once, in one order."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routing.audit_pages import (
    DeliveryQuery,
    EventQuery,
    WaitQuery,
    page_of_deliveries,
    page_of_events,
    page_of_waits,
)
from routing.database import Connection, Database, DatabaseLimits, open_database
from routing.paging import Cursor, Page

# Few moments and few names: what is listed by them ties all the time.
INSERT: Final = """
WITH row AS (SELECT %(tenant)s::text AS tenant, %(id)s::text AS id, %(tie)s::int AS tie),
e AS (INSERT INTO workflow_runtime_events (tenant_id, event_id, event_name, outcome,
    correlation_key, key_source, rules_version, payload, content_digest, stream, entry_id,
    received_at)
    SELECT tenant, id, 'NAME-' || tie, 'matched', 'key', 'explicit', '-', '{}', '', 's', '1-0',
           timestamptz '2026-01-01Z' + tie * interval '1 s' FROM row),
r AS (INSERT INTO workflow_rejected_entries (tenant_id, stream, entry_id, outcome, reason, detail,
    raw, received_at)
    SELECT tenant, 's-' || tie, id, 'malformed', 'invalid_json', '', '',
           timestamptz '2026-01-01Z' + tie * interval '1 s' FROM row),
w AS (INSERT INTO workflow_run_waits (tenant_id, wait_id, event_name, correlation_key, workflow_id,
    signal_name, kind, cardinality, lookback, status, registered_at)
    SELECT tenant, id, 'NAME-' || tie, 'key', 'workflow', 'signal', 'event', 'all', interval '0',
           CASE WHEN tie = 0 THEN 'closed' ELSE 'waiting' END, now() FROM row)
INSERT INTO workflow_event_deliveries (tenant_id, event_id, wait_id, workflow_id, signal_name,
    correlation_key, cardinality, status, looked_back, due_at, created_at)
SELECT tenant, id, id, 'workflow', 'signal', 'key', 'all',
       (ARRAY['pending', 'delivered', 'dead'])[tie + 1], false, now(), now() FROM row
"""
TIES: Final = st.integers(0, 2)
ROWS: Final = st.lists(TIES, min_size=1, max_size=12)
Read = Callable[[Connection, Sequence[str], Cursor | None, int], Awaitable[Page[Any]]]


def _events(query: EventQuery) -> Read:
    return lambda connection, tenants, after, limit: page_of_events(
        connection, tenants, query, after=after, limit=limit
    )


def _waits(query: WaitQuery) -> Read:
    return lambda connection, tenants, after, limit: page_of_waits(
        connection, tenants, query, after=after, limit=limit
    )


def _deliveries(query: DeliveryQuery) -> Read:
    return lambda connection, tenants, after, limit: page_of_deliveries(
        connection, tenants, query, after=after, limit=limit
    )


LISTS: Final[dict[str, Read]] = {
    "events": _events(EventQuery()),
    "events of a workflow": _events(EventQuery(workflow_id="workflow")),
    "open waits": _waits(WaitQuery()),
    "all waits": _waits(WaitQuery(closed_too=True)),
    "waits of a key": _waits(WaitQuery(name="NAME-0", key="key", closed_too=True)),
    "waits of a workflow": _waits(WaitQuery(workflow_id="workflow", closed_too=True)),
    "deliveries": _deliveries(DeliveryQuery()),
    "pending deliveries": _deliveries(DeliveryQuery(status="pending")),
    "dead deliveries": _deliveries(DeliveryQuery(status="dead")),
    "deliveries of a workflow": _deliveries(DeliveryQuery(workflow_id="workflow")),
}


@dataclass
class Table:
    """Rows of every kind, of tenants that no other example has."""

    database: Database
    numbers: itertools.count[int]

    async def add(self, tenants: Sequence[str], ties: Sequence[int]) -> None:
        async with self.database.transaction() as connection:
            for tie in ties:
                number = next(self.numbers)
                terms = {"tenant": tenants[number % len(tenants)], "id": f"{number}-0", "tie": tie}
                await connection.execute(INSERT, terms)

    async def read(self, read: Read, tenants: Sequence[str], *, size: int) -> list[Any]:
        async with self.database.transaction() as connection:
            return list((await read(connection, tenants, None, size)).lines)


@pytest.fixture
async def table(database_url: str) -> AsyncIterator[Table]:
    async with open_database(database_url, DatabaseLimits(connections=1)) as database:
        yield Table(database, itertools.count())


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(before=ROWS, meanwhile=ROWS, size=st.integers(1, 5))
async def test_all_pages_together_hold_every_row_once_though_more_come_in(
    table: Table, before: list[int], meanwhile: list[int], size: int
) -> None:
    first = next(table.numbers)
    tenants = [f"tenant-{first}-a", f"tenant-{first}-b"]
    await table.add(tenants, before)
    whole = {name: await table.read(read, tenants, size=1000) for name, read in LISTS.items()}

    shown: dict[str, list[Any]] = {}
    for name, read in LISTS.items():
        shown[name] = await _walk(table, read, tenants, size, meanwhile[:2])

    for name, lines in whole.items():
        known = [line for line in shown[name] if line in lines]
        assert known == lines, name
        assert len(shown[name]) == len({_identity(line) for line in shown[name]}), name


async def _walk(
    table: Table, read: Read, tenants: Sequence[str], size: int, meanwhile: Sequence[int]
) -> list[Any]:
    lines: list[Any] = []
    after: Cursor | None = None
    while True:
        async with table.database.transaction() as connection:
            page = await read(connection, tenants, after, size)
        assert len(page.lines) <= size
        lines.extend(page.lines)
        after = page.next
        if after is None:
            return lines
        await table.add(tenants, meanwhile[:1] if len(lines) < 20 else [])


def _identity(line: Any) -> tuple[Any, ...]:
    names = ("tenant", "source", "stream", "event_id", "entry_id", "wait_id")
    return tuple(getattr(line, name, None) for name in names)
