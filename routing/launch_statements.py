"""The statements of triggers and launches, each with the index that it relies on."""

from __future__ import annotations

from typing import Final

# Once per batch, for its different names only. Index: workflow_event_triggers_enabled; without
# triggers that is one probe of an empty index per name.
TRIGGERS_OF_NAMES: Final = """
SELECT t.* FROM unnest(%(trigger_tenants)b::text[], %(trigger_names)b::text[])
    AS n (tenant_id, event_name)
CROSS JOIN LATERAL (
    SELECT tenant_id, event_name, trigger_id, version, workflow_type, task_queue,
           input_mapping::text, filter, only_without_wait, namespace
    FROM workflow_event_triggers
    WHERE tenant_id = n.tenant_id AND event_name = n.event_name AND enabled
    OFFSET 0
) AS t
ORDER BY t.tenant_id, t.event_name, t.trigger_id
"""

# In the match transaction, after the events: only those that this transaction recorded launch
# anything (xmin of its rows is its own id), so that a redelivery launches nothing. What was
# considered and launches nothing leaves a row, too. Index: the events' primary key.
RECORD_LAUNCHES: Final = """
INSERT INTO workflow_event_launches (
    tenant_id, event_id, trigger_id, trigger_version, workflow_id, workflow_type, task_queue,
    input, status, reason, detail, due_at, created_at, namespace
)
SELECT i.tenant_id, i.event_id, i.trigger_id, i.trigger_version, i.workflow_id, i.workflow_type,
       i.task_queue, i.input,
       CASE WHEN i.reason IS NULL AND NOT w.taken THEN 'pending' ELSE 'skipped' END,
       CASE WHEN i.reason IS NULL AND w.taken THEN 'wait_took_event' ELSE i.reason END,
       CASE WHEN i.reason IS NULL AND w.taken THEN 'an open wait met the event as it came'
            ELSE i.detail END,
       statement_timestamp(), statement_timestamp(), i.namespace
FROM unnest(
    %(tenants)b::text[], %(event_ids)b::text[], %(trigger_ids)b::text[], %(versions)b::integer[],
    %(workflow_ids)b::text[], %(workflow_types)b::text[], %(task_queues)b::text[],
    %(inputs)b::text[], %(reasons)b::text[], %(details)b::text[], %(only_without_wait)b::boolean[],
    %(namespaces)b::text[]
) WITH ORDINALITY AS i (
    tenant_id, event_id, trigger_id, trigger_version, workflow_id, workflow_type, task_queue,
    input, reason, detail, only_without_wait, namespace, ordinal
)
JOIN workflow_runtime_events AS e USING (tenant_id, event_id)
CROSS JOIN LATERAL (SELECT i.only_without_wait AND e.outcome = 'matched' AS taken) AS w
WHERE e.xmin = pg_current_xact_id()::xid
ORDER BY i.ordinal
ON CONFLICT (tenant_id, event_id, trigger_id) DO NOTHING
RETURNING status
"""

# Takes over launches that are due: new, to be tried again, or left by a process that died. As with
# deliveries every tenant with pending rows gets an equal share; there is no order between launches.
# Index: workflow_event_launches_due_by_namespace; as with deliveries, the order asks for it.
CLAIM_LAUNCHES: Final = """
WITH RECURSIVE tenants (tenant_id) AS (
    (SELECT tenant_id FROM workflow_event_launches WHERE status = 'pending'
     ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT l.tenant_id FROM workflow_event_launches AS l
            WHERE l.status = 'pending' AND l.tenant_id > t.tenant_id
            ORDER BY l.tenant_id LIMIT 1)
    FROM tenants AS t WHERE t.tenant_id IS NOT NULL
), due AS MATERIALIZED (
    SELECT l.* FROM tenants AS t CROSS JOIN unnest(%(namespaces)s::text[]) AS n (namespace)
    CROSS JOIN LATERAL (
        SELECT tenant_id, event_id, trigger_id FROM workflow_event_launches AS d
        WHERE d.tenant_id = t.tenant_id AND d.namespace <> '' AND d.status = 'pending'
          AND d.namespace >= n.namespace
          AND (d.namespace, d.due_at) <= (n.namespace, statement_timestamp())
        ORDER BY d.namespace, d.due_at LIMIT %(count)s
        FOR UPDATE SKIP LOCKED
    ) AS l
    WHERE t.tenant_id IS NOT NULL
    LIMIT %(count)s
), claimed AS (
    UPDATE workflow_event_launches AS l
    SET lease_owner = %(owner)s, due_at = statement_timestamp() + %(lease)s::interval
    FROM due WHERE l.tenant_id = due.tenant_id AND l.event_id = due.event_id
      AND l.trigger_id = due.trigger_id
    RETURNING l.tenant_id, l.event_id, l.trigger_id, l.workflow_id, l.workflow_type,
              l.task_queue, l.input, l.attempts, l.created_at, l.namespace
)
SELECT c.tenant_id, c.event_id, c.trigger_id, c.workflow_id, c.workflow_type, c.task_queue,
       c.input, e.event_name, e.correlation_key, e.payload, e.received_at, c.attempts,
       e.context ->> 'traceparent', e.context ->> 'tracestate', c.namespace
FROM claimed AS c JOIN workflow_runtime_events AS e USING (tenant_id, event_id)
ORDER BY c.created_at
"""

# Writes back what became of attempts: that a workflow was started is true whoever started it,
# anything else counts only while the lease holds. A launched run stands among the runs from then
# on. Indexes: the primary keys; `status = 'pending'` would invite the planner to walk all of
# workflow_event_launches_due.
SETTLE_LAUNCHES: Final = """
WITH settled AS (
    UPDATE workflow_event_launches AS l
    SET status = i.status, attempts = l.attempts + 1, reason = i.reason,
        detail = i.detail, run_id = i.run_id, due_at = statement_timestamp() + i.delay,
        lease_owner = NULL,
        launched_at = CASE WHEN i.status = 'launched' THEN statement_timestamp() END
    FROM unnest(
        %(tenants)b::text[], %(event_ids)b::text[], %(trigger_ids)b::text[],
        %(statuses)b::text[], %(reasons)b::text[], %(details)b::text[], %(run_ids)b::text[],
        %(delays)b::interval[]
    ) AS i (tenant_id, event_id, trigger_id, status, reason, detail, run_id, delay)
    WHERE l.tenant_id = i.tenant_id AND l.event_id = i.event_id AND l.trigger_id = i.trigger_id
      AND l.status NOT IN ('launched', 'dead', 'skipped')
      AND (i.status = 'launched' OR l.lease_owner = %(owner)s)
    RETURNING l.*
), projected AS (
    INSERT INTO workflow_runs (
        tenant_id, workflow_id, run_id, engine, status, origin, workflow_type, task_queue,
        trigger_id, event_id, first_run_id, started_at, updated_at, namespace
    )
    SELECT tenant_id, workflow_id, run_id, 'temporal', 'running', 'launched', workflow_type,
           task_queue, trigger_id, event_id, run_id, launched_at, statement_timestamp(), namespace
    FROM settled WHERE status = 'launched' AND run_id IS NOT NULL
    ORDER BY tenant_id, workflow_id
    ON CONFLICT (tenant_id, workflow_id, run_id) DO UPDATE
    SET origin = 'launched', workflow_type = EXCLUDED.workflow_type,
        task_queue = EXCLUDED.task_queue, trigger_id = EXCLUDED.trigger_id,
        event_id = EXCLUDED.event_id, updated_at = EXCLUDED.updated_at
    WHERE workflow_runs.engine = 'temporal'
)
SELECT tenant_id, event_id, trigger_id, status, reason FROM settled WHERE status = 'dead'
"""

# A trigger that launches only without a wait was skipped for a wait of a dead run: it launches now,
# unless another wait has the event. Indexes: workflow_event_deliveries_by_wait, the primary keys.
RELEASE_LAUNCHES: Final = """
UPDATE workflow_event_launches AS l
SET status = 'pending', reason = NULL, detail = NULL, due_at = statement_timestamp()
FROM (
    SELECT DISTINCT d.tenant_id, d.event_id
    FROM unnest(%(tenants)b::text[], %(wait_ids)b::text[]) AS i (tenant_id, wait_id)
    JOIN workflow_event_deliveries AS d USING (tenant_id, wait_id)
    WHERE d.status IN ('withdrawn', 'dead') AND d.reason IN ('run_closed', 'run_not_found')
) AS freed
WHERE l.tenant_id = freed.tenant_id AND l.event_id = freed.event_id
  AND l.status = 'skipped' AND l.reason = 'wait_took_event'
  AND NOT EXISTS (
    SELECT FROM workflow_event_deliveries AS other
    WHERE other.tenant_id = l.tenant_id AND other.event_id = l.event_id
      AND other.status IN ('pending', 'delivered')
    OFFSET 0)
"""

# A definition that changes nothing keeps its version. Index: the primary key.
APPLY_TRIGGER: Final = """
INSERT INTO workflow_event_triggers AS t (
    tenant_id, trigger_id, event_name, workflow_type, task_queue, input_mapping, filter,
    only_without_wait, enabled, updated_at, namespace
) VALUES (
    %(tenant)s, %(trigger_id)s, %(event_name)s, %(workflow_type)s, %(task_queue)s,
    %(input)s::jsonb, %(filter)s, %(only_without_wait)s, %(enabled)s, statement_timestamp(),
    %(namespace)s
)
ON CONFLICT (tenant_id, trigger_id) DO UPDATE
SET event_name = EXCLUDED.event_name, workflow_type = EXCLUDED.workflow_type,
    task_queue = EXCLUDED.task_queue, input_mapping = EXCLUDED.input_mapping,
    filter = EXCLUDED.filter, only_without_wait = EXCLUDED.only_without_wait,
    enabled = EXCLUDED.enabled, version = t.version + 1, updated_at = EXCLUDED.updated_at,
    namespace = EXCLUDED.namespace
WHERE (t.event_name, t.workflow_type, t.task_queue, t.input_mapping, coalesce(t.filter, ''),
       t.only_without_wait, t.enabled, coalesce(t.namespace, ''))
   IS DISTINCT FROM
      (EXCLUDED.event_name, EXCLUDED.workflow_type, EXCLUDED.task_queue, EXCLUDED.input_mapping,
       coalesce(EXCLUDED.filter, ''), EXCLUDED.only_without_wait, EXCLUDED.enabled,
       coalesce(EXCLUDED.namespace, ''))
RETURNING version
"""

DISABLE_TRIGGER: Final = """
UPDATE workflow_event_triggers
SET enabled = false, version = version + 1, updated_at = statement_timestamp()
WHERE tenant_id = %(tenant)s AND trigger_id = %(trigger_id)s AND enabled
RETURNING version
"""

# Keyset by the primary key.
LIST_TRIGGERS: Final = """
SELECT tenant_id, trigger_id, event_name, workflow_type, task_queue, input_mapping::text, filter,
       only_without_wait, enabled, version, updated_at, namespace
FROM workflow_event_triggers
WHERE (%(tenants)s::text[] IS NULL OR tenant_id = ANY (%(tenants)s))
  AND (%(event_name)s::text IS NULL OR event_name = %(event_name)s)
  AND (%(trigger_id)s::text IS NULL OR trigger_id = %(trigger_id)s)
  AND (tenant_id, trigger_id) > (%(after_tenant)s, %(after_id)s)
ORDER BY tenant_id, trigger_id LIMIT %(count)s
"""
