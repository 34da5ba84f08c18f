"""Which tenants a visitor can choose among."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from routing.audit_tenants import known_tenants
from worker.console.visits import Visit, bound_tenants

MOST_OFFERED: Final = 200


async def tenant_choices(visit: Visit) -> Sequence[str]:
    """The token's tenants or, of a token for every tenant, those that have events or waits."""
    if not visit.principal.sees_every_tenant:
        return bound_tenants(visit.principal)
    async with visit.parts.reading(None) as connection:
        return (await known_tenants(connection))[:MOST_OFFERED]
