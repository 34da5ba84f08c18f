"""A database whose every transaction is a beat: for loops that walk it in small batches."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager

from psycopg.rows import TupleRow

from routing.database import Connection, Database, Parameters
from worker.observe.heartbeat import Heartbeat


class BeatingDatabase(Database):
    """The same database, seen by one loop."""

    def __init__(self, database: Database, heartbeat: Heartbeat) -> None:
        # No pool of its own: every transaction is one of the database behind it.
        self._database = database
        self._heartbeat = heartbeat

    @asynccontextmanager
    async def transaction(
        self, tenant: str | Collection[str] | None = None
    ) -> AsyncGenerator[Connection]:
        """See `Database.transaction`."""
        self._heartbeat.beat()
        try:
            async with self._database.transaction(tenant) as connection:
                yield connection
        finally:
            self._heartbeat.beat()

    @asynccontextmanager
    async def hot_transaction(self) -> AsyncGenerator[Connection]:
        """See `Database.hot_transaction`."""
        self._heartbeat.beat()
        try:
            async with self._database.hot_transaction() as connection:
                yield connection
        finally:
            self._heartbeat.beat()

    async def at_once(self, statement: str, parameters: Parameters) -> list[TupleRow]:
        """See `Database.at_once`."""
        self._heartbeat.beat()
        try:
            return await self._database.at_once(statement, parameters)
        finally:
            self._heartbeat.beat()
