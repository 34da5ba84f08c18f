"""Which tenants the tables know: for readers who may see every one."""

from __future__ import annotations

from routing.audit_page_statements import ALL_TENANTS, ALL_WAIT_TENANTS
from routing.database import Connection


async def known_tenants(connection: Connection) -> list[str]:
    """The tenants that have an event, a rejected entry or a wait, in order.

    The empty tenant, under which entries without a usable one are kept, is not among them.
    """
    found: set[str] = set()
    for statement in (ALL_TENANTS, ALL_WAIT_TENANTS):
        cursor = await connection.execute(statement.encode(), {"tenant": None})
        found.update(str(row[0]) for row in await cursor.fetchall())
    return sorted(found - {""})
