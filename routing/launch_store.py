"""Launches in the database: claiming what is due, writing back what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from routing.database import Database
from routing.incoming import DEFAULT_NAMESPACE
from routing.launch_statements import CLAIM_LAUNCHES, SETTLE_LAUNCHES
from routing.launches import Launch, LaunchEnd
from routing.statements import PLAN_ANEW


class LaunchStore:
    """The launches of one database, as one process (the owner) sees them.

    It claims those of the namespaces that it serves.
    """

    def __init__(
        self,
        database: Database,
        owner: str,
        lease: timedelta,
        namespaces: Sequence[str] = (DEFAULT_NAMESPACE,),
    ) -> None:
        self._database = database
        self._owner = owner
        self._lease = lease
        self._namespaces = list(namespaces)

    async def claim(self, count: int) -> Sequence[Launch]:
        """Lease up to `count` due launches, the oldest first. Raises DatabaseUnavailable."""
        async with self._database.transaction() as connection:
            await connection.execute(PLAN_ANEW)
            cursor = await connection.execute(
                CLAIM_LAUNCHES,
                {
                    "count": count,
                    "owner": self._owner,
                    "lease": self._lease,
                    "namespaces": self._namespaces,
                },
            )
            return [Launch(*row) for row in await cursor.fetchall()]

    async def settle(self, ends: Sequence[LaunchEnd]) -> Sequence[LaunchEnd]:
        """Write back a batch of attempts; returns those whose launch is dead now.

        Raises DatabaseUnavailable; settling the same again is harmless.
        """
        async with self._database.transaction() as connection:
            await connection.execute(PLAN_ANEW)
            cursor = await connection.execute(
                SETTLE_LAUNCHES, {"owner": self._owner, **_columns(ends)}
            )
            dead = {(row[0], row[1], row[2]) for row in await cursor.fetchall()}
        return [end for end in ends if end.launch.identity in dead]


def _columns(ends: Sequence[LaunchEnd]) -> dict[str, object]:
    return {
        "tenants": [end.launch.tenant for end in ends],
        "event_ids": [end.launch.event_id for end in ends],
        "trigger_ids": [end.launch.trigger_id for end in ends],
        "statuses": [end.status.value for end in ends],
        "reasons": [None if end.reason is None else end.reason.value for end in ends],
        "details": [end.detail for end in ends],
        "run_ids": [end.run_id for end in ends],
        "delays": [end.delay for end in ends],
    }
