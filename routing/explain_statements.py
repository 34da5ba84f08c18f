"""The statements of explaining, each with the index that it relies on. All of them only read.

Every look is bounded: a probe per key, or so many rows beside a key in the index' own order. Rows
that are alike in the index' leading columns are hopped over, one probe for each distinct value.
"""

# ruff: noqa: S608 - the statements are put together from constants of this module only
from __future__ import annotations

from typing import Final

WAIT_COLUMNS: Final = """
w.wait_id, w.event_name AS name, w.correlation_key, w.workflow_id, w.run_id, w.kind,
w.cardinality, w.filter, w.lookback, w.status, w.disposition, w.reason, w.registered_at,
w.expires_at, w.times_out_at, w.closed_at, w.detail
"""

# Indexes: workflow_run_waits_open and workflow_run_waits_closed, hopped through by event name.
AWAITED_NAMES: Final = """
WITH RECURSIVE open_names AS (
    (SELECT event_name FROM workflow_run_waits
     WHERE tenant_id = %(tenant)s AND status = 'waiting'
     ORDER BY tenant_id, event_name LIMIT 1)
    UNION ALL
    SELECT next.event_name FROM open_names AS n CROSS JOIN LATERAL (
        SELECT event_name FROM workflow_run_waits
        WHERE tenant_id = %(tenant)s AND status = 'waiting' AND event_name > n.event_name
        ORDER BY tenant_id, event_name LIMIT 1) AS next
), closed_names AS (
    (SELECT event_name FROM workflow_run_waits
     WHERE tenant_id = %(tenant)s AND status = 'closed'
     ORDER BY tenant_id, event_name LIMIT 1)
    UNION ALL
    SELECT next.event_name FROM closed_names AS n CROSS JOIN LATERAL (
        SELECT event_name FROM workflow_run_waits
        WHERE tenant_id = %(tenant)s AND status = 'closed' AND event_name > n.event_name
        ORDER BY tenant_id, event_name LIMIT 1) AS next
)
SELECT event_name, true FROM (SELECT * FROM open_names LIMIT %(count)s) AS o
UNION ALL
SELECT event_name, false FROM (SELECT * FROM closed_names LIMIT %(count)s) AS c
"""

# Indexes: workflow_run_waits_open and workflow_run_waits_closed, from the newest back.
WAITS_OF_KEYS: Final = f"""
SELECT {WAIT_COLUMNS}
FROM unnest(%(names)b::text[], %(keys)b::text[]) AS p (event_name, key) CROSS JOIN LATERAL (
    (SELECT * FROM workflow_run_waits
     WHERE tenant_id = %(tenant)s AND event_name = p.event_name AND correlation_key = p.key
       AND status = 'waiting'
     ORDER BY tenant_id, event_name, correlation_key, position DESC LIMIT %(count)s)
    UNION ALL
    (SELECT * FROM workflow_run_waits
     WHERE tenant_id = %(tenant)s AND event_name = p.event_name AND correlation_key = p.key
       AND status = 'closed'
     ORDER BY tenant_id, event_name, correlation_key, position DESC LIMIT %(count)s)
) AS w
ORDER BY w.registered_at DESC, w.position DESC
"""


def _beside(status: str, comparison: str, direction: str) -> str:
    return f"""
    (SELECT * FROM workflow_run_waits
     WHERE tenant_id = %(tenant)s AND event_name = %(name)s AND status = '{status}'
       AND correlation_key {comparison} p.key
     ORDER BY tenant_id {direction}, event_name {direction}, correlation_key {direction},
              position {direction}
     LIMIT %(count)s)"""


# The waits that stand beside a key in the order of the indexes workflow_run_waits_open and
# workflow_run_waits_closed: keys that begin alike stand together there.
WAITS_BESIDE_KEYS: Final = f"""
SELECT {WAIT_COLUMNS}
FROM unnest(%(keys)b::text[]) AS p (key) CROSS JOIN LATERAL (
    {_beside("waiting", ">", "ASC")}
    UNION ALL {_beside("waiting", "<", "DESC")}
    UNION ALL {_beside("closed", ">", "ASC")}
    UNION ALL {_beside("closed", "<", "DESC")}
) AS w
"""


def _tenants(table: str) -> str:
    """`tenants`: those that have rows, hopped through by the primary key."""
    return f"""
WITH RECURSIVE tenants AS (
    (SELECT tenant_id FROM {table} ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT next.tenant_id FROM tenants AS t CROSS JOIN LATERAL (
        SELECT tenant_id FROM {table}
        WHERE tenant_id > t.tenant_id ORDER BY tenant_id LIMIT 1) AS next
)"""


# Each tenant is probed in workflow_run_waits_open and workflow_run_waits_closed. Says only whether
# there is any.
WAITS_OF_ANOTHER_TENANT: Final = f"""{_tenants("workflow_run_waits")}
SELECT EXISTS (
    SELECT FROM (SELECT * FROM tenants LIMIT %(count)s) AS t
    CROSS JOIN unnest(%(keys)b::text[]) AS p (key) CROSS JOIN LATERAL (
        (SELECT 1 FROM workflow_run_waits
         WHERE tenant_id = t.tenant_id AND event_name = %(name)s AND correlation_key = p.key
           AND status = 'waiting' LIMIT 1)
        UNION ALL
        (SELECT 1 FROM workflow_run_waits
         WHERE tenant_id = t.tenant_id AND event_name = %(name)s AND correlation_key = p.key
           AND status = 'closed' LIMIT 1)
    ) AS w
    WHERE t.tenant_id <> %(tenant)s
)
"""

# Each tenant is probed in workflow_runtime_events_available. Says for which waits there is any.
EVENTS_OF_ANOTHER_TENANT: Final = f"""{_tenants("workflow_runtime_events")}
SELECT p.wait_id FROM unnest(%(wait_ids)b::text[], %(names)b::text[], %(keys)b::text[])
    AS p (wait_id, event_name, key)
WHERE EXISTS (
    SELECT FROM (SELECT * FROM tenants LIMIT %(count)s) AS t CROSS JOIN LATERAL (
        SELECT 1 FROM workflow_runtime_events
        WHERE tenant_id = t.tenant_id AND event_name = p.event_name AND correlation_key = p.key
          AND available_until IS NOT NULL LIMIT 1
    ) AS e
    WHERE t.tenant_id <> %(tenant)s
)
"""

# Index: workflow_runtime_events_available, hopped through by event name.
BUFFERED_NAMES: Final = """
WITH RECURSIVE names AS (
    (SELECT event_name FROM workflow_runtime_events
     WHERE tenant_id = %(tenant)s AND available_until IS NOT NULL AND correlation_key IS NOT NULL
     ORDER BY tenant_id, event_name LIMIT 1)
    UNION ALL
    SELECT next.event_name FROM names AS n CROSS JOIN LATERAL (
        SELECT event_name FROM workflow_runtime_events
        WHERE tenant_id = %(tenant)s AND available_until IS NOT NULL
          AND correlation_key IS NOT NULL AND event_name > n.event_name
        ORDER BY tenant_id, event_name LIMIT 1) AS next
)
SELECT event_name FROM names LIMIT %(count)s
"""

EVENT_COLUMNS: Final = """
event_id, event_name AS name, outcome, reason, detail,
coalesce(correlation_keys, array_remove(ARRAY[correlation_key], NULL)) AS keys, received_at
"""

# Indexes: workflow_runtime_events_available, and workflow_runtime_events_further_keys for events
# that have the key beside others.
EVENTS_OF_KEYS: Final = f"""
SELECT e.* FROM unnest(%(names)b::text[], %(keys)b::text[], %(hashes)b::bigint[])
    AS p (event_name, key, hash)
CROSS JOIN LATERAL (
    (SELECT {EVENT_COLUMNS} FROM workflow_runtime_events
     WHERE tenant_id = %(tenant)s AND event_name = p.event_name AND correlation_key = p.key
       AND available_until IS NOT NULL
     ORDER BY received_at DESC LIMIT %(count)s)
    UNION ALL
    (SELECT {EVENT_COLUMNS} FROM (
        SELECT * FROM workflow_runtime_events WHERE further_key_hashes @> ARRAY[p.hash] OFFSET 0
     ) AS several
     WHERE tenant_id = %(tenant)s AND event_name = p.event_name AND correlation_key <> p.key
       AND p.key = ANY (correlation_keys)
     ORDER BY received_at DESC LIMIT %(count)s)
) AS e
ORDER BY e.received_at DESC
"""

# Index: workflow_runtime_events_listed, so many rows from the newest back; then those of the names.
RECENT_EVENTS: Final = f"""
SELECT {EVENT_COLUMNS} FROM (
    SELECT * FROM workflow_runtime_events WHERE tenant_id = %(tenant)s
    ORDER BY tenant_id DESC, received_at DESC, event_id DESC LIMIT %(count)s
) AS newest
WHERE event_name = ANY (%(names)b::text[])
ORDER BY received_at DESC
"""

# Index: workflow_event_deliveries_by_wait.
DELIVERIES_OF_WAITS: Final = """
SELECT d.wait_id, d.event_id, d.status, d.reason, d.detail, d.attempts, d.disposition,
       d.created_at, d.due_at, d.delivered_at
FROM unnest(%(wait_ids)b::text[]) AS p (wait_id) CROSS JOIN LATERAL (
    SELECT * FROM workflow_event_deliveries
    WHERE tenant_id = %(tenant)s AND wait_id = p.wait_id
    ORDER BY position DESC LIMIT %(count)s) AS d
ORDER BY d.created_at
"""
