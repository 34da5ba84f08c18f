"""Launches page by page, counted, and given another chance by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from psycopg.rows import kwargs_row

from routing.audit_records import LaunchRecord
from routing.database import Connection
from routing.operator_actions import OperatorAction, record_action
from routing.paging import Cursor, Page, page_of, parts_of, tenants_among
from routing.statements import PLAN_ANEW
from routing.tenant_hop import tenants_in

MOST_RETRIED: Final = 500
ALL_LAUNCH_TENANTS: Final = tenants_in("workflow_event_launches")

_FILTERS: Final = """
          AND (%(status)s::text IS NULL OR status = %(status)s)
          AND (%(reason)s::text IS NULL OR reason = %(reason)s)
          AND (%(event_id)s::text IS NULL OR event_id = %(event_id)s)
          AND (%(trigger_id)s::text IS NULL OR trigger_id = %(trigger_id)s)
          AND (%(workflow_id)s::text IS NULL OR workflow_id = %(workflow_id)s)
          AND created_at >= coalesce(%(since)s::timestamptz, '-infinity')"""


def _page(condition: str) -> str:
    return f"""
SELECT l.tenant_id AS tenant, l.event_id, l.trigger_id, l.workflow_id, l.workflow_type,
       l.task_queue, l.status, l.attempts, l.reason, l.detail, l.run_id, l.created_at, l.due_at,
       l.launched_at
FROM unnest(%(tenants)s::text[]) AS t (tenant_id) CROSS JOIN LATERAL (
    SELECT * FROM workflow_event_launches
    WHERE tenant_id = t.tenant_id AND {condition} {_FILTERS}
      AND created_at <= %(before_at)s::timestamptz
      AND (created_at, tenant_id, event_id, trigger_id) < (
          %(before_at)s::timestamptz, %(before_tenant)s::text, %(before_event)s::text,
          %(before_trigger)s::text)
    ORDER BY created_at DESC, event_id DESC, trigger_id DESC LIMIT %(limit)s
) AS l
ORDER BY l.created_at DESC, l.tenant_id DESC, l.event_id DESC, l.trigger_id DESC LIMIT %(limit)s
"""  # noqa: S608 - put together from constants of this module only


# Indexes: workflow_event_launches_listed and _dead, read backwards; that of what is pending, which
# is sorted; the primary key.
PAGE_OF_LAUNCHES: Final = _page("created_at > '-infinity'")
PAGE_OF_DEAD_LAUNCHES: Final = _page("status = 'dead'")
PAGE_OF_PENDING_LAUNCHES: Final = _page("status = 'pending'")
LAUNCHES_OF_EVENT: Final = _page("event_id = %(event_id)s")

# Index: workflow_event_launches_listed, for the time asked.
COUNT_LAUNCHES: Final = """
SELECT l.tenant_id AS tenant, l.trigger_id, l.status, l.reason, count(*) AS count
FROM unnest(%(tenants)s::text[]) AS t (tenant_id) CROSS JOIN LATERAL (
    SELECT tenant_id, trigger_id, status, reason FROM workflow_event_launches
    WHERE tenant_id = t.tenant_id AND created_at > '-infinity'
      AND created_at >= coalesce(%(since)s::timestamptz, '-infinity')
) AS l
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4 NULLS FIRST
"""

# What a trigger names now is started, should it have been corrected; the input stays as recorded.
# Index: workflow_event_launches_dead, the oldest first; the primary keys.
RETRY_LAUNCHES: Final = f"""
WITH chosen AS (
    SELECT l.* FROM unnest(%(tenants)s::text[]) AS t (tenant_id) CROSS JOIN LATERAL (
        SELECT tenant_id, event_id, trigger_id, attempts, reason FROM workflow_event_launches
        WHERE tenant_id = t.tenant_id AND status = 'dead' {_FILTERS}
        ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ) AS l LIMIT %(limit)s
)
UPDATE workflow_event_launches AS l
SET status = 'pending', attempts = 0, due_at = statement_timestamp(), lease_owner = NULL,
    reason = NULL, detail = NULL, trigger_version = coalesce(c.version, l.trigger_version),
    workflow_type = coalesce(c.workflow_type, l.workflow_type),
    task_queue = coalesce(c.task_queue, l.task_queue)
FROM (
    SELECT c.*, g.version, g.workflow_type, g.task_queue
    FROM chosen AS c LEFT JOIN workflow_event_triggers AS g USING (tenant_id, trigger_id)
) AS c
WHERE l.tenant_id = c.tenant_id AND l.event_id = c.event_id AND l.trigger_id = c.trigger_id
RETURNING l.tenant_id, l.event_id, l.trigger_id, l.workflow_id, c.attempts, c.reason
"""  # noqa: S608 - put together from constants of this module only


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchQuery:
    """Which launches; what is None does not narrow the list."""

    status: str | None = None
    """`pending`, `launched`, `dead` or `skipped`."""
    reason: str | None = None
    event_id: str | None = None
    trigger_id: str | None = None
    workflow_id: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchLine(LaunchRecord):
    """One event and trigger that was considered, as lists show it."""

    tenant: str
    event_id: str
    task_queue: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchCount:
    """How many launches of one trigger stand in one way."""

    tenant: str
    trigger_id: str
    status: str
    reason: str | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """A dead launch that is on its way again."""

    tenant: str
    event_id: str
    trigger_id: str
    workflow_id: str
    action_id: str


async def page_of_launches(
    connection: Connection,
    tenants: Sequence[str] | None,
    query: LaunchQuery,
    *,
    after: Cursor | None = None,
    limit: int = 50,
) -> Page[LaunchLine]:
    """Launches, the newest first; `tenants` None: every tenant's. Raises InvalidCursor."""
    names = ("before_at", "before_tenant", "before_event", "before_trigger")
    place = parts_of(after, (datetime, str, str, str), ("infinity", "", "", ""))
    parameters = asdict(query) | dict(zip(names, place, strict=True)) | {"limit": limit + 1}
    parameters["tenants"] = await tenants_among(connection, tenants, ALL_LAUNCH_TENANTS)
    await connection.execute(PLAN_ANEW)
    cursor = connection.cursor(row_factory=kwargs_row(LaunchLine))
    await cursor.execute(_statement(query).encode(), parameters)
    return page_of(await cursor.fetchall(), limit, _cursor)


async def count_launches(
    connection: Connection, tenants: Sequence[str] | None, *, since: datetime | None = None
) -> Sequence[LaunchCount]:
    """How many launches stand how, by tenant, trigger and reason."""
    wanted = await tenants_among(connection, tenants, ALL_LAUNCH_TENANTS)
    await connection.execute(PLAN_ANEW)
    cursor = connection.cursor(row_factory=kwargs_row(LaunchCount))
    await cursor.execute(COUNT_LAUNCHES, {"tenants": wanted, "since": since})
    return await cursor.fetchall()


async def retry_launches(
    connection: Connection,
    tenants: Sequence[str] | None,
    query: LaunchQuery,
    *,
    actor: str,
    why: str,
    limit: int = MOST_RETRIED,
) -> Sequence[Retried]:
    """Let dead launches be claimed again, the oldest first; wake the launcher then.

    What was done stands in the operators' audit, on each event, in the caller's transaction. A
    workflow that was started after all is not started twice: its id is the launch's.
    """
    wanted = await tenants_among(connection, tenants, ALL_LAUNCH_TENANTS)
    await connection.execute(PLAN_ANEW)
    cursor = await connection.execute(
        RETRY_LAUNCHES.encode(),
        {**asdict(query), "status": "dead", "tenants": wanted, "limit": limit},
    )
    retried = []
    for tenant, event_id, trigger_id, workflow_id, attempts, reason in await cursor.fetchall():
        action = OperatorAction(
            tenant=tenant,
            actor=actor,
            action="retry_launch",
            target_kind="event",
            target_id=event_id,
            reason=why,
            detail={
                "trigger_id": trigger_id,
                "workflow_id": workflow_id,
                "attempts": attempts,
                "was": reason,
            },
        )
        action_id = await record_action(connection, action)
        retried.append(
            Retried(
                tenant=tenant,
                event_id=event_id,
                trigger_id=trigger_id,
                workflow_id=workflow_id,
                action_id=action_id,
            )
        )
    return retried


def _statement(query: LaunchQuery) -> str:
    if query.event_id is not None:
        return LAUNCHES_OF_EVENT
    of_status = {"pending": PAGE_OF_PENDING_LAUNCHES, "dead": PAGE_OF_DEAD_LAUNCHES}
    return of_status.get(query.status or "", PAGE_OF_LAUNCHES)


def _cursor(line: LaunchLine) -> Cursor:
    return line.created_at.isoformat(), line.tenant, line.event_id, line.trigger_id
