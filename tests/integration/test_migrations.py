"""Bringing a database up to date: fresh, again, from several processes, and never backwards."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql

from routing.database import DatabaseLimits, open_database
from routing.faults import SchemaMismatch
from routing.migrations import migrate
from routing.schema_version import VERSION_TABLE, check, newest_version, versions
from tests.databases import database_from

ROOT = Path(__file__).resolve().parents[2]
MIGRATE = "import sys; from routing.migrations import migrate; print(*migrate(sys.argv[1]))"


@pytest.fixture
def empty_url(database_url: str) -> Iterator[str]:
    """A database without a schema, for the role that the service uses."""
    template = database_url.rsplit("/", 1)[0] + "/template1"
    with database_from(template, database_url) as url:
        yield url


def test_a_fresh_database_is_brought_to_the_newest_version(empty_url: str) -> None:
    versions = migrate(empty_url)

    assert versions == (None, newest_version())
    assert asyncio.run(check(empty_url)) == newest_version()


def test_a_second_migration_changes_nothing(empty_url: str) -> None:
    migrate(empty_url)
    before = _tables(empty_url)

    versions = migrate(empty_url)

    assert versions == (newest_version(), newest_version())
    assert _tables(empty_url) == before
    assert "workflow_runtime_events" in dict(before)


def test_processes_that_migrate_at_the_same_time_all_succeed(empty_url: str) -> None:
    command = [sys.executable, "-c", MIGRATE, empty_url]
    started = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]

    ended = [process.communicate(timeout=60) for process in started]

    assert [process.returncode for process in started] == [0, 0, 0], ended
    newest = newest_version()
    said = sorted(output.decode().split() for output, _ in ended)
    assert said == [[newest, newest], [newest, newest], ["None", newest]]


def test_the_versions_are_those_of_the_scripts_in_their_order() -> None:
    configuration = Config()
    configuration.set_main_option("script_location", str(ROOT / "routing" / "migrations"))
    configuration.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(configuration)

    found = [script.revision for script in scripts.walk_revisions()]

    assert found[::-1] == list(versions())


def test_a_newer_database_is_refused_and_left_as_it_is(empty_url: str) -> None:
    migrate(empty_url)
    _set_version(empty_url, "9999")

    for attempt in (migrate, lambda url: asyncio.run(check(url))):
        with pytest.raises(SchemaMismatch, match=r"9999.*install a newer Pointsman"):
            attempt(empty_url)

    assert _version(empty_url) == "9999"


def test_an_unmigrated_database_is_named_with_the_command_that_helps(empty_url: str) -> None:
    with pytest.raises(SchemaMismatch, match="run `pointsman migrate`"):
        asyncio.run(check(empty_url))


async def test_the_service_verifies_the_schema_that_it_finds(empty_url: str) -> None:
    async with open_database(empty_url, DatabaseLimits(connections=1)) as database:
        with pytest.raises(SchemaMismatch, match="no Pointsman schema yet"):
            await database.verify_schema()

        migrate(empty_url)
        await database.verify_schema()

        _set_version(empty_url, "9999")
        with pytest.raises(SchemaMismatch, match="does not know"):
            await database.verify_schema()


def _tables(url: str) -> list[tuple[str, int]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT relname, oid::int FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " ORDER BY relname"
        ).fetchall()
    return [(str(row[0]), int(row[1])) for row in rows]


def _set_version(url: str, version: str) -> None:
    statement = sql.SQL(
        "UPDATE {} SET version_num = %(v)s::text, serves_from = %(v)s::text"
    ).format(sql.Identifier(VERSION_TABLE))
    with psycopg.connect(url) as connection:
        connection.execute(statement, {"v": version})


def _version(url: str) -> str:
    query = sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(VERSION_TABLE))
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return str(row[0])
