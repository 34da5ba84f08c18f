"""A database whose transactions break at the two moments that matter."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from enum import StrEnum

from psycopg.rows import TupleRow

from routing.database import Connection, Database, Parameters
from routing.faults import DatabaseUnavailable


class Fault(StrEnum):
    """What happens to a transaction."""

    NONE = "none"
    KILLED = "killed"
    """Its connection is cut before the commit: nothing of it stays."""
    UNANSWERED = "unanswered"
    """It commits, and nobody gets to know."""


class FaultyDatabase(Database):
    """Passes everything on, but for one transaction."""

    def __init__(self, inner: Database) -> None:  # the pool and its limits are the inner one's
        self._inner = inner
        self._fault = Fault.NONE
        self._transactions_before = 0

    def break_once(self, fault: Fault, transactions_before: int = 0) -> None:
        """Let the fault happen to a later transaction; the first, unless said otherwise."""
        self._fault, self._transactions_before = fault, transactions_before

    @asynccontextmanager
    async def transaction(
        self, tenant: str | Collection[str] | None = None
    ) -> AsyncGenerator[Connection]:
        """As the inner database's, and broken when its turn has come."""
        fault = self._due_fault()
        async with self._inner.transaction(tenant) as connection:
            yield connection
            if fault is Fault.KILLED:
                await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        if fault is Fault.UNANSWERED:
            raise DatabaseUnavailable("the answer to the commit was lost")

    @asynccontextmanager
    async def hot_transaction(self) -> AsyncGenerator[Connection]:
        """As any other one."""
        async with self.transaction() as connection:
            yield connection

    async def at_once(self, statement: str, parameters: Parameters) -> list[TupleRow]:
        """As the inner database's, in a transaction that may break."""
        async with self.transaction() as connection:
            cursor = await connection.execute(statement.encode(), parameters)
            return await cursor.fetchall()

    def _due_fault(self) -> Fault:
        if self._fault is Fault.NONE or self._transactions_before:
            self._transactions_before = max(0, self._transactions_before - 1)
            return Fault.NONE
        fault, self._fault = self._fault, Fault.NONE
        return fault
