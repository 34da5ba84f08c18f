"""What waits for Temporal namespaces, by namespace: a namespace that nobody serves shows here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from routing.database import Database
from routing.statements import PLAN_ANEW

UNSERVED_AFTER: Final = timedelta(minutes=1)
MOST: Final = 1_000
"""Of one tenant and namespace so many are counted."""


def _left_over(table: str) -> str:
    """What is due for a while and nobody has begun: hops from one namespace of a tenant to the next
    along `<table>_due_by_namespace`, and walks a bounded way from there.
    """
    return f"""
    WITH RECURSIVE parts AS (
        (SELECT tenant_id, namespace FROM {table} WHERE status = 'pending' AND namespace <> ''
         ORDER BY tenant_id, namespace LIMIT 1)
        UNION ALL
        SELECT n.* FROM parts AS p CROSS JOIN LATERAL (
            SELECT tenant_id, namespace FROM {table}
            WHERE status = 'pending' AND namespace <> ''
              AND (tenant_id, namespace) > (p.tenant_id, p.namespace)
            ORDER BY tenant_id, namespace LIMIT 1) AS n
    )
    SELECT p.namespace, w.created_at FROM parts AS p CROSS JOIN LATERAL (
        SELECT created_at FROM {table} AS d
        WHERE d.tenant_id = p.tenant_id AND d.namespace = p.namespace AND d.namespace <> ''
          AND status = 'pending' AND attempts = 0 AND lease_owner IS NULL
          AND due_at < statement_timestamp() - %(after)s::interval
        ORDER BY due_at LIMIT %(most)s) AS w
    WHERE p.namespace <> ALL (%(served)s::text[])
    """  # noqa: S608 - a constant of this module


LEFT_BY_NAMESPACE: Final = f"""
WITH deliveries AS ({_left_over("workflow_event_deliveries")}),
     launches AS ({_left_over("workflow_event_launches")})
SELECT namespace, sum(delivery), count(*) - sum(delivery), statement_timestamp() - min(created_at)
FROM (
    SELECT namespace, 1 AS delivery, created_at FROM deliveries
    UNION ALL SELECT namespace, 0, created_at FROM launches
) AS left_over
GROUP BY namespace ORDER BY namespace
"""  # noqa: S608 - put together from constants of this module only


@dataclass(frozen=True, slots=True)
class Unserved:
    """Deliveries and launches of a namespace that no process works on."""

    namespace: str
    deliveries: int
    launches: int
    oldest: timedelta


async def unserved_namespaces(
    database: Database, served: Collection[str], after: timedelta = UNSERVED_AFTER
) -> Sequence[Unserved]:
    """The namespaces, beside those served here, whose work nobody has begun for so long.

    Raises DatabaseUnavailable.
    """
    async with database.transaction() as connection:
        await connection.execute(PLAN_ANEW)
        terms = {"served": list(served), "after": after, "most": MOST}
        cursor = await connection.execute(LEFT_BY_NAMESPACE.encode(), terms)
        return [Unserved(*row) for row in await cursor.fetchall()]
