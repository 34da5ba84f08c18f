"""Retiring what has run out: expired waits, and events whose time for look-backs is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from correlation.closing import Closing
from correlation.reason import Reason
from routing.database import Database
from routing.maintenance.cursors import Place, Walk, keep_place, places_of
from routing.tenant_hop import tenants_in
from routing.waits import Waits

# Tenants are found by skipping through the index workflow_run_waits_expiring.
EXPIRED_WAITS: Final = """
WITH RECURSIVE tenants (tenant_id) AS (
    (SELECT tenant_id FROM workflow_run_waits
     WHERE status = 'waiting' AND expires_at IS NOT NULL ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT w.tenant_id FROM workflow_run_waits AS w
            WHERE w.status = 'waiting' AND w.expires_at IS NOT NULL AND w.tenant_id > t.tenant_id
            ORDER BY w.tenant_id LIMIT 1)
    FROM tenants AS t WHERE t.tenant_id IS NOT NULL
)
SELECT w.tenant_id, w.wait_id FROM tenants AS t CROSS JOIN LATERAL (
    SELECT tenant_id, wait_id FROM workflow_run_waits
    WHERE tenant_id = t.tenant_id AND status = 'waiting' AND expires_at <= statement_timestamp()
    ORDER BY expires_at LIMIT %(count)s
) AS w
WHERE t.tenant_id IS NOT NULL
LIMIT %(count)s
"""

EVENT_TENANTS: Final = tenants_in("workflow_runtime_events")

# Walks a tenant's events in the order of the index workflow_runtime_events_listed. The fifth and
# sixth column are the last event before the first one whose time is not over yet (it was recorded
# with a longer buffer time than the one in force now), or before the first one that is so young
# that an earlier one may still be under way to its commit.
EXPIRED_EVENTS: Final = """
WITH walked AS (
    SELECT tenant_id, event_id, received_at, available_until,
           EXISTS (SELECT FROM workflow_event_launches AS l
                   WHERE l.tenant_id = e.tenant_id AND l.event_id = e.event_id
                     AND l.status <> 'skipped' OFFSET 0) AS launched
    FROM workflow_runtime_events AS e
    WHERE tenant_id = %(tenant)s
      AND (received_at, event_id) > (%(after)s::timestamptz, %(after_id)s)
      AND received_at <= statement_timestamp() - %(buffer_ttl)s::interval
    ORDER BY received_at, event_id LIMIT %(count)s
), unfinished AS (
    SELECT received_at, event_id FROM walked
    WHERE available_until > statement_timestamp()
       OR received_at > statement_timestamp() - interval '1 minute'
    ORDER BY received_at, event_id LIMIT 1
), finished AS (
    SELECT w.received_at, w.event_id FROM walked AS w
    WHERE NOT EXISTS (
        SELECT FROM unfinished AS u
        WHERE (u.received_at, u.event_id) <= (w.received_at, w.event_id))
    ORDER BY w.received_at DESC, w.event_id DESC LIMIT 1
), expired AS (
    UPDATE workflow_runtime_events AS e
    SET available_until = NULL,
        reason = CASE WHEN e.outcome = 'no_wait' AND NOT w.launched THEN 'buffer_expired'
                      ELSE e.reason END
    FROM walked AS w
    WHERE e.tenant_id = w.tenant_id AND e.event_id = w.event_id
      AND e.available_until <= statement_timestamp()
    RETURNING e.event_id, e.event_name, e.correlation_key, e.received_at,
              e.outcome = 'no_wait' AND NOT w.launched AS untaken
)
SELECT received_at::text, event_id, (SELECT count(*) FROM walked), (SELECT count(*) FROM expired),
       (SELECT received_at::text FROM finished), (SELECT event_id FROM finished),
       ARRAY(SELECT event_id FROM expired WHERE untaken ORDER BY received_at, event_id),
       ARRAY(SELECT event_name FROM expired WHERE untaken
             ORDER BY received_at, event_id),
       ARRAY(SELECT correlation_key FROM expired WHERE untaken
             ORDER BY received_at, event_id),
       ARRAY(SELECT received_at FROM expired WHERE untaken
             ORDER BY received_at, event_id)
FROM walked ORDER BY walked.received_at DESC, walked.event_id DESC LIMIT 1
"""

WALK: Final = "expire events"
PASSES_BEFORE_BACK: Final = 120
"""After so many passes the walk goes back to the first event that was not finished with."""
_BEGINNING: Final[Place] = ("-infinity", "")


@dataclass(frozen=True, slots=True)
class ExpiredEvent:
    """An event that started nothing, and that no wait took before its buffer time ended."""

    tenant: str
    event_id: str
    name: str
    correlation_key: str
    received_at: datetime


Notice: TypeAlias = Callable[[Sequence[ExpiredEvent]], Awaitable[None]]
"""Told after the commit, at most once: what must not be missed stands in the audit."""


class Sweeper:
    """Works in small batches, each a transaction of its own, off the hot path.

    Which events it is done with stands in the database, so that no start of a process walks through
    all of the audit. Behind that place it may have gone on, past events that are not finished yet;
    it comes back to them every now and then, and so does whoever leads next.
    """

    def __init__(
        self,
        database: Database,
        buffer_ttl: timedelta,
        batch: int = 500,
        notice: Notice | None = None,
    ) -> None:
        self._database = database
        self._notice = notice
        self._waits = Waits(database)
        self._buffer_ttl = buffer_ttl
        self._batch = batch
        self._ahead: dict[str, Place] = {}
        self._passes = 0

    def begin(self) -> None:
        """Go on from where the database says: somebody else may have led meanwhile."""
        self._ahead.clear()
        self._passes = 0

    async def expire_waits(self) -> int:
        """Close every wait whose time is over; returns how many."""
        total = 0
        while True:
            async with self._database.transaction() as connection:
                cursor = await connection.execute(EXPIRED_WAITS, {"count": self._batch})
                rows = await cursor.fetchall()
            closings = [
                Closing(tenant, wait_id, reason=Reason.WAIT_EXPIRED) for tenant, wait_id in rows
            ]
            if closings:
                await self._waits.close(closings)
            total += len(closings)
            if len(closings) < self._batch:
                return total

    async def expire_events(self) -> int:
        """Take events off look-back whose buffer time is over; returns how many."""
        self._passes += 1
        if self._passes % PASSES_BEFORE_BACK == 0:
            self._ahead.clear()
        async with self._database.transaction() as connection:
            cursor = await connection.execute(EVENT_TENANTS.encode())
            tenants = [str(row[0]) for row in await cursor.fetchall()]
            done = await places_of(connection, WALK, tenants)
        return sum(
            [
                await self._expire_events_of(tenant, done.get(tenant, _BEGINNING))
                for tenant in tenants
            ]
        )

    async def _expire_events_of(self, tenant: str, done: Place) -> int:
        total = 0
        while True:
            after, after_id = place = self._ahead.get(tenant, done)
            terms = {
                "tenant": tenant,
                "after": after,
                "after_id": after_id,
                "buffer_ttl": self._buffer_ttl,
                "count": self._batch,
            }
            async with self._database.transaction() as connection:
                cursor = await connection.execute(EXPIRED_EVENTS, terms)
                row = await cursor.fetchone()
                if row is not None and place == done and row[5] is not None:
                    done = (row[4], row[5])
                    await keep_place(connection, Walk(WALK, tenant), done)
            if row is None:
                return total
            self._ahead[tenant] = (row[0], row[1])
            walked, expired, untaken = row[2], row[3], zip(*row[6:], strict=True)
            total += int(expired)
            events = [ExpiredEvent(tenant, *columns) for columns in untaken]
            if events and self._notice is not None:
                await self._notice(events)
            if walked < self._batch:
                return total
