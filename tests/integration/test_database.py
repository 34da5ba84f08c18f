"""A statement that is committed with the round trip in which it is sent."""

from __future__ import annotations

import pytest

from routing.database import Database
from routing.faults import RecordRefused, RoutingError
from tests.rows import execute, one_row


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

    with pytest.raises(RoutingError):
        await database.at_once("INSERT INTO noted VALUES (%(n)s), (%(n)s) RETURNING n", {"n": 6})

    assert one_row(database_url, "SELECT count(*) FROM noted") == (0,)
    assert await database.at_once("SELECT 1", {}) == [(1,)]


async def test_the_limits_hold_for_what_is_done_at_once_and_not_beyond_it(
    database: Database,
) -> None:
    settings = "SELECT current_setting('lock_timeout'), current_setting('plan_cache_mode')"

    within = await database.at_once(settings, {})
    async with database._pool.connection() as connection:
        cursor = await connection.execute(settings)
        afterwards = await cursor.fetchall()

    assert within == [("10s", "force_generic_plan")]
    assert afterwards == [("0", "auto")]
