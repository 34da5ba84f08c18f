"""Deliveries in the database: claiming what is due, writing back what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from time import monotonic
from typing import Any

from correlation.closing import Closing
from correlation.reason import Reason
from routing.chain_statements import BIND_WAITS
from routing.chains import Lives
from routing.database import Connection, Database
from routing.delivery_statements import (
    CLAIM_DELIVERIES,
    CLAIM_LOCK,
    CLAIM_TURN,
    SETTLE_DELIVERIES,
    claim_locks,
)
from routing.incoming import DEFAULT_NAMESPACE, Delivery
from routing.statements import PLAN_ANEW, PLAN_ONCE, REOFFER_EVENTS
from routing.waits import close_locked, identity_columns, waits_locked

_RUN_GONE = (Reason.RUN_CLOSED.value, Reason.RUN_NOT_FOUND.value)


class DeliveryStatus(StrEnum):
    """The states of a delivery; all but `pending` are final."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of one leased delivery."""

    delivery: Delivery
    status: DeliveryStatus
    reason: Reason | None = None
    detail: str | None = None
    tried: bool = True
    """False when it is given back without an attempt."""
    delay: timedelta = timedelta(0)
    """How long it may not be claimed, when it stays pending."""
    grace: timedelta = timedelta(0)
    """A dead delivery younger than this stays pending instead."""
    to: Lives | None = None
    """The run that took it, where the wait did not say whose it is: now it does."""


class DeliveryStore:
    """The deliveries of one database, as one process (the owner) sees them.

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
        self._namespaces = list(namespaces)
        self._turn = {"lock": CLAIM_LOCK, "locks": claim_locks(namespaces)}
        self.lease = lease

    async def claim(self, count: int) -> list[Delivery]:
        """Lease up to `count` due deliveries, in the order of signalling within each workflow.

        Empty when nothing is due, or when another process is claiming at this moment.
        """
        async with self._database.transaction() as connection:
            turn = await connection.execute(CLAIM_TURN, self._turn)
            row = await turn.fetchone()
            if row is None or not row[0]:
                return []
            await connection.execute(PLAN_ANEW)
            leased_at = monotonic()
            cursor = await connection.execute(
                CLAIM_DELIVERIES,
                {
                    "count": count,
                    "per_tenant": count,
                    "owner": self._owner,
                    "lease": self.lease,
                    "namespaces": self._namespaces,
                },
            )
            return [
                replace(Delivery(*found), leased_at=leased_at) for found in await cursor.fetchall()
            ]

    async def settle(self, settlements: Sequence[Settlement]) -> list[Settlement]:
        """Write back a batch; returns those that are dead now.

        In the same transaction the waits are retired whose run is gone, for nobody else would, and
        what an exclusive wait cannot be sent is offered to the next in line. Raises
        DatabaseUnavailable; settling the same again is harmless.
        """
        parameters = {"owner": self._owner, **_columns(settlements)}
        if bonds := [(each.delivery, each.to) for each in settlements if each.to is not None]:
            await self._database.at_once(BIND_WAITS, _bond_columns(bonds))
        refused = [each for each in settlements if each.status is DeliveryStatus.DEAD]
        if not refused:
            await self._database.at_once(SETTLE_DELIVERIES, parameters)
            return []
        waits = {(each.delivery.tenant, each.delivery.wait_id) for each in refused}
        async with waits_locked(self._database, waits) as connection:
            await connection.execute(PLAN_ONCE)
            cursor = await connection.execute(SETTLE_DELIVERIES, parameters)
            rows = await cursor.fetchall()
            await _give_up(connection, [row for row in rows if row[3] == "dead"])
        dead = {(row[0], row[1], row[2]) for row in rows if row[3] == "dead"}
        return [
            settlement
            for settlement in settlements
            if (
                settlement.delivery.tenant,
                settlement.delivery.event_id,
                settlement.delivery.wait_id,
            )
            in dead
        ]


async def _give_up(connection: Connection, dead: Sequence[tuple[Any, ...]]) -> None:
    """Close the waits whose run is gone, and offer what exclusive ones were not sent to others."""
    gone = {
        (row[0], row[2]): Closing(
            tenant=row[0],
            wait_id=row[2],
            reason=Reason(row[4]),
            detail=row[5],
            first_run_id=row[6],
        )
        for row in dead
        if row[4] in _RUN_GONE
    }
    if gone:
        await close_locked(connection, list(gone.values()))
    if kept := {(row[0], row[2]) for row in dead} - gone.keys():
        await connection.execute(PLAN_ANEW)
        await connection.execute(REOFFER_EVENTS, identity_columns(kept))


def _bond_columns(bonds: Sequence[tuple[Delivery, Lives]]) -> dict[str, object]:
    return {
        "tenants": [delivery.tenant for delivery, _ in bonds],
        "wait_ids": [delivery.wait_id for delivery, _ in bonds],
        "run_ids": [lives.run_id for _, lives in bonds],
        "first_run_ids": [lives.first_run_id for _, lives in bonds],
    }


def _columns(settlements: Sequence[Settlement]) -> dict[str, object]:
    return {
        "tenants": [each.delivery.tenant for each in settlements],
        "event_ids": [each.delivery.event_id for each in settlements],
        "wait_ids": [each.delivery.wait_id for each in settlements],
        "statuses": [each.status.value for each in settlements],
        "reasons": [each.reason.value if each.reason else None for each in settlements],
        "details": [each.detail for each in settlements],
        "tries": [int(each.tried) for each in settlements],
        "delays": [each.delay for each in settlements],
        "graces": [each.grace for each in settlements],
    }
