"""Quotas: how much one tenant may keep. What stands beyond a quota that was lowered stays."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from time import monotonic
from typing import Final

from correlation.key import lock_hash
from correlation.triggers import Trigger
from routing.database import Connection, Database
from routing.faults import QuotaReached
from routing.statements import LOCK_KEYS

# Index: workflow_run_waits_open; no more rows than the quota are read.
OPEN_WAITS: Final = """
SELECT count(*) FROM (
    SELECT FROM workflow_run_waits WHERE tenant_id = %(tenant)s AND status = 'waiting'
    LIMIT %(most)s
) AS open
"""
# Index: the primary key.
KNOWN: Final = """
SELECT FROM workflow_run_waits WHERE tenant_id = %(tenant)s AND wait_id = %(wait_id)s
"""
# Index: workflow_event_triggers_enabled.
TRIGGERS_OF_NAME: Final = """
SELECT count(*) FROM workflow_event_triggers
WHERE tenant_id = %(tenant)s AND event_name = %(event_name)s AND enabled
"""
# There are few tokens: a scan finds those of a tenant.
TOKENS_OF_TENANT: Final = """
SELECT count(*) FROM workflow_api_tokens
WHERE %(tenant)s = ANY (tenants) AND revoked_at IS NULL
  AND (expires_at IS NULL OR expires_at > statement_timestamp())
"""
RECOUNT_SECONDS: Final = 10.0
RECOUNT_FULL_SECONDS: Final = 1.0
"""While a tenant's quota is reached: waits that end make room soon."""
_LOCK: Final = "\x1ftriggers"


@dataclass(slots=True)
class _Counted:
    at: float
    open_waits: int


class OpenWaitQuota:
    """Admits registrations of waits; counts a tenant's open ones now and then, and never per wait.

    What other processes register meanwhile is seen with the next count, so that the quota may be
    passed by what they register in ten seconds.
    """

    def __init__(
        self, database: Database, most: int, clock: Callable[[], float] = monotonic
    ) -> None:
        """With a quota of 0 everything is admitted."""
        self._database = database
        self._most = most
        self._clock = clock
        self._counted: dict[str, _Counted] = {}

    async def admit(self, tenant: str, wait_id: str) -> None:
        """Raise QuotaReached when the tenant has as many open waits as it may, or more.

        What is registered already may be repeated.
        """
        if not self._most:
            return
        counted = self._counted.get(tenant)
        if counted is None or self._clock() - counted.at >= self._age(counted):
            counted = self._counted[tenant] = await self._count(tenant)
        if counted.open_waits >= self._most:
            if await self._known(tenant, wait_id):
                return
            raise QuotaReached(
                "open_waits", f"tenant {tenant} has {self._most} open waits, and may have no more"
            )
        counted.open_waits += 1

    def _age(self, counted: _Counted) -> float:
        return RECOUNT_FULL_SECONDS if counted.open_waits >= self._most else RECOUNT_SECONDS

    async def _known(self, tenant: str, wait_id: str) -> bool:
        async with self._database.transaction() as connection:
            cursor = await connection.execute(KNOWN, {"tenant": tenant, "wait_id": wait_id})
            return await cursor.fetchone() is not None

    async def _count(self, tenant: str) -> _Counted:
        at = self._clock()
        async with self._database.transaction() as connection:
            parameters = {"tenant": tenant, "most": self._most}
            cursor = await connection.execute(OPEN_WAITS, parameters)
            [(count,)] = await cursor.fetchall()
        # Tenants that register nothing any more are forgotten.
        self._counted = {
            name: one for name, one in self._counted.items() if at - one.at < 2 * RECOUNT_SECONDS
        }
        return _Counted(at, count)


async def lock_trigger_names(connection: Connection, triggers: Collection[Trigger]) -> None:
    """Let nobody else add triggers to these events' names until the transaction ends."""
    names = {(trigger.tenant, trigger.event_name) for trigger in triggers}
    hashes = sorted(lock_hash(tenant, name, _LOCK) for tenant, name in names)
    await connection.execute(LOCK_KEYS, {"hashes": hashes})


async def check_triggers(connection: Connection, changed: Collection[Trigger], most: int) -> None:
    """Raise QuotaReached when an event's name that these were added to has too many triggers."""
    names = sorted({(each.tenant, each.event_name) for each in changed if each.enabled})
    for tenant, name in names if most else ():
        parameters = {"tenant": tenant, "event_name": name}
        cursor = await connection.execute(TRIGGERS_OF_NAME, parameters)
        [(count,)] = await cursor.fetchall()
        if count > most:
            raise QuotaReached(
                "triggers_per_event",
                f"event {name} of tenant {tenant} would have {count} enabled triggers; at most "
                f"{most} are allowed",
            )


async def check_tokens(connection: Connection, tenants: Collection[str], most: int) -> None:
    """Raise QuotaReached when one of the tenants has as many tokens in force as it may."""
    for tenant in sorted(set(tenants)) if most else ():
        cursor = await connection.execute(TOKENS_OF_TENANT, {"tenant": tenant})
        [(count,)] = await cursor.fetchall()
        if count >= most:
            raise QuotaReached(
                "tokens", f"tenant {tenant} has {count} tokens in force; at most {most} are allowed"
            )
