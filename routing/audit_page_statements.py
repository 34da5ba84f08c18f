"""The statements behind the audit's pages, each with the index that it relies on.

All take the tenants to look into as an array, each looked up by itself. Pages are cut by the key
of their last line, so neither a late page costs more than the first nor does a line that comes in
meanwhile shift the others. An absent cursor is the moment `infinity`, later than any line.
"""

# ruff: noqa: S608 - the statements are put together from constants of this module only
from __future__ import annotations

from typing import Final

from routing.audit_statements import TENANTS, WAIT_COLUMNS, WAIT_TENANTS
from routing.reach import STATES_OF_DELIVERY, STATES_OF_LAUNCH

# Index: the primary keys, hopped through.
ALL_TENANTS: Final = f"WITH {TENANTS} SELECT tenant_id FROM tenants ORDER BY tenant_id"
ALL_WAIT_TENANTS: Final = f"WITH {WAIT_TENANTS} SELECT tenant_id FROM tenants ORDER BY tenant_id"

_EVENTS_BY_TIME: Final = "workflow_runtime_events"
# Index: workflow_run_waits_by_workflow, workflow_event_deliveries_by_wait, the primary key.
_EVENTS_OF_WORKFLOW: Final = """(
    SELECT e.* FROM (
        SELECT DISTINCT d.event_id FROM workflow_run_waits AS w
        JOIN workflow_event_deliveries AS d USING (tenant_id, wait_id)
        WHERE w.tenant_id = t.tenant_id AND w.workflow_id = %(workflow_id)s
    ) AS met
    JOIN workflow_runtime_events AS e ON e.tenant_id = t.tenant_id AND e.event_id = met.event_id
)"""


def _events_with(condition: str) -> str:
    """The events that have a delivery or a launch of which this is true."""
    return f"""(
    SELECT e.* FROM (
        SELECT event_id FROM workflow_event_deliveries
        WHERE tenant_id = t.tenant_id AND {condition}
        UNION
        SELECT event_id FROM workflow_event_launches
        WHERE tenant_id = t.tenant_id AND status <> 'skipped' AND {condition}
    ) AS found
    JOIN workflow_runtime_events AS e ON e.tenant_id = t.tenant_id AND e.event_id = found.event_id
)"""


_EVENTS_OF_REASON: Final = _events_with("reason = %(way_reason)s")
_EVENTS_PENDING: Final = _events_with("status = 'pending'")
_EVENTS_DEAD: Final = _events_with("status = 'dead'")


def _has(table: str, condition: str = "true") -> str:
    """Whether the event has such a row; OFFSET 0 keeps it a probe of the primary key."""
    return f"""EXISTS (
               SELECT FROM {table} AS d
               WHERE d.tenant_id = v.tenant_id AND d.event_id = v.event_id AND {condition}
               OFFSET 0)"""


_DELIVERIES: Final = "workflow_event_deliveries"
_LAUNCHES: Final = "workflow_event_launches"
_IN_STATE: Final = f"""
          AND (%(way_reason)s::text IS NULL OR reason = %(way_reason)s
               OR {_has(_DELIVERIES, "d.reason = %(way_reason)s")}
               OR {_has(_LAUNCHES, "d.reason = %(way_reason)s")})
          AND (%(state)s::text IS NULL
               OR {_has(_DELIVERIES, f"%(state)s = ANY ({STATES_OF_DELIVERY})")}
               OR {_has(_LAUNCHES, f"%(state)s = ANY ({STATES_OF_LAUNCH})")}
               OR (%(state)s = 'nobody' AND NOT {_has(_DELIVERIES)}
                   AND NOT {_has(_LAUNCHES, "d.status <> 'skipped'")}))
"""
_WITHIN: Final = """
          AND received_at >= coalesce(%(since)s::timestamptz, '-infinity')
          AND received_at < coalesce(%(until)s::timestamptz, 'infinity')
          AND received_at <= %(before_at)s::timestamptz
          AND (%(name)s::text IS NULL OR event_name = %(name)s)
          AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
          AND (%(reason)s::text IS NULL OR reason = %(reason)s)
          AND (%(q)s::text IS NULL OR position(%(q)s IN coalesce(event_id, '')) > 0
               OR position(%(q)s IN entry_id) > 0)
"""
_BEFORE: Final = """(
    %(before_at)s::timestamptz, %(before_tenant)s::text, %(before_source)s::text,
    %(before_id)s::text, %(before_stream)s::text)"""


def _page_of_events(source: str) -> str:
    return f"""
WITH listed AS (
    SELECT e.* FROM unnest(%(tenants)s::text[]) AS t (tenant_id) CROSS JOIN LATERAL (
        SELECT tenant_id, 'event' AS source, event_id AS id, event_id, event_name, outcome, reason,
               detail, correlation_key, received_at, stream, entry_id,
               CASE WHEN %(with_payload)s THEN payload END AS payload
        FROM {source} AS v
        WHERE tenant_id = t.tenant_id {_WITHIN} {_IN_STATE}
          AND (%(key)s::text IS NULL OR correlation_key = %(key)s
               OR %(key)s = ANY (correlation_keys))
          AND (%(run_id)s::text IS NULL OR EXISTS (
               SELECT FROM workflow_event_deliveries AS d
               WHERE d.tenant_id = v.tenant_id AND d.event_id = v.event_id
                 AND d.run_id = %(run_id)s))
          AND (received_at, tenant_id, 'event', event_id, '') < {_BEFORE}
        ORDER BY received_at DESC, event_id DESC LIMIT %(limit)s) AS e
    UNION ALL
    SELECT r.* FROM unnest(%(tenants)s::text[]) AS t (tenant_id) CROSS JOIN LATERAL (
        SELECT tenant_id, 'rejected', entry_id, event_id, event_name, outcome, reason, detail,
               NULL::text, received_at, stream, entry_id, NULL::text
        FROM workflow_rejected_entries
        WHERE tenant_id = t.tenant_id {_WITHIN}
          AND %(key)s::text IS NULL AND %(workflow_id)s::text IS NULL AND %(run_id)s::text IS NULL
          AND (%(way_reason)s::text IS NULL
               OR (%(way_reason)s = 'schema_invalid' AND reason = %(way_reason)s))
          AND (%(state)s::text IS NULL OR %(state)s = 'nobody')
          AND (received_at, tenant_id, 'rejected', entry_id, stream) < {_BEFORE}
        ORDER BY received_at DESC, entry_id DESC, stream DESC LIMIT %(limit)s) AS r
    ORDER BY received_at DESC, tenant_id DESC, source DESC, id DESC, stream DESC LIMIT %(limit)s
)
SELECT l.source, l.tenant_id AS tenant, l.event_id, l.event_name AS name, l.outcome, l.reason,
       l.detail, l.correlation_key AS key, d.*, s.*, l.received_at, l.stream,
       l.entry_id, l.payload
FROM listed AS l CROSS JOIN LATERAL (
    SELECT count(*) AS matched, count(*) FILTER (WHERE status = 'delivered') AS delivered,
           count(*) FILTER (WHERE status = 'pending') AS pending,
           count(*) FILTER (WHERE disposition = 'accepted') AS accepted,
           count(*) FILTER (WHERE disposition = 'filtered') AS filtered,
           count(*) FILTER (WHERE disposition = 'late') AS late,
           count(*) FILTER (WHERE status = 'withdrawn') AS withdrawn,
           count(*) FILTER (WHERE status = 'dead') AS dead
    FROM workflow_event_deliveries
    WHERE tenant_id = l.tenant_id AND event_id = l.event_id AND l.source = 'event'
) AS d CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status = 'launched') AS launched,
           count(*) FILTER (WHERE status = 'pending') AS launches_pending,
           count(*) FILTER (WHERE status = 'dead') AS launches_dead
    FROM workflow_event_launches
    WHERE tenant_id = l.tenant_id AND event_id = l.event_id AND l.source = 'event'
) AS s
ORDER BY l.received_at DESC, l.tenant_id DESC, l.source DESC, l.id DESC, l.stream DESC
"""


# Indexes: workflow_runtime_events_listed and workflow_rejected_entries_listed, read backwards.
PAGE_OF_EVENTS: Final = _page_of_events(_EVENTS_BY_TIME)
PAGE_OF_EVENTS_OF_WORKFLOW: Final = _page_of_events(_EVENTS_OF_WORKFLOW)
# Indexes: those of reasons, those of what is pending or dead, of deliveries and of launches: few
# among many. The other states are looked for in PAGE_OF_EVENTS, event by event.
PAGE_OF_EVENTS_OF_REASON: Final = _page_of_events(_EVENTS_OF_REASON)
PAGE_OF_PENDING_EVENTS: Final = _page_of_events(_EVENTS_PENDING)
PAGE_OF_DEAD_EVENTS: Final = _page_of_events(_EVENTS_DEAD)

# Indexes: workflow_runtime_events_listed and workflow_rejected_entries_listed, for the time asked.
SUMMARY: Final = """
SELECT date_bin(%(bucket)s::interval, c.received_at, 'epoch') AS since, c.event_name AS name,
       c.outcome, c.reason, count(*) AS count
FROM unnest(%(tenants)s::text[]) AS t (tenant_id) CROSS JOIN LATERAL (
    SELECT event_name, outcome, reason, received_at FROM workflow_runtime_events
    WHERE tenant_id = t.tenant_id AND received_at >= %(since)s AND received_at < %(until)s
    UNION ALL
    SELECT event_name, outcome, reason, received_at FROM workflow_rejected_entries
    WHERE tenant_id = t.tenant_id AND received_at >= %(since)s AND received_at < %(until)s
) AS c
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4
LIMIT %(limit)s
"""

# How many events are in each state: an event counts once under each of its states. What met nothing
# and starts nothing is `nobody`, entries that became no event as well.
# Indexes: workflow_runtime_events_listed and workflow_rejected_entries_listed, for the time asked;
# the primary keys of deliveries and launches, for the events of that time.
STATES: Final = f"""
WITH found AS MATERIALIZED (
    SELECT e.* FROM unnest(%(tenants)s::text[]) AS t (tenant_id) CROSS JOIN LATERAL (
        SELECT tenant_id, event_id, event_name, received_at FROM workflow_runtime_events
        WHERE tenant_id = t.tenant_id AND received_at >= %(since)s AND received_at < %(until)s
    ) AS e
), way AS (
    SELECT f.tenant_id, f.event_id, {STATES_OF_DELIVERY} AS states
    FROM found AS f JOIN workflow_event_deliveries AS d USING (tenant_id, event_id)
    UNION
    SELECT f.tenant_id, f.event_id, {STATES_OF_LAUNCH}
    FROM found AS f JOIN workflow_event_launches AS d USING (tenant_id, event_id)
    WHERE d.status <> 'skipped'
), told AS (
    SELECT tenant_id, event_id, state FROM way CROSS JOIN unnest(states) AS state
    GROUP BY tenant_id, event_id, state
), counted AS (
    SELECT f.tenant_id, f.received_at, f.event_name, coalesce(state, 'nobody') AS state
    FROM found AS f LEFT JOIN told USING (tenant_id, event_id)
    UNION ALL
    SELECT r.* FROM unnest(%(tenants)s::text[]) AS t (tenant_id) CROSS JOIN LATERAL (
        SELECT tenant_id, received_at, event_name, 'nobody' FROM workflow_rejected_entries
        WHERE tenant_id = t.tenant_id AND received_at >= %(since)s AND received_at < %(until)s
    ) AS r
)"""
SUMMARY_OF_STATES: Final = f"""{STATES}
SELECT date_bin(%(bucket)s::interval, received_at, 'epoch') AS since, event_name AS name, state,
       count(*) AS count
FROM counted GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT %(limit)s
"""
COUNT_STATES: Final = f"""{STATES}
SELECT tenant_id AS tenant, state, count(*) AS count FROM counted GROUP BY 1, 2 ORDER BY 1, 2
"""

# Index: workflow_run_waits_open, in its own order.
PAGE_OF_OPEN_WAITS: Final = f"""
SELECT {WAIT_COLUMNS}, w.position
FROM unnest(%(tenants)s::text[]) AS t (tenant_id) CROSS JOIN LATERAL (
    SELECT * FROM workflow_run_waits
    WHERE tenant_id = t.tenant_id AND status = 'waiting'
      AND (%(name)s::text IS NULL OR event_name = %(name)s)
      AND (%(key)s::text IS NULL OR correlation_key = %(key)s)
      AND (%(workflow_id)s::text IS NULL OR workflow_id = %(workflow_id)s)
      AND (%(after_position)s::bigint IS NULL
           OR (tenant_id, event_name, correlation_key, position)
            > (%(after_tenant)s::text, %(after_name)s::text, %(after_key)s::text,
               %(after_position)s::bigint))
    ORDER BY event_name, correlation_key, position LIMIT %(limit)s) AS w
ORDER BY w.tenant_id, w.event_name, w.correlation_key, w.position LIMIT %(limit)s
"""

_WAITS_OF_WORKFLOW: Final = """(
    SELECT * FROM workflow_run_waits
    WHERE tenant_id = t.tenant_id AND workflow_id = %(workflow_id)s)"""
_WAITS_OF_KEY: Final = tuple(
    f"""(
    SELECT * FROM workflow_run_waits
    WHERE tenant_id = t.tenant_id AND event_name = %(name)s AND correlation_key = %(key)s
      AND status = '{status}')"""
    for status in ("waiting", "closed")
)
_ALL_WAITS: Final = """(
    SELECT * FROM workflow_run_waits WHERE tenant_id = t.tenant_id AND position > 0)"""
_WAIT_FILTERS: Final = """
          AND (%(name)s::text IS NULL OR event_name = %(name)s)
          AND (%(key)s::text IS NULL OR correlation_key = %(key)s)
          AND (%(workflow_id)s::text IS NULL OR workflow_id = %(workflow_id)s)"""


def _newest(sources: tuple[str, ...], filters: str) -> str:
    """The rows of one page: enough of each source, which is read in the order of its index."""
    return " UNION ALL ".join(
        f"""(
        SELECT * FROM {source} AS s
        WHERE (%(after_position)s::bigint IS NULL OR position < %(after_position)s) {filters}
        ORDER BY position DESC LIMIT %(limit)s)"""
        for source in sources
    )


def _page_of_all_waits(*sources: str) -> str:
    return f"""
SELECT {WAIT_COLUMNS}, w.position
FROM unnest(%(tenants)s::text[]) AS t (tenant_id)
CROSS JOIN LATERAL ({_newest(sources, _WAIT_FILTERS)}) AS w
ORDER BY w.position DESC LIMIT %(limit)s
"""


# Indexes: workflow_run_waits_by_workflow; workflow_run_waits_open and _closed, both in the order of
# positions; workflow_run_waits_listed. Positions are unique over all tenants.
PAGE_OF_WAITS_OF_WORKFLOW: Final = _page_of_all_waits(_WAITS_OF_WORKFLOW)
PAGE_OF_WAITS_OF_KEY: Final = _page_of_all_waits(*_WAITS_OF_KEY)
PAGE_OF_ALL_WAITS: Final = _page_of_all_waits(_ALL_WAITS)

# Index: the primary key.
ONE_WAIT: Final = f"""
SELECT {WAIT_COLUMNS}
FROM unnest(%(tenants)s::text[]) AS t (tenant_id) CROSS JOIN LATERAL (
    SELECT * FROM workflow_run_waits
    WHERE tenant_id = t.tenant_id AND wait_id = %(wait_id)s OFFSET 0) AS w
ORDER BY w.tenant_id
"""

_DELIVERIES_OF_EVENT: Final = """(
    SELECT * FROM workflow_event_deliveries
    WHERE tenant_id = t.tenant_id AND event_id = %(event_id)s)"""
_DELIVERIES_OF_WAIT: Final = """(
    SELECT * FROM workflow_event_deliveries
    WHERE tenant_id = t.tenant_id AND wait_id = %(wait_id)s)"""
_DELIVERIES_OF_WORKFLOW: Final = """(
    SELECT d.* FROM workflow_run_waits AS w
    JOIN workflow_event_deliveries AS d USING (tenant_id, wait_id)
    WHERE w.tenant_id = t.tenant_id AND w.workflow_id = %(workflow_id)s)"""
_PENDING_DELIVERIES: Final = """(
    SELECT * FROM workflow_event_deliveries
    WHERE tenant_id = t.tenant_id AND status = 'pending')"""
_DEAD_DELIVERIES: Final = """(
    SELECT * FROM workflow_event_deliveries
    WHERE tenant_id = t.tenant_id AND status = 'dead')"""
_SETTLED_DELIVERIES: Final = """(
    SELECT * FROM workflow_event_deliveries
    WHERE tenant_id = t.tenant_id AND status <> 'pending')"""
_DELIVERY_FILTERS: Final = """
          AND (%(status)s::text IS NULL OR status = %(status)s)
          AND (%(reason)s::text IS NULL OR reason = %(reason)s)
          AND (%(event_id)s::text IS NULL OR event_id = %(event_id)s)
          AND (%(wait_id)s::text IS NULL OR wait_id = %(wait_id)s)
          AND (%(workflow_id)s::text IS NULL OR workflow_id = %(workflow_id)s)"""


def _page_of_deliveries(*sources: str) -> str:
    return f"""
SELECT p.tenant_id AS tenant, p.event_id, p.wait_id, p.workflow_id, p.run_id, p.signal_name,
       p.correlation_key, p.cardinality, p.status, p.looked_back, p.attempts, p.reason, p.detail,
       p.disposition, p.created_at, p.due_at, p.delivered_at, p.disposed_at, p.position
FROM unnest(%(tenants)s::text[]) AS t (tenant_id)
CROSS JOIN LATERAL ({_newest(sources, _DELIVERY_FILTERS)}) AS p
ORDER BY p.position DESC LIMIT %(limit)s
"""


# Indexes: the primary key, workflow_event_deliveries_by_wait, workflow_run_waits_by_workflow,
# a partial one of what is pending (which is sorted), workflow_event_deliveries_dead and _settled.
DELIVERIES_OF_EVENT: Final = _page_of_deliveries(_DELIVERIES_OF_EVENT)
DELIVERIES_OF_WAIT: Final = _page_of_deliveries(_DELIVERIES_OF_WAIT)
DELIVERIES_OF_WORKFLOW: Final = _page_of_deliveries(_DELIVERIES_OF_WORKFLOW)
PENDING_DELIVERIES: Final = _page_of_deliveries(_PENDING_DELIVERIES)
DEAD_DELIVERIES: Final = _page_of_deliveries(_DEAD_DELIVERIES)
ALL_DELIVERIES: Final = _page_of_deliveries(_SETTLED_DELIVERIES, _PENDING_DELIVERIES)
