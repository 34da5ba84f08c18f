"""Row-level security: a transaction of one tenant neither sees nor writes another's rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Any, Final

import psycopg
import pytest

from correlation.reason import Outcome, Reason
from correlation.triggers import compile_trigger
from routing.database import Database, DatabaseLimits, open_database
from routing.faults import DatabaseUnavailable, RoutingError
from routing.incoming import Origin, RejectedEntry
from routing.matching import Matcher, Matching
from routing.triggers import apply_triggers
from routing.waits import Waits
from tests.builders import a_wait, incoming

TABLES: Final = (
    "workflow_runtime_events",
    "workflow_run_waits",
    "workflow_event_deliveries",
    "workflow_event_triggers",
    "workflow_event_launches",
    "workflow_runs",
    "workflow_rejected_entries",
    "workflow_human_tasks",
)
FILLED: Final = (
    "workflow_runtime_events",
    "workflow_run_waits",
    "workflow_event_deliveries",
    "workflow_event_triggers",
    "workflow_event_launches",
    "workflow_runs",
    "workflow_rejected_entries",
    "workflow_human_tasks",
)
FORBIDDEN: Final = (
    "UPDATE workflow_run_waits SET tenant_id = 'globex', wait_id = 'stolen'",
    """
    INSERT INTO workflow_runs (tenant_id, workflow_id, run_id, status, started_at, updated_at)
    VALUES ('globex', 'w', 'r', 'running', now(), now())
    """,
    """
    INSERT INTO workflow_rejected_entries (tenant_id, stream, entry_id, outcome, reason, detail,
        raw, received_at)
    VALUES ('', 's', '1-0', 'malformed', 'r', 'd', '', now())
    """,
)
TENANTS: Final = ("acme", "globex")
A_TASK: Final = """
INSERT INTO workflow_human_tasks (tenant_id, task_id, title, assignees, created_at)
VALUES (%(tenant)s, 'wait', 'Approve', '{}', now())
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """One connection, so that whatever a transaction leaves behind meets the next one."""
    async with open_database(database_url, DatabaseLimits(connections=1)) as database:
        waits, matcher = Waits(database), Matcher(database, Matching(owner="me"))
        for tenant in TENANTS:
            definition = {
                "tenant": tenant,
                "event": "INVOICE_PAID",
                "workflow": "W",
                "task_queue": "q",
            }
            await apply_triggers(database, [compile_trigger("t", definition)], actor="test")
            await waits.register([a_wait(tenant=tenant, key="7", wait_id="wait", run_id="run")])
            async with database.transaction() as connection:
                await connection.execute(A_TASK, {"tenant": tenant})
            await matcher.record(
                [incoming(tenant=tenant, key="7", event_id="event")], [_rejected(tenant)]
            )
        await matcher.record([], [_rejected("")])
        yield database


async def test_a_transaction_of_a_tenant_sees_its_own_rows_alone(database: Database) -> None:
    seen = {tenant: await _seen(database, tenant) for tenant in TENANTS}

    assert seen == {tenant: {table: [tenant] for table in FILLED} for tenant in TENANTS}


@pytest.mark.parametrize("tenant", ["", " ", "nobody", "ACME", "acme ", "%"])
async def test_a_tenant_that_is_blank_or_unknown_sees_nothing(
    database: Database, tenant: str
) -> None:
    assert await _seen(database, tenant) == {table: [] for table in FILLED}


async def test_a_transaction_of_several_tenants_sees_theirs_alone(database: Database) -> None:
    both = await _seen(database, ["acme", "globex"])
    one_and_nobody = await _seen(database, ["globex", "nobody", ""])
    none = await _seen(database, [])
    odd = await _seen(database, ["{acme}", "acme,globex", '"acme"', "NULL"])

    assert both == {table: ["acme", "globex"] for table in FILLED}
    assert one_and_nobody == {table: ["globex"] for table in FILLED}
    assert none == {table: [] for table in FILLED}
    assert odd == {table: [] for table in FILLED}


async def test_a_row_cannot_be_written_for_a_tenant_beside_several(database: Database) -> None:
    for statement in FORBIDDEN:
        with pytest.raises(RoutingError, match="row-level security"):
            async with database.transaction(["acme", "umbrella"]) as connection:
                await connection.execute(statement.encode())


async def test_the_services_own_transactions_see_every_tenant(database: Database) -> None:
    seen = await _seen(database, None)

    assert seen["workflow_runtime_events"] == ["acme", "globex"]
    assert seen["workflow_rejected_entries"] == ["", "acme", "globex"]


@pytest.mark.parametrize("table", FILLED)
async def test_another_tenants_rows_can_be_neither_changed_nor_removed(
    database: Database, table: str
) -> None:
    async with database.transaction(tenant="acme") as connection:
        for attempt in (
            f"DELETE FROM {table} WHERE tenant_id <> 'acme' RETURNING 1",
            f"UPDATE {table} SET tenant_id = 'acme' WHERE tenant_id = 'globex' RETURNING 1",
        ):
            cursor = await connection.execute(attempt.encode())

            assert await cursor.fetchall() == []
    assert "globex" in (await _seen(database, None))[table]


async def test_a_row_cannot_be_written_for_another_tenant(database: Database) -> None:
    for statement in FORBIDDEN:
        with pytest.raises(DatabaseUnavailable, match="row-level security"):
            async with database.transaction(tenant="acme") as connection:
                await connection.execute(statement.encode())


async def test_a_tenant_writes_its_own_rows(database: Database) -> None:
    async with database.transaction(tenant="acme") as connection:
        await connection.execute("UPDATE workflow_run_waits SET detail = 'seen'")

    async with database.transaction() as connection:
        cursor = await connection.execute(
            "SELECT tenant_id, detail FROM workflow_run_waits ORDER BY tenant_id"
        )
        assert await cursor.fetchall() == [("acme", "seen"), ("globex", None)]


async def test_a_failed_transaction_of_a_tenant_leaves_no_trace_on_its_connection(
    database: Database,
) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with database.transaction(tenant="acme") as connection:
            await connection.execute("SELECT no_such_column")

    async with database.transaction() as connection:
        cursor = await connection.execute(
            "SELECT current_user = session_user, current_setting('app.current_tenant', true)"
        )
        role_is_back, tenant = (await cursor.fetchone()) or (False, "?")
        assert role_is_back
        assert not tenant
    assert len((await _seen(database, None))["workflow_run_waits"]) == 2


def test_the_role_that_is_tested_with_bypasses_nothing(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()

    assert row == (False, False)


def test_the_wall_stands_around_every_table(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class"
            " WHERE relkind IN ('r', 'p') AND relname LIKE 'workflow_%'"
        ).fetchall()

    assert {table for table, *_ in rows} >= set(TABLES)
    assert [table for table, enabled, forced in rows if not (enabled and forced)] == []


def test_every_tenants_table_has_a_policy_for_one_tenant_and_for_several(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT tablename, array_agg(policyname::text) FROM pg_policies"
            " WHERE 'pointsman_tenant' = ANY (roles) GROUP BY tablename"
        ).fetchall()

    assert {table for table, _ in rows} >= set(TABLES)
    assert [t for t, names in rows if not {"current_tenant", "current_tenants"} <= set(names)] == []


async def _seen(database: Database, tenant: str | Collection[str] | None) -> dict[str, list[Any]]:
    seen: dict[str, list[Any]] = {}
    async with database.transaction(tenant=tenant) as connection:
        for table in FILLED:
            cursor = await connection.execute(
                f"SELECT tenant_id FROM {table} ORDER BY tenant_id".encode()
            )
            seen[table] = [row[0] for row in await cursor.fetchall()]
    return seen


def _rejected(tenant: str) -> RejectedEntry:
    return RejectedEntry(
        Origin("test", "1-0"), Outcome.MALFORMED, Reason.INVALID_JSON, "no JSON", b"", tenant
    )
