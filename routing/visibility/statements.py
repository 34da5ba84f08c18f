"""The statements of the feed, each with the index that it relies on."""

from __future__ import annotations

from typing import Final

# What a page of closings means here: the open runs among them are closed, and the open waits of
# their workflows are listed. A run that was continued as new is listed only: it is closed together
# with the run that follows it, which visibility does not name. A wait of another run that is still
# open is not concerned. A closing of a workflow that nobody here knows costs two probes.
# Indexes: workflow_runs_of_closings, workflow_run_waits_of_workflows; the primary key for the
# update.
FOLLOW_CLOSINGS: Final = """
WITH closings AS MATERIALIZED (
    SELECT * FROM unnest(
        %(workflow_ids)b::text[], %(run_ids)b::text[], %(statuses)b::text[],
        %(starts)b::timestamptz[], %(ends)b::timestamptz[], %(workflow_types)b::text[],
        %(task_queues)b::text[], %(parents)b::text[], %(parent_runs)b::text[]
    ) AS i (workflow_id, run_id, status, started_at, closed_at, workflow_type, task_queue,
            parent_id, parent_run_id)
), known AS MATERIALIZED (
    SELECT o.tenant_id, c.* FROM closings AS c CROSS JOIN LATERAL (
        SELECT tenant_id FROM workflow_runs
        WHERE run_id = c.run_id AND workflow_id = c.workflow_id AND closed_at IS NULL
          AND engine = 'temporal' AND namespace <> '' AND namespace = %(namespace)s
        OFFSET 0
    ) AS o
    ORDER BY o.tenant_id, c.workflow_id, c.run_id
), closed AS (
    UPDATE workflow_runs AS r
    SET status = k.status, closed_at = k.closed_at,
        started_at = coalesce(k.started_at, r.started_at),
        workflow_type = coalesce(k.workflow_type, r.workflow_type),
        task_queue = coalesce(k.task_queue, r.task_queue),
        parent_id = coalesce(k.parent_id, r.parent_id),
        parent_run_id = coalesce(k.parent_run_id, r.parent_run_id),
        updated_at = statement_timestamp()
    FROM known AS k
    WHERE r.tenant_id = k.tenant_id AND r.workflow_id = k.workflow_id AND r.run_id = k.run_id
      AND r.closed_at IS NULL AND k.status <> 'continued_as_new'
)
SELECT tenant_id, workflow_id, run_id, status, NULL AS wait_id, NULL AS run_of_wait,
       NULL AS first_run_id
FROM known
UNION ALL
SELECT w.tenant_id, c.workflow_id, c.run_id, c.status, w.wait_id, w.run_id, w.first_run_id
FROM closings AS c CROSS JOIN LATERAL (
    SELECT tenant_id, wait_id, run_id, first_run_id FROM workflow_run_waits AS o
    WHERE workflow_id = c.workflow_id AND status = 'waiting'
      AND namespace <> '' AND namespace = %(namespace)s
      AND (run_id IS NULL OR run_id = c.run_id OR NOT EXISTS (
          SELECT FROM workflow_runs AS r
          WHERE r.tenant_id = o.tenant_id AND r.workflow_id = o.workflow_id
            AND r.run_id = o.run_id AND r.closed_at IS NULL
          OFFSET 0))
    LIMIT %(most_waits)s
) AS w
WHERE c.status <> 'continued_as_new'
"""

# Where visibility cannot be asked: runs whose waits closed lately are likely to end soon. The
# newest first, for the older ones were looked at before.
# Indexes: workflow_run_waits_ended, hopped through by tenant; the runs' primary key.
LATELY_ANSWERED: Final = """
WITH RECURSIVE tenants (tenant_id) AS (
    (SELECT tenant_id FROM workflow_run_waits WHERE status = 'closed' ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT n.tenant_id FROM workflow_run_waits AS n
            WHERE n.status = 'closed' AND n.tenant_id > t.tenant_id ORDER BY n.tenant_id LIMIT 1)
    FROM tenants AS t WHERE t.tenant_id IS NOT NULL
)
SELECT DISTINCT r.tenant_id, r.workflow_id, r.run_id
FROM tenants AS t CROSS JOIN LATERAL (
    SELECT tenant_id, workflow_id, run_id FROM workflow_run_waits
    WHERE tenant_id = t.tenant_id AND status = 'closed'
      AND closed_at > statement_timestamp() - %(within)s::interval
    ORDER BY closed_at DESC LIMIT %(count)s
) AS w
JOIN workflow_runs AS r ON r.tenant_id = w.tenant_id AND r.workflow_id = w.workflow_id
    AND r.run_id = w.run_id
WHERE t.tenant_id IS NOT NULL AND r.closed_at IS NULL AND r.engine = 'temporal'
  AND r.namespace = %(namespace)s
LIMIT %(count)s
"""
