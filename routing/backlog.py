"""How much stands in the tables, asked cheaply: exact while it is little, estimated beyond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from routing.database import Database
from routing.statements import PLAN_ANEW

COUNTED_EXACTLY: Final = 10_000

# Each count stops at its limit and walks a partial index in its order: workflow_run_waits_open,
# workflow_runtime_events_available, workflow_event_deliveries_due and workflow_event_launches_due
# (whose order makes the age that of what has been due for longest). Beyond the limit stands what
# the last ANALYZE estimated for the index, whose condition is the question.
BACKLOG: Final = """
WITH pending AS MATERIALIZED (
    SELECT created_at FROM workflow_event_deliveries WHERE status = 'pending'
    ORDER BY tenant_id, due_at, position LIMIT %(limit)s
), launches AS MATERIALIZED (
    SELECT created_at FROM workflow_event_launches WHERE status = 'pending'
    ORDER BY tenant_id, due_at LIMIT %(limit)s
)
SELECT
    (SELECT count(*) FROM (
        SELECT FROM workflow_run_waits WHERE status = 'waiting'
        ORDER BY tenant_id, event_name, correlation_key, position LIMIT %(limit)s) AS w),
    (SELECT reltuples::bigint FROM pg_class WHERE oid = 'workflow_run_waits_open'::regclass),
    (SELECT count(*) FROM (
        SELECT FROM workflow_runtime_events
        WHERE available_until IS NOT NULL AND correlation_key IS NOT NULL
        ORDER BY tenant_id, event_name, correlation_key, received_at LIMIT %(limit)s) AS e),
    (SELECT reltuples::bigint FROM pg_class
     WHERE oid = 'workflow_runtime_events_available'::regclass),
    (SELECT count(*) FROM pending),
    (SELECT reltuples::bigint FROM pg_class WHERE oid = 'workflow_event_deliveries_due'::regclass),
    (SELECT greatest(statement_timestamp() - min(created_at), interval '0')
     FROM pending HAVING count(*) > 0),
    (SELECT count(*) FROM launches),
    (SELECT reltuples::bigint FROM pg_class WHERE oid = 'workflow_event_launches_due'::regclass),
    (SELECT greatest(statement_timestamp() - min(created_at), interval '0')
     FROM launches HAVING count(*) > 0)
"""


# The oldest pending delivery that nobody has attempted, though none of its workflow stands before
# it. Indexes: workflow_event_deliveries_due for the first that are due, then
# workflow_event_deliveries_in_order, once for each of those.
OLDEST_UNATTEMPTED: Final = """
WITH pending AS MATERIALIZED (
    SELECT tenant_id, event_id, wait_id, workflow_id, namespace, position, attempts, created_at
    FROM workflow_event_deliveries WHERE status = 'pending'
    ORDER BY tenant_id, due_at, position LIMIT %(limit)s
)
SELECT tenant_id, event_id, wait_id, namespace,
       greatest(statement_timestamp() - created_at, interval '0')
FROM pending AS d
WHERE attempts = 0 AND (%(namespaces)s::text[] IS NULL OR namespace = ANY (%(namespaces)s))
  AND NOT EXISTS (
    SELECT FROM workflow_event_deliveries AS earlier
    WHERE earlier.tenant_id = d.tenant_id AND earlier.workflow_id = d.workflow_id
      AND earlier.status = 'pending' AND earlier.position < d.position
    OFFSET 0)
ORDER BY created_at, position LIMIT 1
"""


# A bitmap or a sort reads all of an index before the limit counts.
WALK_IN_ORDER: Final = """
SELECT set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true)
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in the tables; a number over the limit is an estimate, never below the limit."""

    open_waits: int
    available_events: int
    """Events that a look-back may still take."""
    pending_deliveries: int
    oldest_pending: timedelta | None
    """Age of the oldest pending delivery among the first that are due; None without any."""
    pending_launches: int
    oldest_launch: timedelta | None
    """The same of launches."""


@dataclass(frozen=True, slots=True)
class Unattempted:
    """A pending delivery that nobody has attempted."""

    tenant: str
    event_id: str
    wait_id: str
    namespace: str
    age: timedelta


async def oldest_unattempted(
    database: Database, namespaces: Sequence[str] | None = None, *, limit: int = COUNTED_EXACTLY
) -> Unattempted | None:
    """The oldest, of these namespaces or all, of the first `limit` that are due; None without any.

    Raises DatabaseUnavailable.
    """
    async with database.transaction() as connection:
        await connection.execute(PLAN_ANEW)
        await connection.execute(WALK_IN_ORDER)
        cursor = await connection.execute(
            OLDEST_UNATTEMPTED, {"limit": limit, "namespaces": namespaces}
        )
        row = await cursor.fetchone()
    return None if row is None else Unattempted(*row)


async def measure_backlog(database: Database, *, limit: int = COUNTED_EXACTLY) -> Backlog:
    """Measure all of it in one statement that reads at most four times `limit` rows.

    Raises DatabaseUnavailable.
    """
    async with database.transaction() as connection:
        await connection.execute(PLAN_ANEW)
        await connection.execute(WALK_IN_ORDER)
        cursor = await connection.execute(BACKLOG, {"limit": limit})
        [row] = await cursor.fetchall()
    waits, waits_guess, events, events_guess, pending, pending_guess, oldest, *of_launches = row
    launches, launches_guess, oldest_launch = of_launches
    return Backlog(
        open_waits=_count(waits, waits_guess, limit),
        available_events=_count(events, events_guess, limit),
        pending_deliveries=_count(pending, pending_guess, limit),
        oldest_pending=oldest,
        pending_launches=_count(launches, launches_guess, limit),
        oldest_launch=oldest_launch,
    )


def _count(counted: int, guess: int, limit: int) -> int:
    return counted if counted < limit else max(limit, guess)
