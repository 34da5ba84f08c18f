"""The hot statements reach their rows through an index, whatever Postgres knows of the tables.

Looked at are a database that was just migrated or filled a little (whose plans prepared statements
keep), a full one before its first ANALYZE, and a full one after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import psycopg
import pytest

from correlation.closing import Closing
from pointsman.contract import Disposition
from routing.columns import event_columns
from routing.delivery_statements import CLAIM_DELIVERIES, SETTLE_DELIVERIES
from routing.delivery_store import DeliveryStatus, Settlement, _columns
from routing.incoming import Delivery
from routing.reconcile import OPEN_WAITS
from routing.registration_statements import REGISTER_WAITS
from routing.return_statements import RETURN_EVENTS
from routing.statements import (
    CLOSE_WAITS,
    COUNT_REDELIVERIES,
    DISPOSE_DELIVERIES,
    KEYS_OF_WAITS,
    KNOWN_EVENTS,
    MATCH_EVENTS,
    REOFFER_EVENTS,
    SETTLE_CLOSED,
    STATUS_OF_WAITS,
)
from routing.sweep import EXPIRED_EVENTS, EXPIRED_WAITS
from routing.waits import _closing_columns, _wait_columns
from tests.builders import a_wait, an_event, incoming
from tests.conftest import NewDatabase
from tests.integration.plans import Mode, Scan, scans

State = Literal["empty", "small", "full", "analysed"]

ROWS: Final = 50_000
FEW: Final = 300
# As long as autovacuum has not come by, a table has no statistics.
NO_VACUUM: Final = """
ALTER TABLE workflow_runtime_events SET (autovacuum_enabled = false);
ALTER TABLE workflow_run_waits SET (autovacuum_enabled = false);
ALTER TABLE workflow_event_deliveries SET (autovacuum_enabled = false);
"""
FILL: Final = """
INSERT INTO workflow_runtime_events (tenant_id, event_id, event_name, outcome, correlation_key,
    key_source, rules_version, payload, content_digest, stream, entry_id, received_at,
    available_until)
SELECT 'acme', 'event-' || n, 'INVOICE_PAID', 'no_wait', 'key-' || n, 'explicit', '-', '{}',
       '', 'stream', n || '-0', now() - n * interval '10 ms', now() + interval '7 days'
FROM generate_series(1, ROWS) AS n;
INSERT INTO workflow_run_waits (tenant_id, wait_id, event_name, correlation_key, workflow_id,
    signal_name, kind, cardinality, lookback, status, registered_at, expires_at)
SELECT 'acme', 'wait-' || n, 'INVOICE_PAID', 'key-' || n, 'workflow-' || n, 'signal', 'event',
       'all', interval '0', 'waiting', now(), now() + n * interval '1 minute'
FROM generate_series(1, ROWS) AS n;
INSERT INTO workflow_event_deliveries (tenant_id, event_id, wait_id, workflow_id, signal_name,
    correlation_key, cardinality, status, looked_back, due_at, created_at)
SELECT 'acme', 'event-' || n, 'wait-' || n, 'workflow-' || n % 5000, 'signal', 'key-' || n,
       'all', CASE WHEN n % 10 = 0 THEN 'pending' ELSE 'delivered' END, false, now(), now()
FROM generate_series(1, ROWS) AS n;
"""
ANALYZE: Final = "ANALYZE workflow_runtime_events, workflow_run_waits, workflow_event_deliveries"

EVENTS, WAITS, DELIVERIES = (
    "workflow_runtime_events",
    "workflow_run_waits",
    "workflow_event_deliveries",
)
LEASE: Final = timedelta(seconds=60)
NUMBERS: Final = range(1, 6)


def matching() -> dict[str, Any]:
    batch = [incoming(an_event(event_id=f"new-{n}", key=f"key-{n}")) for n in NUMBERS]
    terms = {"owner": "me", "delivers": True, "lease": LEASE, "buffer_ttl": timedelta(days=7)}
    terms |= {"alone": False, "portion": 2_000, "most": 20_000, "namespaces": ["default"]}
    return event_columns(batch) | terms


def identities() -> dict[str, Any]:
    return {"tenants": ["acme" for _ in NUMBERS], "event_ids": [f"event-{n}" for n in NUMBERS]}


def registering() -> dict[str, Any]:
    waits = [a_wait(key=f"key-{n}", lookback=timedelta(minutes=5)) for n in NUMBERS]
    return _wait_columns(waits)


def closing() -> dict[str, Any]:
    waits = [a_wait(wait_id=f"wait-{n}") for n in NUMBERS]
    accepted = Disposition.ACCEPTED
    return _closing_columns([Closing(w.tenant, w.wait_id, accepted, "event-1") for w in waits])


def settling() -> dict[str, Any]:
    now = datetime.now(UTC)
    deliveries = [
        Delivery(
            tenant=event.tenant,
            event_id=event.event_id,
            wait_id=wait.wait_id,
            event_name=event.name,
            correlation_key=wait.correlation_key,
            workflow_id=wait.workflow_id,
            signal_name="signal",
            payload_text="{}",
            received_at=now,
            created_at=now,
        )
        for event, wait in (
            (an_event(event_id=f"event-{n}"), a_wait(wait_id=f"wait-{n}")) for n in NUMBERS
        )
    ]
    columns = _columns([Settlement(each, DeliveryStatus.DELIVERED) for each in deliveries])
    return columns | {"owner": "me"}


def claiming() -> dict[str, Any]:
    terms = {"count": 50, "per_tenant": 50, "owner": "me", "lease": LEASE}
    return terms | {"namespaces": ["default", "orders"]}


@pytest.fixture(scope="module", params=["empty", "small", "full", "analysed"])
def state(request: pytest.FixtureRequest) -> State:
    found: State = request.param
    return found


@pytest.fixture(scope="module")
def connection(new_database: NewDatabase, state: State) -> Iterator[psycopg.Connection[Any]]:
    with new_database() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(NO_VACUUM)
        if state != "empty":
            rows = FEW if state == "small" else ROWS
            connection.execute(FILL.replace("ROWS", str(rows)).encode())
        if state == "analysed":
            connection.execute(ANALYZE)
        connection.execute("SET enable_seqscan = off")  # as every transaction of ours has it
        yield connection


def entered(found: list[Scan], index: str) -> str:
    """By what an index is entered, everywhere it is used."""
    conditions = [scan.condition for scan in found if scan.index == index]
    assert conditions, f"{index} is not used: {found}"
    return " / ".join(conditions)


def reads_single_rows(found: list[Scan]) -> bool:
    """Whether every scan enters an index by more than the tenant."""
    return all(
        scan.index is not None and (" AND " in scan.condition or "@>" in scan.condition)
        for scan in found
    )


MODES: Final[list[Mode]] = ["force_generic_plan", "force_custom_plan"]


def test_the_statements_of_recording_read_single_rows(
    connection: psycopg.Connection[Any],
) -> None:
    for mode in MODES:
        match = scans(connection, MATCH_EVENTS, matching(), mode)
        known = scans(connection, KNOWN_EVENTS, identities(), mode)
        again = scans(connection, COUNT_REDELIVERIES, identities(), mode)

        assert "correlation_key = p.correlation_key" in entered(match, f"{WAITS}_open")
        assert "workflow_id = c.workflow_id" in entered(match, f"{DELIVERIES}_in_order")
        assert "event_id = i.event_id" in entered(known, f"{EVENTS}_pkey")
        assert "event_id = i.event_id" in entered(again, f"{EVENTS}_pkey")
        assert reads_single_rows([*match, *known, *again])


def test_registering_a_wait_reads_single_rows(
    connection: psycopg.Connection[Any], state: State
) -> None:
    found = scans(connection, REGISTER_WAITS, registering(), "force_custom_plan")

    assert "further_key_hashes @>" in entered(found, f"{EVENTS}_further_keys")
    assert "event_id = e.event_id" in entered(found, f"{DELIVERIES}_pkey")
    assert all(scan.index is not None for scan in found)
    if state in {"full", "analysed"}:
        assert "correlation_key = i" in entered(found, f"{EVENTS}_available")
        assert reads_single_rows(found)


def test_settling_deliveries_reads_single_rows(connection: psycopg.Connection[Any]) -> None:
    for mode in MODES:
        found = scans(connection, SETTLE_DELIVERIES, settling(), mode)

        assert reads_single_rows(found)


def test_claiming_enters_by_what_is_due_and_looks_back_along_the_workflow(
    connection: psycopg.Connection[Any],
) -> None:
    found = scans(connection, CLAIM_DELIVERIES, claiming(), "force_custom_plan")

    assert "due_at) <= ROW(n.namespace, statement_timestamp())" in entered(
        found, f"{DELIVERIES}_due_by_namespace"
    )
    assert "workflow_id = d" in entered(found, f"{DELIVERIES}_in_order")
    assert "event_id = c.event_id" in entered(found, f"{EVENTS}_pkey")
    assert all(scan.index is not None for scan in found)


def test_closing_waits_reads_single_rows(connection: psycopg.Connection[Any], state: State) -> None:
    statements = [
        KEYS_OF_WAITS,
        RETURN_EVENTS,
        DISPOSE_DELIVERIES,
        CLOSE_WAITS,
        SETTLE_CLOSED,
        REOFFER_EVENTS,
        STATUS_OF_WAITS,
    ]

    found = [
        scan
        for statement in statements
        for scan in scans(connection, statement, closing(), "force_custom_plan")
    ]

    # These are planned each time: on a small table whatever index is cheap.
    assert all(scan.index is not None for scan in found)
    assert state in {"empty", "small"} or reads_single_rows(found)


def test_the_sweeper_and_the_reconciler_walk_along_an_index(
    connection: psycopg.Connection[Any],
) -> None:
    page = {"tenant": "", "wait_id": "", "grace": timedelta(0), "count": 200}
    page |= {"namespaces": ["default"]}
    expiry = {
        "tenant": "acme",
        "after": "-infinity",
        "after_id": "",
        "buffer_ttl": timedelta(days=7),
        "count": 500,
    }

    open_waits = scans(connection, OPEN_WAITS, page, "force_custom_plan")
    expired_waits = scans(connection, EXPIRED_WAITS, {"count": 500}, "force_generic_plan")
    expired_events = scans(connection, EXPIRED_EVENTS, expiry, "force_generic_plan")

    assert all(scan.index is not None for scan in [*open_waits, *expired_waits, *expired_events])
    assert "expires_at <=" in entered(expired_waits, f"{WAITS}_expiring")
    assert "received_at" in entered(expired_events, f"{EVENTS}_listed")
    assert "event_id = w" in entered(expired_events, f"{EVENTS}_pkey")
