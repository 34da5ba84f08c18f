"""The statements of the audit, each with the index that it relies on.

Every index begins with the tenant. Where no tenant is asked for, the tenants are first enumerated
by hopping from one to the next through the primary key (one probe for each), and each is then
looked up by itself: no statement reads a whole table. OFFSET 0 keeps the planner, who cannot know
how few tenants there are, from turning these look-ups into a scan.
"""

# ruff: noqa: S608 - the statements are put together from constants of this module only
from __future__ import annotations

from typing import Final

# Index: the primary keys of both tables. A given tenant is taken as it is.
TENANTS: Final = """
RECURSIVE event_tenants AS (
    (SELECT tenant_id FROM workflow_runtime_events
     WHERE %(tenant)s::text IS NULL ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT next.tenant_id FROM event_tenants AS t CROSS JOIN LATERAL (
        SELECT tenant_id FROM workflow_runtime_events
        WHERE tenant_id > t.tenant_id ORDER BY tenant_id LIMIT 1) AS next
), rejected_tenants AS (
    (SELECT tenant_id FROM workflow_rejected_entries
     WHERE %(tenant)s::text IS NULL ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT next.tenant_id FROM rejected_tenants AS t CROSS JOIN LATERAL (
        SELECT tenant_id FROM workflow_rejected_entries
        WHERE tenant_id > t.tenant_id ORDER BY tenant_id LIMIT 1) AS next
), tenants AS (
    SELECT %(tenant)s::text AS tenant_id WHERE %(tenant)s::text IS NOT NULL
    UNION SELECT tenant_id FROM event_tenants
    UNION SELECT tenant_id FROM rejected_tenants
)
"""

# Index: the primary key.
STORY_EVENTS: Final = f"""
WITH {TENANTS}
SELECT e.tenant_id AS tenant, e.event_id, e.event_name AS name, e.outcome, e.reason, e.detail,
       coalesce(e.correlation_keys, array_remove(ARRAY[e.correlation_key], NULL)) AS keys,
       e.key_source, e.key_detail, e.rules_version, e.payload, e.context, e.stream, e.entry_id,
       e.occurred_at, e.received_at, e.available_until, e.redeliveries
FROM tenants AS t CROSS JOIN LATERAL (
    SELECT * FROM workflow_runtime_events
    WHERE tenant_id = t.tenant_id AND event_id = %(event_id)s OFFSET 0) AS e
ORDER BY e.tenant_id
"""

# Index: the primary keys of deliveries and waits.
STORY_DELIVERIES: Final = """
SELECT d.wait_id, d.workflow_id, d.run_id, d.signal_name, d.correlation_key, d.cardinality,
       d.status, d.looked_back, d.attempts, d.reason, d.detail, d.disposition, d.created_at,
       d.due_at, d.delivered_at, d.disposed_at, w.status AS wait_status,
       w.disposition AS wait_disposition
FROM workflow_event_deliveries AS d
LEFT JOIN workflow_run_waits AS w USING (tenant_id, wait_id)
WHERE d.tenant_id = %(tenant)s AND d.event_id = %(event_id)s
ORDER BY d.position
"""

# Index: the primary key.
STORY_LAUNCHES: Final = """
SELECT trigger_id, workflow_id, workflow_type, status, attempts, reason, detail, run_id,
       created_at, launched_at
FROM workflow_event_launches
WHERE tenant_id = %(tenant)s AND event_id = %(event_id)s
ORDER BY created_at, trigger_id
"""

# Indexes: workflow_rejected_entries_by_event; for entry ids the primary key, whose streams are
# hopped through as the tenants are.
STORY_REJECTED: Final = f"""
WITH {TENANTS}, places AS (
    (SELECT r.tenant_id, r.stream FROM tenants AS t CROSS JOIN LATERAL (
        SELECT tenant_id, stream FROM workflow_rejected_entries
        WHERE tenant_id = t.tenant_id ORDER BY stream LIMIT 1) AS r)
    UNION ALL
    SELECT next.tenant_id, next.stream FROM places AS p CROSS JOIN LATERAL (
        SELECT tenant_id, stream FROM workflow_rejected_entries
        WHERE tenant_id = p.tenant_id AND stream > p.stream ORDER BY stream LIMIT 1) AS next
)
SELECT r.tenant_id AS tenant, r.stream, r.entry_id, r.outcome, r.reason, r.detail, r.event_id,
       r.event_name AS name, r.raw, r.received_at
FROM (
    SELECT r.* FROM tenants AS t CROSS JOIN LATERAL (
        SELECT * FROM workflow_rejected_entries
        WHERE tenant_id = t.tenant_id AND event_id = %(event_id)s OFFSET 0) AS r
    UNION
    SELECT r.* FROM places AS p CROSS JOIN LATERAL (
        SELECT * FROM workflow_rejected_entries
        WHERE tenant_id = p.tenant_id AND stream = p.stream AND entry_id = %(event_id)s
        OFFSET 0) AS r
) AS r
ORDER BY r.tenant_id, r.received_at
"""

WAIT_TENANTS: Final = """
RECURSIVE wait_tenants AS (
    (SELECT tenant_id FROM workflow_run_waits
     WHERE %(tenant)s::text IS NULL ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT next.tenant_id FROM wait_tenants AS t CROSS JOIN LATERAL (
        SELECT tenant_id FROM workflow_run_waits
        WHERE tenant_id > t.tenant_id ORDER BY tenant_id LIMIT 1) AS next
), tenants AS (
    SELECT %(tenant)s::text AS tenant_id WHERE %(tenant)s::text IS NOT NULL
    UNION SELECT tenant_id FROM wait_tenants
)
"""

WAIT_COLUMNS: Final = """
w.tenant_id AS tenant, w.wait_id, w.event_name AS name, w.correlation_key, w.workflow_id,
w.run_id, w.kind, w.cardinality, w.filter, w.lookback, w.status, w.disposition, w.reason,
w.registered_at, w.expires_at, w.times_out_at, w.closed_at, w.detail
"""

# Index: workflow_run_waits_open, in its own order until the limit.
LIST_OPEN_WAITS: Final = f"""
WITH {WAIT_TENANTS}
SELECT {WAIT_COLUMNS} FROM tenants AS t CROSS JOIN LATERAL (
    SELECT * FROM workflow_run_waits
    WHERE tenant_id = t.tenant_id AND status = 'waiting'
      AND (%(name)s::text IS NULL OR event_name = %(name)s)
      AND (%(key)s::text IS NULL OR correlation_key = %(key)s)
      AND (%(workflow_id)s::text IS NULL OR workflow_id = %(workflow_id)s)
    ORDER BY event_name, correlation_key, position LIMIT %(limit)s) AS w
ORDER BY w.tenant_id, w.event_name, w.correlation_key, w.position LIMIT %(limit)s
"""

# Index: workflow_run_waits_by_workflow when a workflow is asked for; otherwise the tenant's part
# of the primary key is sorted, newest first. For a person, not for a hot path.
LIST_ALL_WAITS: Final = f"""
WITH {WAIT_TENANTS}
SELECT {WAIT_COLUMNS} FROM tenants AS t CROSS JOIN LATERAL (
    SELECT * FROM workflow_run_waits
    WHERE tenant_id = t.tenant_id
      AND (%(name)s::text IS NULL OR event_name = %(name)s)
      AND (%(key)s::text IS NULL OR correlation_key = %(key)s)
      AND (%(workflow_id)s::text IS NULL OR workflow_id = %(workflow_id)s)
    ORDER BY position DESC LIMIT %(limit)s) AS w
ORDER BY w.registered_at DESC, w.position DESC LIMIT %(limit)s
"""

# Indexes: workflow_runtime_events_listed and workflow_rejected_entries_listed, for one tenant's
# time; counting reads all of that time.
COUNT_OUTCOMES: Final = f"""
WITH {TENANTS}
SELECT t.tenant_id AS tenant, c.outcome, c.reason, c.count
FROM tenants AS t CROSS JOIN LATERAL (
    SELECT outcome, reason, count(*) AS count FROM workflow_runtime_events
    WHERE tenant_id = t.tenant_id
      AND received_at >= coalesce(%(since)s::timestamptz, '-infinity')
    GROUP BY outcome, reason
    UNION ALL
    SELECT outcome, reason, count(*) FROM workflow_rejected_entries
    WHERE tenant_id = t.tenant_id
      AND received_at >= coalesce(%(since)s::timestamptz, '-infinity')
    GROUP BY outcome, reason
) AS c
ORDER BY tenant, c.outcome, c.reason NULLS FIRST
"""
