"""Fetching the facts by which `routing.ownership` decides whose a workflow is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from routing.database import Database
from routing.faults import ChainUnknown
from routing.ownership import Basis, Facts, OwnedRun, Ownership, Target, owned
from routing.ownership_statements import KNOWN_TENANTS, PROOF_OF_WAIT, PROVED_RUNS


@dataclass(frozen=True, slots=True)
class Described:
    """A run as Temporal describes it, and the tenants that its attribute names."""

    run: OwnedRun
    tenants: Sequence[str]


class Attributes(Protocol):
    """Reads the memo or the search attribute that names a run's tenant."""

    async def describe(self, target: Target) -> Described | None:
        """None for a workflow that Temporal does not know; raises ChainUnknown without answer."""
        ...


class Owners:
    """Says whose workflows are; raises DatabaseUnavailable, and ChainUnknown without an answer."""

    def __init__(
        self, database: Database, ownership: Ownership, attributes: Attributes | None = None
    ) -> None:
        self._database = database
        self._ownership = ownership
        self._attributes = attributes

    async def owned(self, tenant: str, target: Target) -> OwnedRun | None:
        """The run, or runs, of the target that are the tenant's; None: it is not the tenant's."""
        return owned(self._ownership, tenant, target, await self._facts(tenant, target))

    async def owns_wait(self, tenant: str, wait_id: str) -> bool:
        """Whether the wait's workflow is the tenant's; True also where there is no such wait."""
        async with self._database.transaction(tenant=tenant) as connection:
            identity = {"tenant": tenant, "wait_id": wait_id}
            cursor = await connection.execute(PROOF_OF_WAIT, identity)
            row = await cursor.fetchone()
        if row is None or row[3] is not None:
            return True
        return await self.owned(tenant, Target(row[0], row[1], row[2])) is not None

    async def _facts(self, tenant: str, target: Target) -> Facts:
        match self._ownership.basis:
            case Basis.NAMESPACE:
                return Facts()
            case Basis.MEMO | Basis.SEARCH_ATTRIBUTE:
                return await self._described(target)
            case Basis.REGISTERED | Basis.ID:
                return await self._stored(tenant, target)

    async def _described(self, target: Target) -> Facts:
        if self._attributes is None:
            raise ChainUnknown("this process has no connection to Temporal")
        found = await self._attributes.describe(target)
        if found is None:
            return Facts()
        return Facts(attribute=found.tenants, described=found.run)

    async def _stored(self, tenant: str, target: Target) -> Facts:
        readings = list(self._ownership.readings_of(target))
        async with self._database.transaction() as connection:
            known: frozenset[str] = frozenset()
            if readings:
                cursor = await connection.execute(KNOWN_TENANTS, {"tenants": readings})
                known = frozenset(row[0] for row in await cursor.fetchall())
            wanted = {
                "tenant": tenant,
                "namespace": target.namespace,
                "workflow_id": target.workflow_id,
                "run_id": target.run_id,
            }
            cursor = await connection.execute(PROVED_RUNS, wanted)
            row = await cursor.fetchone()
        if row is None:
            return Facts(known_tenants=known)
        run = OwnedRun(row[0], row[1])
        if row[2]:
            return Facts(launched=run, known_tenants=known)
        return Facts(registered=run, known_tenants=known)
