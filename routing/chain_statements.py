"""The statements about whose a wait is. Index of all of them: the primary keys."""

from __future__ import annotations

from typing import Final

# A wait says whose it is when it is registered, or else the first time that somebody asks.
BIND_WAITS: Final = """
UPDATE workflow_run_waits AS w
SET run_id = coalesce(w.run_id, i.run_id), first_run_id = i.first_run_id
FROM unnest(
    %(tenants)b::text[], %(wait_ids)b::text[], %(run_ids)b::text[], %(first_run_ids)b::text[]
) AS i (tenant_id, wait_id, run_id, first_run_id)
WHERE w.tenant_id = i.tenant_id AND w.wait_id = i.wait_id AND w.first_run_id IS NULL
RETURNING w.wait_id
"""

CHAINS_OF_WAITS: Final = """
SELECT w.tenant_id, w.wait_id, w.namespace, w.workflow_id, w.run_id, w.first_run_id
FROM unnest(%(tenants)b::text[], %(wait_ids)b::text[]) AS i (tenant_id, wait_id)
JOIN workflow_run_waits AS w USING (tenant_id, wait_id)
WHERE w.status = 'waiting'
"""

# A later run of the same chain registers the wait anew: it knows it, as the run before did.
MOVE_WAIT: Final = """
UPDATE workflow_run_waits SET run_id = %(run_id)s
WHERE tenant_id = %(tenant)s AND wait_id = %(wait_id)s AND first_run_id = %(first_run_id)s
RETURNING wait_id
"""

# Under the locks of the wait's keys. The wait of a chain that is gone makes room for one of another
# chain with the same id; it stays in the audit under its id with that of its run.
SET_ASIDE: Final = """
WITH gone AS (
    UPDATE workflow_run_waits SET wait_id = %(aside)s
    WHERE tenant_id = %(tenant)s AND wait_id = %(wait_id)s AND status = 'closed'
      AND first_run_id = %(first_run_id)s
    RETURNING tenant_id
), deliveries AS (
    UPDATE workflow_event_deliveries AS d SET wait_id = %(aside)s
    FROM gone WHERE d.tenant_id = gone.tenant_id AND d.wait_id = %(wait_id)s
)
UPDATE workflow_human_tasks AS t SET task_id = %(aside)s
FROM gone WHERE t.tenant_id = gone.tenant_id AND t.task_id = %(wait_id)s
"""
