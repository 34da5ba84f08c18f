"""Transactions without BEGIN and COMMIT: what is committed, and what is not."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from routing.database import Database
from routing.faults import RecordRefused, RoutingError
from tests.rows import execute, one_row
from worker.cancelling import cancel


async def note_and(
    database: Database, then: str | BaseException, noted: asyncio.Event | None = None
) -> None:
    """Write a row, see it there, and go on in the same hot transaction."""
    async with database.hot_transaction() as connection:
        cursor = await connection.execute("INSERT INTO noted VALUES (1) RETURNING n")
        await cursor.fetchall()
        if noted is not None:
            noted.set()
        if isinstance(then, BaseException):
            raise then
        cursor = await connection.execute(then.encode())
        await cursor.fetchall()


async def test_what_is_done_at_once_is_committed(database: Database, database_url: str) -> None:
    execute(database_url, "CREATE TABLE noted (n integer)")

    rows = await database.at_once("INSERT INTO noted VALUES (%(n)s) RETURNING n + 1", {"n": 6})

    assert rows == [(7,)]
    assert one_row(database_url, "SELECT n FROM noted") == (6,)


async def test_what_is_refused_leaves_nothing(database: Database, database_url: str) -> None:
    execute(database_url, "CREATE TABLE noted (n integer UNIQUE)")

    with pytest.raises(RecordRefused, match="UniqueViolation"):
        await database.at_once("INSERT INTO noted VALUES (%(n)s), (%(n)s) RETURNING n", {"n": 6})

    assert one_row(database_url, "SELECT count(*) FROM noted") == (0,)
    assert await database.at_once("SELECT 1", {}) == [(1,)]


async def test_what_fails_in_its_commit_leaves_nothing_and_is_not_taken_for_done(
    database: Database, database_url: str
) -> None:
    execute(database_url, "CREATE TABLE noted (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    twice = "INSERT INTO noted VALUES (6), (6) RETURNING n"

    # How the refusal reaches psycopg, in one piece or in two, is a matter of chance.
    for _ in range(20):
        with pytest.raises(RoutingError):
            await database.at_once(twice, {})
        with pytest.raises(RoutingError):
            async with database.hot_transaction() as connection:
                await connection.execute(twice.encode())

    assert one_row(database_url, "SELECT count(*) FROM noted") == (0,)
    assert await database.at_once("SELECT 1", {}) == [(1,)]


async def test_the_limits_hold_for_what_is_done_at_once_and_not_beyond_it(
    database: Database,
) -> None:
    settings = "SELECT current_setting('lock_timeout'), current_setting('plan_cache_mode')"

    within = await database.at_once(settings, {})
    async with database.transaction() as connection:
        cursor = await connection.execute("SELECT current_setting('plan_cache_mode')")
        afterwards = await cursor.fetchall()

    assert within == [("10s", "force_generic_plan")]
    assert afterwards == [("auto",)]


async def test_a_hot_transaction_is_committed_as_a_whole(
    database: Database, database_url: str
) -> None:
    execute(database_url, "CREATE TABLE noted (n integer)")

    async with database.hot_transaction() as connection:
        cursor = await connection.execute("INSERT INTO noted VALUES (1) RETURNING n")
        first = await cursor.fetchall()
        seen_by_others = one_row(database_url, "SELECT count(*) FROM noted")
        await connection.execute("INSERT INTO noted VALUES (2)")

    assert (first, seen_by_others) == ([(1,)], (0,))
    assert one_row(database_url, "SELECT count(*) FROM noted") == (2,)


async def test_a_refused_statement_takes_the_hot_transaction_with_it(
    database: Database, database_url: str
) -> None:
    execute(database_url, "CREATE TABLE noted (n integer UNIQUE)")

    with pytest.raises(RecordRefused, match="UniqueViolation"):
        await note_and(database, "INSERT INTO noted VALUES (1) RETURNING n")

    assert one_row(database_url, "SELECT count(*) FROM noted") == (0,)


@pytest.mark.parametrize("way_out", [ValueError, asyncio.CancelledError, psycopg.ProgrammingError])
async def test_whatever_ends_a_hot_transaction_early_leaves_nothing(
    database: Database, database_url: str, way_out: type[BaseException]
) -> None:
    execute(database_url, "CREATE TABLE noted (n integer)")

    with pytest.raises((way_out, RoutingError)):
        await note_and(database, way_out())

    assert one_row(database_url, "SELECT count(*) FROM noted") == (0,)
    assert await database.at_once("SELECT 1", {}) == [(1,)]


async def test_what_is_cancelled_while_it_waits_for_a_lock_leaves_nothing(
    database: Database, database_url: str
) -> None:
    execute(database_url, "CREATE TABLE noted (n integer)")
    noted = asyncio.Event()
    lock = "SELECT pg_advisory_xact_lock(7)"

    async with database.transaction() as connection:
        cursor = await connection.execute(lock)
        await cursor.fetchall()
        task = asyncio.create_task(note_and(database, lock, noted))
        await asyncio.wait_for(noted.wait(), 60)
        await cancel([task])

    assert one_row(database_url, "SELECT count(*) FROM noted") == (0,)
