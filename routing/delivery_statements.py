"""The statements of deliveries: who may send them now, and what became of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

# One process claims at a time in a namespace, so that two never take rows of one workflow side by
# side. It is not waited for: whoever holds it claims for all. Programs of the release before hold
# the first lock alone, and for themselves.
CLAIM_TURN: Final = """
SELECT pg_try_advisory_xact_lock_shared(%(lock)s) AND (
    SELECT bool_and(pg_try_advisory_xact_lock(one)) FROM unnest(%(locks)s::bigint[]) AS one)
"""
CLAIM_LOCK: Final = 0x636C61696D


def claim_locks(namespaces: Iterable[str]) -> list[int]:
    """The locks of claiming in these namespaces, in an order that is the same for everybody."""
    digests = (hashlib.sha256(f"claim {namespace}".encode()).digest() for namespace in namespaces)
    return sorted(int.from_bytes(digest[:8], signed=True) for digest in digests)


# Takes over pending deliveries that are due: never sent, to be tried again, or left by a process
# that died. The tenants with pending rows are found by skipping through the index
# workflow_event_deliveries_due, and each gets an equal share: a backlog of one holds up no other,
# nor one of a namespace that is not served here (index workflow_event_deliveries_due_by_namespace,
# which alone has the order that is asked for: to statistics that know of one namespace the one
# without looks as good, and an equation would make both orders the same).
# Order: a workflow is entered by its oldest pending delivery alone (index
# workflow_event_deliveries_in_order), and what stands behind that one comes along only up to the
# first that is not due, or that another transaction has locked at this moment. So nothing is
# claimed before what was recorded earlier for its workflow is claimed, too. OFFSET 0 keeps the
# planner from looking for the earlier ones of all rows at once. A lease that ran out counts as an
# attempt: its owner may have sent the signal before it died.
CLAIM_DELIVERIES: Final = """
WITH RECURSIVE tenants (tenant_id) AS (
    (SELECT tenant_id FROM workflow_event_deliveries WHERE status = 'pending'
     ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.tenant_id FROM workflow_event_deliveries AS d
            WHERE d.status = 'pending' AND d.tenant_id > t.tenant_id
            ORDER BY d.tenant_id LIMIT 1)
    FROM tenants AS t WHERE t.tenant_id IS NOT NULL
), oldest AS MATERIALIZED (
    SELECT o.* FROM tenants AS t CROSS JOIN unnest(%(namespaces)s::text[]) AS n (namespace)
    CROSS JOIN LATERAL (
        SELECT tenant_id, namespace, workflow_id FROM workflow_event_deliveries AS d
        WHERE d.tenant_id = t.tenant_id AND d.namespace <> '' AND d.status = 'pending'
          AND d.namespace >= n.namespace
          AND (d.namespace, d.due_at) <= (n.namespace, statement_timestamp())
          AND NOT EXISTS (
            SELECT FROM workflow_event_deliveries AS earlier
            WHERE earlier.tenant_id = d.tenant_id AND earlier.workflow_id = d.workflow_id
              AND earlier.status = 'pending' AND earlier.position < d.position
              AND earlier.namespace = d.namespace
            OFFSET 0)
        ORDER BY d.namespace, d.due_at, d.position LIMIT %(per_tenant)s
    ) AS o
    WHERE t.tenant_id IS NOT NULL
    LIMIT %(count)s
), unbroken AS MATERIALIZED (
    SELECT w.* FROM oldest AS o CROSS JOIN LATERAL (
        SELECT line.*, bool_or(due_at > statement_timestamp()) OVER (ORDER BY position) AS broken
        FROM (
            SELECT tenant_id, event_id, wait_id, namespace, workflow_id, position, due_at
            FROM workflow_event_deliveries
            WHERE tenant_id = o.tenant_id AND workflow_id = o.workflow_id AND status = 'pending'
              AND namespace = o.namespace
            ORDER BY position
            LIMIT (SELECT ceil(%(count)s::numeric / count(*))::bigint FROM oldest)
        ) AS line
    ) AS w
    WHERE NOT w.broken
    LIMIT %(count)s
), locked AS MATERIALIZED (
    SELECT d.tenant_id, d.event_id, d.wait_id
    FROM unbroken AS u JOIN workflow_event_deliveries AS d USING (tenant_id, event_id, wait_id)
    WHERE d.status = 'pending' AND d.due_at <= statement_timestamp()
    FOR UPDATE OF d SKIP LOCKED
), claimed AS (
    UPDATE workflow_event_deliveries AS d
    SET lease_owner = %(owner)s, due_at = statement_timestamp() + %(lease)s::interval,
        attempts = d.attempts + (d.lease_owner IS NOT NULL)::integer
    FROM (
        SELECT u.tenant_id, u.event_id, u.wait_id, bool_and(l.event_id IS NOT NULL)
            OVER (PARTITION BY u.tenant_id, u.namespace, u.workflow_id ORDER BY u.position) AS held
        FROM unbroken AS u LEFT JOIN locked AS l USING (tenant_id, event_id, wait_id)
    ) AS line
    WHERE line.held AND d.tenant_id = line.tenant_id AND d.event_id = line.event_id
      AND d.wait_id = line.wait_id
    RETURNING d.tenant_id, d.event_id, d.wait_id, d.workflow_id, d.signal_name,
              d.correlation_key, d.created_at, d.attempts, d.position, d.namespace, d.run_id,
              d.first_run_id
)
SELECT c.tenant_id, c.event_id, c.wait_id, e.event_name, c.correlation_key, c.workflow_id,
       c.signal_name, e.payload, e.received_at, c.created_at, c.attempts,
       e.context ->> 'traceparent', e.context ->> 'tracestate', c.namespace, c.run_id,
       c.first_run_id, c.position,
       lag(c.position) OVER (
           PARTITION BY c.tenant_id, c.namespace, c.workflow_id ORDER BY c.position)
FROM claimed AS c JOIN workflow_runtime_events AS e USING (tenant_id, event_id)
ORDER BY c.position
"""

# Writes back what became of attempts. That a signal was delivered is true whoever sent it, even
# if the wait was closed meanwhile (then it came late); anything else counts only while the lease
# holds: a process that was paused beyond it must not undo what its successor did. A missing run
# is final after a grace only, for a wait may be registered before its run is started. What is given
# back untried keeps the reason of its last attempt.
SETTLE_DELIVERIES: Final = """
UPDATE workflow_event_deliveries AS d
SET status = i.next_status,
    disposition = CASE WHEN d.status = 'withdrawn' THEN 'late' ELSE d.disposition END,
    disposed_at = CASE WHEN d.status = 'withdrawn' THEN statement_timestamp()
                       ELSE d.disposed_at END,
    attempts = d.attempts + i.tries,
    reason = CASE WHEN i.tries = 0 THEN d.reason ELSE i.reason END,
    detail = CASE WHEN i.tries = 0 THEN d.detail ELSE i.detail END,
    due_at = statement_timestamp() + i.delay, lease_owner = NULL,
    delivered_at = CASE WHEN i.next_status = 'delivered' THEN statement_timestamp() END
FROM (
    SELECT u.*, CASE WHEN u.status = 'dead' AND p.created_at + u.grace > statement_timestamp()
                     THEN 'pending' ELSE u.status END AS next_status
    FROM unnest(
        %(tenants)b::text[], %(event_ids)b::text[], %(wait_ids)b::text[], %(statuses)b::text[],
        %(reasons)b::text[], %(details)b::text[], %(tries)b::integer[], %(delays)b::interval[],
        %(graces)b::interval[]
    ) AS u (tenant_id, event_id, wait_id, status, reason, detail, tries, delay, grace)
    JOIN workflow_event_deliveries AS p USING (tenant_id, event_id, wait_id)
) AS i
WHERE d.tenant_id = i.tenant_id AND d.event_id = i.event_id AND d.wait_id = i.wait_id
  AND ((i.next_status = 'delivered' AND d.status IN ('pending', 'withdrawn'))
    OR (d.status = 'pending' AND d.lease_owner = %(owner)s))
RETURNING d.tenant_id, d.event_id, d.wait_id, d.status, d.reason, d.detail, d.first_run_id
"""
