"""Two versions side by side: which schema each program works on, and how a schema is changed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from routing import schema_version
from routing.database import DatabaseLimits, open_database
from routing.faults import SchemaMismatch
from routing.matching import Matcher, Matching
from routing.migrations import MIGRATION_LOCK, MigrationLimits, _connected, _upgrade, migrate
from routing.schema_version import STANDING, check, newest_version, versions
from routing.waits import Waits
from tests.builders import a_wait, incoming
from tests.databases import database_from
from tests.waiting import wait_until

EXPANSION = """
from alembic import op

revision = "9001"
down_revision = "{newest}"


def upgrade():
    op.execute("ALTER TABLE workflow_runs ADD COLUMN colour text")
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY runs_by_colour ON workflow_runs (tenant_id, colour)")
"""
CONTRACTION = """
from alembic import op

revision = "9002"
down_revision = "9001"


def upgrade():
    op.execute("ALTER TABLE workflow_runs DROP COLUMN parent_id")
"""


OLDER_RUN = """
INSERT INTO workflow_runs (tenant_id, workflow_id, run_id, status, started_at, updated_at)
VALUES ('acme', 'w', %(run_id)s, 'running', now(), now())
"""


@pytest.fixture
def empty_url(database_url: str) -> Iterator[str]:
    """A database without a schema, for the role that the service uses."""
    template = database_url.rsplit("/", 1)[0] + "/template1"
    with database_from(template, database_url) as url:
        yield url


@pytest.fixture
def next_release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """This program is the next release's, until its changes are undone: two more migrations."""
    folder = tmp_path / "migrations"
    shutil.copytree(schema_version.SCRIPTS.parent, folder)
    expansion = EXPANSION.replace("{newest}", newest_version())
    (folder / "versions" / "9001_colours.py").write_text(expansion)
    (folder / "versions" / "9002_contract_parents.py").write_text(CONTRACTION)
    monkeypatch.setattr(schema_version, "SCRIPTS", folder / "versions")
    _forget_versions()
    yield monkeypatch
    monkeypatch.undo()
    _forget_versions()


def _forget_versions() -> None:
    schema_version.versions.cache_clear()
    schema_version.contractions.cache_clear()


def test_both_releases_work_on_the_schema_between_them(
    empty_url: str, next_release: pytest.MonkeyPatch
) -> None:
    after = migrate(empty_url)[1]
    worked_with = [asyncio.run(check(empty_url))]

    next_release.undo()
    _forget_versions()
    worked_with.append(asyncio.run(check(empty_url)))

    assert after == "9001"
    assert worked_with == ["9001", "9001"]
    assert migrate(empty_url) == ("9001", "9001"), "an older program leaves it as it is"
    assert _standing(empty_url) == {
        "version_num": "9001",
        "serves_from": schema_version.FIRST_SERVED,
    }


def test_what_only_the_older_release_uses_is_taken_away_on_request_alone(
    empty_url: str, next_release: pytest.MonkeyPatch
) -> None:
    migrate(empty_url)

    contracted = migrate(empty_url, contract=True)
    worked_with = asyncio.run(check(empty_url))
    next_release.undo()
    _forget_versions()

    assert contracted == ("9001", "9002")
    assert worked_with == "9002"
    with pytest.raises(SchemaMismatch, match=r"9002.*install a newer Pointsman"):
        asyncio.run(check(empty_url))
    with pytest.raises(SchemaMismatch, match=r"9002.*install a newer Pointsman"):
        migrate(empty_url)


def test_a_program_refuses_the_schema_of_the_release_before_and_names_the_remedy(
    empty_url: str,
) -> None:
    _migrate_to(empty_url, versions()[-2])

    with pytest.raises(SchemaMismatch, match=r"needs .*: run `pointsman migrate`"):
        asyncio.run(check(empty_url))

    assert migrate(empty_url) == (versions()[-2], newest_version())


async def test_this_release_works_on_a_schema_that_the_next_one_has_expanded(
    database_url: str,
) -> None:
    with psycopg.connect(database_url) as connection:
        for (table,) in connection.execute(
            "SELECT tablename FROM pg_tables WHERE tablename LIKE 'workflow%'"
        ).fetchall():
            connection.execute(f"ALTER TABLE {table} ADD COLUMN next_release text".encode())
            connection.execute(f"ALTER TABLE {table} ADD COLUMN counted int DEFAULT 7".encode())

    async with open_database(database_url, DatabaseLimits(connections=2)) as database:
        await Waits(database).register([a_wait(key="7", wait_id="first")])
        await Matcher(database, Matching(owner="me")).record(
            [incoming(key="7", event_id="event")], []
        )

    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT wait_id FROM workflow_event_deliveries").fetchall()
    assert rows == [("first",)]


def test_a_table_that_others_hold_ends_the_migration_in_time_and_nothing_is_lost(
    empty_url: str,
) -> None:
    _migrate_to(empty_url, "0004")
    limits = MigrationLimits(lock_timeout=timedelta(milliseconds=50))

    with psycopg.connect(empty_url) as holder:
        holder.execute("LOCK TABLE workflow_runs IN ACCESS SHARE MODE")
        with pytest.raises(OperationalError, match="lock timeout"):
            migrate(empty_url, limits=limits)

    assert _standing(empty_url)["version_num"] == "0004"
    assert migrate(empty_url) == ("0004", newest_version())


def test_rows_of_before_namespaces_are_in_the_namespace_of_whoever_migrates(
    empty_url: str,
) -> None:
    _migrate_to(empty_url, "0006")
    with psycopg.connect(empty_url) as older:
        older.execute(OLDER_RUN, {"run_id": "before"})

    migrate(empty_url, namespace="it's:ours")

    with psycopg.connect(empty_url) as older:
        older.execute(OLDER_RUN, {"run_id": "after, by the release before"})
        rows = older.execute("SELECT DISTINCT namespace FROM workflow_runs").fetchall()
    assert rows == [("it's:ours",)]


async def test_a_process_that_waits_for_its_turn_holds_up_no_index_that_is_built_concurrently(
    database_url: str,
) -> None:
    with psycopg.connect(database_url, autocommit=True) as first:
        first.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        second = asyncio.create_task(asyncio.to_thread(migrate, database_url))
        await wait_until(lambda: _asks_for_the_lock(first), description="the second one waits")
        first.execute("SET statement_timeout = '30s'")
        first.execute("CREATE INDEX CONCURRENTLY tried ON workflow_runs (tenant_id, status)")

    assert await second == (newest_version(), newest_version())


def _asks_for_the_lock(connection: psycopg.Connection) -> bool:
    asking = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND query LIKE '%advisory_lock%'"
    ).fetchone()
    return asking is not None and asking[0] > 0


def _migrate_to(url: str, version: str) -> None:
    with _connected(url) as connection:
        _upgrade(connection, version)


def _standing(url: str) -> dict[str, str | None]:
    with psycopg.connect(url) as connection:
        row = connection.execute(STANDING.encode()).fetchone()
    assert row is not None
    found: dict[str, str | None] = row[0]
    return found
