"""The pool of connections to Postgres, and transactions with their time limits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

import psycopg
from psycopg.pq import PipelineStatus
from psycopg.rows import TupleRow, tuple_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from routing.connections import (
    ANSWER_MARGIN,
    CONNECT_TIMEOUT,
    BoundedConnection,
    connection_options,
)
from routing.faults import translated
from routing.schema_version import STANDING, VERSION_TABLE, SchemaStanding, verify

Connection: TypeAlias = psycopg.AsyncConnection[TupleRow]
Parameters: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DatabaseLimits:
    """Bounds on what one process asks of Postgres."""

    connections: int = 8
    statement_timeout: timedelta = timedelta(seconds=30)
    lock_timeout: timedelta = timedelta(seconds=10)
    connect_timeout: timedelta = CONNECT_TIMEOUT
    answer_margin: timedelta = ANSWER_MARGIN

    @property
    def longest_answer(self) -> timedelta:
        """How long the server's answer to anything is waited for."""
        return self.statement_timeout + self.answer_margin


# Transaction-scoped (is_local = true), so that a transaction pooler such as pgbouncer may stand
# between. Sent in one flush with the transaction's first statement.
# Every statement has an index to go by; while the tables have no statistics the planner would
# rather scan them, and a prepared statement keeps such a plan while they grow.
# The server, too, is to notice within half a minute that its client is gone without a word: until
# then it keeps the transaction's locks.
LIMITS = """
SELECT set_config('statement_timeout', %(statement)s, true),
       set_config('lock_timeout', %(lock)s, true),
       set_config('idle_in_transaction_session_timeout', %(statement)s, true),
       set_config('tcp_keepalives_idle', '10', true),
       set_config('tcp_keepalives_interval', '5', true),
       set_config('tcp_keepalives_count', '3', true),
       set_config('enable_seqscan', 'off', true)
"""
# Each hot statement has one good plan (a test reads it), while left to itself Postgres plans them
# anew every time. A transaction without BEGIN is never idle to Postgres, however long its client
# says nothing; since version 17 there is a limit for all of it.
HOT_LIMITS = f"""{LIMITS.rstrip()},
       set_config('plan_cache_mode', 'force_generic_plan', true),
       CASE WHEN current_setting('server_version_num')::integer >= 170000
            THEN set_config('transaction_timeout', %(transaction)s, true) END
"""
LONGEST_TRANSACTION = 4
"""How many of its longest answers a hot transaction may take."""
TENANT = "SELECT set_config('app.current_tenant', %(tenant)s, true)"
TENANTS = "SELECT set_config('app.current_tenants', %(tenants)s::text[]::text, true)"


class Database:
    """A pool of connections. Every method raises DatabaseUnavailable or RecordRefused.

    None waits for the server longer than `DatabaseLimits.longest_answer` at a time: a connection
    over which nothing comes any more is broken off and replaced.
    """

    def __init__(
        self, pool: AsyncConnectionPool[BoundedConnection], limits: DatabaseLimits
    ) -> None:
        self._pool = pool
        self._limits: Parameters = {
            "statement": _milliseconds(limits.statement_timeout),
            "lock": _milliseconds(limits.lock_timeout),
            "transaction": _milliseconds(limits.longest_answer * LONGEST_TRANSACTION),
        }

    @asynccontextmanager
    async def transaction(
        self, tenant: str | Collection[str] | None = None
    ) -> AsyncGenerator[Connection]:
        """One READ COMMITTED transaction, committed at the end of the block.

        Statements are pipelined: they travel together until a result is fetched, so a transaction
        costs as many round trips as it fetches, and one for the commit. With a `tenant`, or
        several, it runs behind row-level security: it can neither see nor write the rows of others.
        """
        try:
            async with (
                self._pool.connection() as connection,
                connection.pipeline(),
                connection.transaction(),
            ):
                await connection.execute(LIMITS, self._limits)
                if tenant is not None:
                    await connection.execute("SET LOCAL ROLE pointsman_tenant")
                    await _bind(connection, tenant)
                yield connection
        except (psycopg.Error, PoolTimeout, PoolClosed, OSError) as error:
            raise translated(error) from error

    @asynccontextmanager
    async def hot_transaction(self) -> AsyncGenerator[Connection]:
        """As `transaction`, in fewer messages, and with the plans of hot statements.

        What is pipelined up to a synchronisation is one transaction to Postgres: there is no BEGIN
        and no COMMIT. So that nothing is committed by leaving the block, whatever ends it early
        ends the connection, too.
        """
        try:
            async with self._pool.connection() as connection, _committed_at_its_end(connection):
                await connection.execute(HOT_LIMITS, self._limits)
                try:
                    yield connection
                except BaseException:
                    if connection.pgconn.pipeline_status != PipelineStatus.ABORTED:
                        await connection.close()
                    raise
        except (psycopg.Error, PoolTimeout, PoolClosed, OSError) as error:
            raise translated(error) from error

    async def at_once(self, statement: str, parameters: Parameters) -> list[TupleRow]:
        """One hot statement in a transaction of its own, and in one round trip; its rows.

        It is committed when this returns. When this raises nothing is committed, unless the
        connection broke with the commit on its way.
        """
        try:
            async with self._pool.connection() as connection:
                async with _committed_at_its_end(connection):
                    await connection.execute(HOT_LIMITS, self._limits)
                    cursor = await connection.execute(statement.encode(), parameters)
                return await cursor.fetchall()
        except (psycopg.Error, PoolTimeout, PoolClosed, OSError) as error:
            raise translated(error) from error

    async def verify_schema(self) -> None:
        """Raise SchemaMismatch unless this program works with the schema."""
        async with self.transaction() as connection:
            cursor = await connection.execute("SELECT to_regclass(%s)", (VERSION_TABLE,))
            table = await cursor.fetchone()
            row = None
            if table is not None and table[0] is not None:
                cursor = await connection.execute(STANDING)
                row = await cursor.fetchone()
        verify(SchemaStanding.of_row(row))


async def _bind(connection: Connection, tenant: str | Collection[str]) -> None:
    if isinstance(tenant, str):
        await connection.execute(TENANT, {"tenant": tenant})
    else:
        await connection.execute(TENANTS, {"tenants": list(tenant)})


@asynccontextmanager
async def open_database(url: str, limits: DatabaseLimits) -> AsyncGenerator[Database]:
    """A pool for `url`; opens without waiting for the server, closes at the end."""

    async def bound(connection: BoundedConnection) -> None:
        connection.longest_answer = limits.longest_answer

    pool: AsyncConnectionPool[BoundedConnection] = AsyncConnectionPool(
        url,
        connection_class=BoundedConnection,
        configure=bound,
        min_size=1,
        max_size=limits.connections,
        timeout=limits.connect_timeout.total_seconds(),
        reconnect_timeout=limits.connect_timeout.total_seconds(),
        check=None,
        kwargs={
            "autocommit": True,
            "row_factory": tuple_row,
            **connection_options(url, "pointsman", limits.connect_timeout),
        },
        open=False,
    )
    await pool.open(wait=False)
    try:
        yield Database(pool, limits)
    finally:
        await pool.close(timeout=limits.connect_timeout.total_seconds())


@asynccontextmanager
async def _committed_at_its_end(connection: Connection) -> AsyncGenerator[None]:
    """A pipeline that is one transaction; raises psycopg.Error when the commit is refused.

    A refused commit is answered by an error and by the end of the synchronisation, where psycopg
    3.3 expects one result: it raises IndexError when both arrive together, OperationalError else.
    In both cases the connection is of no further use.
    """
    committing = False
    try:
        async with connection.pipeline():
            yield
            committing = True
    except IndexError as error:
        if not committing:
            raise
        await connection.close()
        raise psycopg.OperationalError("the server refused to commit") from error


def _milliseconds(span: timedelta) -> str:
    return str(int(span.total_seconds() * 1000))
