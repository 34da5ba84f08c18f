"""Postgres behind something that takes every packet, passes none on, and closes no connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from routing.database import Connection, Database, DatabaseLimits, open_database
from routing.faults import DatabaseUnavailable
from routing.gate import Backoff
from routing.schema_version import check
from routing.wakeups import NOTIFY, listen
from tests.chaos.proxy import Proxy, proxy_to
from tests.rows import execute, one_row
from tests.waiting import wait_until
from worker.cancelling import cancel
from worker.observe.dependencies import Dependencies

A_MOMENT = timedelta(milliseconds=300)
LIMITS = DatabaseLimits(
    connections=1,
    statement_timeout=A_MOMENT,
    connect_timeout=timedelta(seconds=1),
    answer_margin=timedelta(),
)


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    async with proxy_to(urlsplit(database_url).port or 5432) as proxy:
        yield proxy


@pytest.fixture
def url(database_url: str, proxy: Proxy) -> str:
    parts = urlsplit(database_url)
    credentials, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}127.0.0.1:{proxy.port}"))


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with open_database(url, LIMITS) as database:
        assert await database.at_once("SELECT 1", {}) == [(1,)]
        yield database


async def answers(database: Database) -> bool:
    try:
        return await database.at_once("SELECT 1", {}) == [(1,)]
    except DatabaseUnavailable:
        return False


async def note_into(transaction: AbstractAsyncContextManager[Connection], proxy: Proxy) -> None:
    async with transaction as connection:
        cursor = await connection.execute("INSERT INTO noted VALUES (1) RETURNING n")
        await cursor.fetchall()
        proxy.black_hole()


async def test_a_statement_that_is_swallowed_is_an_outage_that_ends(
    database: Database, proxy: Proxy
) -> None:
    proxy.black_hole()
    with pytest.raises(DatabaseUnavailable, match="no answer from the server within"):
        await database.at_once("SELECT 1", {})
    proxy.heal()

    await wait_until(lambda: answers(database), description="it goes on by itself")


async def test_a_transaction_whose_commit_is_swallowed_is_not_taken_for_done(
    database: Database, database_url: str, proxy: Proxy
) -> None:
    execute(database_url, "CREATE TABLE noted (n integer)")

    for transaction in (database.transaction, database.hot_transaction):
        with pytest.raises(DatabaseUnavailable, match="no answer from the server"):
            await note_into(transaction(), proxy)
        proxy.heal()
        await wait_until(lambda: answers(database), description="it goes on by itself")

    assert one_row(database_url, "SELECT count(*) FROM noted") == (0,)


async def test_one_who_is_cancelled_meanwhile_gets_away_at_once(
    database: Database, proxy: Proxy
) -> None:
    proxy.black_hole()
    task = asyncio.create_task(database.at_once("SELECT 1", {}))
    await wait_until(lambda: proxy.swallowed > 0, description="the statement is on its way")

    await cancel([task])

    assert task.done()


async def test_the_server_watches_its_client_while_a_transaction_is_open(
    database: Database,
) -> None:
    names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
    settings = "SELECT " + ", ".join(f"current_setting('{name}')" for name in names)

    [within] = await database.at_once(settings, {})

    assert within == ("10", "5", "3")


async def test_whoever_listens_notices_and_listens_anew(
    url: str, database_url: str, proxy: Proxy
) -> None:
    woken: list[None] = []
    again = Backoff(timedelta(milliseconds=10), timedelta(milliseconds=50))
    listening = asyncio.create_task(
        listen(
            f"{url}?connect_timeout=2",
            lambda: woken.append(None),
            again,
            listens=A_MOMENT / 3,
            answers_within=A_MOMENT,
        )
    )
    await wait_until(lambda: woken, description="it listens")

    proxy.black_hole()
    await wait_until(lambda: proxy.closed > 0, description="it has given that connection up")
    proxy.heal()
    await wait_until(lambda: len(woken) > 1, description="it listens on a new one")
    before = len(woken)
    execute(database_url, NOTIFY)

    await wait_until(lambda: len(woken) > before, description="it is woken")
    await cancel([listening])


async def test_a_command_that_checks_the_schema_ends(url: str, proxy: Proxy) -> None:
    proxy.black_hole()

    with pytest.raises(psycopg.OperationalError, match="timeout"):
        await check(f"{url}?connect_timeout=2")


async def test_readiness_knows_it_as_soon_as_the_time_for_an_answer_is_over(
    url: str, proxy: Proxy
) -> None:
    patient = DatabaseLimits(connections=1)

    async with open_database(url, patient) as database:
        assert await database.at_once("SELECT 1", {}) == [(1,)]

        async def asked() -> None:
            await database.at_once("SELECT 1", {})

        dependencies = Dependencies(
            {"postgres": asked}, period=timedelta(seconds=10), answer_within=A_MOMENT
        )
        proxy.black_hole()
        await dependencies.check()
        [state] = dependencies.states()
        proxy.heal()

    assert (state.ready, state.detail) == (False, "no answer within 0.3 s")
