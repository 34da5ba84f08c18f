"""Waking the delivering processes of other roles: a notification instead of polling.

A notification may get lost (a pooler between, a reconnect): deliverers look by themselves as well,
only less often.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import psycopg
import structlog

from routing.connections import BoundedConnection, connection_options
from routing.database import Database
from routing.faults import RoutingError
from routing.gate import Backoff
from routing.incoming import Delivery

log = structlog.get_logger(__name__)

CHANNEL: Final = "pointsman_deliveries"
NOTIFY: Final = f"NOTIFY {CHANNEL}"
LISTEN: Final = f"LISTEN {CHANNEL}"
LISTENS: Final = timedelta(seconds=15)
"""How long it listens before it asks whether the server is still there."""
ANSWERS_WITHIN: Final = timedelta(seconds=5)
STILL_THERE: Final = "SELECT 1"


class RemoteDispatcher:
    """Stands for the dispatchers of other processes, in a process that does not deliver."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked = asyncio.Event()

    async def submit(self, deliveries: Sequence[Delivery]) -> None:
        """Nothing is leased to a process that does not deliver."""
        if deliveries:
            raise ValueError("deliveries were leased to a process that does not deliver")

    def wake(self) -> None:
        """There are deliveries to be claimed; what is asked together is told once."""
        self._asked.set()

    async def run(self) -> None:
        """Pass wake-ups on until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                async with self._database.transaction() as connection:
                    await connection.execute(NOTIFY)
            except RoutingError as error:
                log.warning("wakeup.lost", error=str(error))


async def listen(
    database_url: str,
    wake: Callable[[], None],
    backoff: Backoff,
    come_by: Callable[[], None] = lambda: None,
    *,
    listens: timedelta = LISTENS,
    answers_within: timedelta = ANSWERS_WITHIN,
) -> None:
    """Call `wake` at every notification, until cancelled; reconnects by itself.

    `come_by` is called at least every `listens`, and before every try to connect.
    """
    failures = 0
    while True:
        come_by()
        try:
            async with await BoundedConnection.connect(
                database_url,
                autocommit=True,
                **connection_options(database_url, "pointsman-wakeups"),
            ) as connection:
                connection.longest_answer = answers_within
                await connection.execute(LISTEN)
                failures = 0
                wake()
                while True:
                    async for _ in connection.notifies(timeout=listens.total_seconds()):
                        wake()
                    # A connection over which nothing comes looks like one that has nothing to say.
                    await connection.execute(STILL_THERE)
                    come_by()
        except (psycopg.Error, OSError):
            # Only logged by the pool's users: this one has a substitute, the deliverers' own look.
            await asyncio.sleep(backoff.delay(failures).total_seconds())
            failures += 1
