"""The statements of runs, each with the index that it relies on."""

from __future__ import annotations

from typing import Final

from routing.tenant_hop import tenants_in

# With the registration of waits, pipelined with it. Sorted, so that two registrations can wait for
# each other, never in a circle. A row that is there (launched, or another engine's) stays as it is,
# unless Temporal vouches for it now; a token or an administrator vouches for a wait alone.
# Index: the primary key.
PROJECT_REGISTERED: Final = """
INSERT INTO workflow_runs AS r (
    tenant_id, workflow_id, run_id, engine, status, origin, started_at, updated_at, namespace,
    first_run_id, vouched_by
)
SELECT DISTINCT ON (tenant_id, workflow_id, run_id)
       tenant_id, workflow_id, run_id, 'temporal', 'running', 'registered',
       statement_timestamp(), statement_timestamp(), namespace, first_run_id,
       vouched_by
FROM unnest(%(tenants)b::text[], %(workflow_ids)b::text[], %(run_ids)b::text[],
            %(namespaces)b::text[], %(first_run_ids)b::text[],
            %(run_vouchers)b::text[])
    AS i (tenant_id, workflow_id, run_id, namespace, first_run_id, vouched_by)
WHERE run_id IS NOT NULL
ORDER BY tenant_id, workflow_id, run_id, vouched_by NULLS LAST
ON CONFLICT (tenant_id, workflow_id, run_id) DO UPDATE
SET vouched_by = EXCLUDED.vouched_by, namespace = EXCLUDED.namespace,
    first_run_id = coalesce(EXCLUDED.first_run_id, r.first_run_id)
WHERE r.vouched_by IS NULL AND EXCLUDED.vouched_by IS NOT NULL AND r.engine = 'temporal'
"""

# Walks all open runs in the order of workflow_runs_open, a page at a time.
OPEN_RUNS: Final = """
SELECT tenant_id, workflow_id, run_id, namespace FROM workflow_runs
WHERE closed_at IS NULL AND engine = 'temporal' AND namespace = ANY (%(namespaces)s::text[])
  AND (tenant_id, workflow_id, run_id) > (%(tenant)s, %(workflow_id)s, %(run_id)s)
ORDER BY tenant_id, workflow_id, run_id LIMIT %(count)s
"""

# What Temporal says goes, but for two things. A finished row is never written over. And a run that
# was asked to cancel stays `canceled` for the grace while Temporal still calls it running: it may
# be tidying up. A run that Temporal does not know yet (or no longer) is given the same time.
# Index: the primary key.
RECONCILE_RUNS: Final = """
UPDATE workflow_runs AS r
SET status = i.status,
    workflow_type = coalesce(i.workflow_type, r.workflow_type),
    task_queue = coalesce(i.task_queue, r.task_queue),
    parent_id = coalesce(i.parent_id, r.parent_id),
    parent_run_id = coalesce(i.parent_run_id, r.parent_run_id),
    first_run_id = coalesce(i.first_run_id, r.first_run_id),
    started_at = coalesce(i.started_at, r.started_at),
    closed_at = CASE WHEN i.status <> 'running'
                     THEN coalesce(i.closed_at, statement_timestamp()) END,
    updated_at = statement_timestamp()
FROM unnest(
    %(tenants)b::text[], %(workflow_ids)b::text[], %(run_ids)b::text[], %(statuses)b::text[],
    %(workflow_types)b::text[], %(task_queues)b::text[], %(parents)b::text[],
    %(parent_runs)b::text[], %(first_runs)b::text[], %(starts)b::timestamptz[],
    %(ends)b::timestamptz[]
) AS i (
    tenant_id, workflow_id, run_id, status, workflow_type, task_queue, parent_id, parent_run_id,
    first_run_id, started_at, closed_at
)
WHERE r.tenant_id = i.tenant_id AND r.workflow_id = i.workflow_id AND r.run_id = i.run_id
  AND r.engine = 'temporal' AND r.closed_at IS NULL
  AND (r.updated_at < statement_timestamp() - %(grace)s::interval
       OR NOT (i.status = 'not_found' OR (i.status = 'running' AND r.status = 'canceled')))
  AND (i.status, i.workflow_type, i.first_run_id)
      IS DISTINCT FROM (r.status, r.workflow_type, r.first_run_id)
RETURNING r.tenant_id, r.workflow_id, r.run_id, r.status
"""

# The run that a continued one went on in; it inherits where it all came from.
# Index: the primary key.
PROJECT_CONTINUED: Final = """
INSERT INTO workflow_runs AS r (
    tenant_id, workflow_id, run_id, engine, status, origin, workflow_type, task_queue, trigger_id,
    event_id, parent_id, parent_run_id, first_run_id, started_at, updated_at, namespace,
    vouched_by
)
SELECT e.tenant_id, e.workflow_id, i.next_run_id, 'temporal', 'running', 'continued',
       e.workflow_type, e.task_queue, e.trigger_id, e.event_id, e.parent_id, e.parent_run_id,
       coalesce(e.first_run_id, e.run_id), coalesce(e.closed_at, statement_timestamp()),
       statement_timestamp(), e.namespace, e.vouched_by
FROM unnest(
    %(tenants)b::text[], %(workflow_ids)b::text[], %(run_ids)b::text[], %(next_run_ids)b::text[]
) AS i (tenant_id, workflow_id, run_id, next_run_id)
JOIN workflow_runs AS e USING (tenant_id, workflow_id, run_id)
WHERE e.engine = 'temporal'
ORDER BY e.tenant_id, e.workflow_id, i.next_run_id
ON CONFLICT (tenant_id, workflow_id, run_id) DO UPDATE
SET origin = 'continued', trigger_id = EXCLUDED.trigger_id, event_id = EXCLUDED.event_id,
    first_run_id = EXCLUDED.first_run_id,
    vouched_by = coalesce(r.vouched_by, EXCLUDED.vouched_by)
WHERE r.engine = 'temporal'
"""

# After Temporal took the request: the status stays what Temporal says of the run.
# Index: the primary key.
NOTE_REQUESTED_CONTROL: Final = """
UPDATE workflow_runs SET requested_control = %(control)s, requested_at = statement_timestamp()
WHERE tenant_id = %(tenant)s AND workflow_id = %(workflow_id)s AND run_id = %(run_id)s
  AND engine = 'temporal' AND closed_at IS NULL
"""

# When Temporal said, right after the request, that the run has ended. A finished row is never
# written over. Index: the primary key.
FOLLOW_END: Final = """
UPDATE workflow_runs
SET status = %(status)s, closed_at = coalesce(%(closed_at)s, statement_timestamp()),
    updated_at = statement_timestamp()
WHERE tenant_id = %(tenant)s AND workflow_id = %(workflow_id)s AND run_id = %(run_id)s
  AND engine = 'temporal' AND closed_at IS NULL
"""

# The open waits of one run's chain; those that named no run are its own when it is the workflow's
# newest.
# Index: workflow_run_waits_by_workflow.
OPEN_WAITS_OF_RUN: Final = """
SELECT wait_id FROM workflow_run_waits
WHERE tenant_id = %(tenant)s AND workflow_id = %(workflow_id)s AND status = 'waiting'
  AND (run_id = %(run_id)s OR run_id IS NULL OR first_run_id = %(first_run_id)s)
  AND namespace = %(namespace)s
"""

_COLUMNS: Final = """
r.tenant_id AS tenant, r.workflow_id, r.run_id, r.engine, r.status, r.origin, r.workflow_type,
r.task_queue, r.trigger_id, r.event_id, r.parent_id AS parent_workflow_id, r.parent_run_id,
r.first_run_id, r.started_at, r.closed_at, r.updated_at, r.requested_control, r.requested_at,
w.open_waits, r.namespace
"""
# Index: workflow_run_waits_by_workflow, for the lines shown.
_WAITS: Final = """
CROSS JOIN LATERAL (
    SELECT count(*) AS open_waits FROM workflow_run_waits
    WHERE tenant_id = r.tenant_id AND workflow_id = r.workflow_id AND status = 'waiting'
      AND (run_id = r.run_id OR run_id IS NULL) AND namespace = r.namespace
) AS w
"""

# Index: workflow_runs_listed, read backwards per tenant until the limit; the primary key where a
# workflow is asked for, workflow_runs_of_event where an event is.
PAGE_OF_RUNS: Final = f"""
WITH listed AS (
    SELECT r.* FROM unnest(%(tenants)s::text[]) AS t (tenant_id) CROSS JOIN LATERAL (
        SELECT * FROM workflow_runs AS p
        WHERE tenant_id = t.tenant_id
          AND started_at >= coalesce(%(since)s::timestamptz, '-infinity')
          AND started_at < coalesce(%(until)s::timestamptz, 'infinity')
          AND (started_at, tenant_id, workflow_id, run_id) < (
              %(before_at)s::timestamptz, %(before_tenant)s::text, %(before_workflow)s::text,
              %(before_run)s::text)
          AND started_at <= %(before_at)s::timestamptz
          AND (%(workflow_id)s::text IS NULL OR workflow_id = %(workflow_id)s)
          AND (%(run_id)s::text IS NULL OR run_id = %(run_id)s)
          AND (%(status)s::text IS NULL OR status = %(status)s)
          AND (%(requested)s::text IS NULL
               OR (requested_control = %(requested)s AND closed_at IS NULL))
          AND (%(engine)s::text IS NULL OR engine = %(engine)s)
          AND (%(workflow_type)s::text IS NULL OR workflow_type = %(workflow_type)s)
          AND (%(origin)s::text IS NULL OR origin = %(origin)s)
          AND (%(trigger_id)s::text IS NULL OR trigger_id = %(trigger_id)s)
          AND (%(event_id)s::text IS NULL OR event_id = %(event_id)s)
          AND (%(key)s::text IS NULL OR EXISTS (
               SELECT FROM workflow_run_waits AS k
               WHERE k.tenant_id = p.tenant_id AND k.workflow_id = p.workflow_id
                 AND k.namespace = p.namespace AND k.correlation_key = %(key)s
                 AND (k.run_id = p.run_id OR k.run_id IS NULL)))
        ORDER BY tenant_id, started_at DESC, workflow_id DESC, run_id DESC LIMIT %(limit)s) AS r
    ORDER BY started_at DESC, tenant_id DESC, workflow_id DESC, run_id DESC LIMIT %(limit)s
)
SELECT {_COLUMNS} FROM listed AS r {_WAITS}
ORDER BY r.started_at DESC, r.tenant_id DESC, r.workflow_id DESC, r.run_id DESC
"""  # noqa: S608 - put together from constants of this module only

# Index: workflow_runs_by_run.
RUNS_BY_ID: Final = f"""
SELECT {_COLUMNS} FROM unnest(%(tenants)s::text[]) AS t (tenant_id) CROSS JOIN LATERAL (
    SELECT * FROM workflow_runs WHERE tenant_id = t.tenant_id AND run_id = %(run_id)s OFFSET 0
) AS r {_WAITS}
ORDER BY r.tenant_id, r.workflow_id
"""  # noqa: S608 - put together from constants of this module only

ALL_RUN_TENANTS: Final = tenants_in("workflow_runs")

# Index: workflow_run_waits_by_workflow.
WAITS_OF_RUN: Final = """
SELECT wait_id, event_name AS name, correlation_key, kind, status, disposition, reason, run_id,
       registered_at, expires_at, times_out_at, closed_at, detail
FROM workflow_run_waits
WHERE tenant_id = %(tenant)s AND workflow_id = %(workflow_id)s AND namespace = %(namespace)s
  AND (run_id = %(run_id)s OR run_id IS NULL)
ORDER BY position DESC LIMIT %(limit)s
"""

# Index: workflow_event_deliveries_by_wait, for the run's waits; the events' primary key.
EVENTS_OF_RUN: Final = """
SELECT d.event_id, e.event_name AS name, d.wait_id, d.correlation_key, d.status, d.reason,
       d.disposition, e.received_at, d.created_at, d.delivered_at, d.disposed_at
FROM workflow_run_waits AS w
JOIN workflow_event_deliveries AS d USING (tenant_id, wait_id)
LEFT JOIN workflow_runtime_events AS e
    ON e.tenant_id = d.tenant_id AND e.event_id = d.event_id
WHERE w.tenant_id = %(tenant)s AND w.workflow_id = %(workflow_id)s AND w.namespace = %(namespace)s
  AND (w.run_id = %(run_id)s OR w.run_id IS NULL)
ORDER BY d.position DESC LIMIT %(limit)s
"""

# Index: workflow_operator_actions_by_target.
ACTIONS_OF_RUN: Final = """
SELECT action_id, actor, action, reason, detail, at FROM workflow_operator_actions
WHERE tenant_id = %(tenant)s AND target_kind = 'run' AND target_id = %(run_id)s
ORDER BY at DESC LIMIT %(limit)s
"""

# Of several runs, each probed by itself. Index: the same.
ACTIONS_OF_RUNS: Final = """
SELECT i.run_id, a.* FROM unnest(%(run_ids)s::text[]) AS i (run_id)
CROSS JOIN LATERAL (
    SELECT action_id, actor, action, reason, detail, at FROM workflow_operator_actions
    WHERE tenant_id = %(tenant)s AND target_kind = 'run' AND target_id = i.run_id
    ORDER BY at DESC LIMIT %(limit)s
) AS a
ORDER BY a.at DESC LIMIT %(limit)s
"""
