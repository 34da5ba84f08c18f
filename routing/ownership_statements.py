"""The statements that fetch whose a workflow is. Index of all of them: the primary keys."""

from __future__ import annotations

from typing import Final

# The run that is asked for, or the newest, if it was launched by a trigger of the tenant (or
# continued from such a run), or if Temporal vouched for its registration.
PROVED_RUNS: Final = """
SELECT run_id, first_run_id, trigger_id IS NOT NULL AS launched FROM workflow_runs
WHERE tenant_id = %(tenant)s AND workflow_id = %(workflow_id)s AND namespace = %(namespace)s
  AND engine = 'temporal' AND (trigger_id IS NOT NULL OR vouched_by IS NOT NULL)
  AND (%(run_id)s::text IS NULL OR run_id = %(run_id)s)
ORDER BY started_at DESC NULLS LAST, run_id LIMIT 1
"""

PROOF_OF_WAIT: Final = """
SELECT namespace, workflow_id, run_id, vouched_by FROM workflow_run_waits
WHERE tenant_id = %(tenant)s AND wait_id = %(wait_id)s
"""

# Which of these tenants there are, in whatever way. Reads across tenants: for the service alone.
KNOWN_TENANTS: Final = """
SELECT i.tenant_id FROM unnest(%(tenants)s::text[]) AS i (tenant_id)
WHERE EXISTS (SELECT FROM workflow_run_waits AS w WHERE w.tenant_id = i.tenant_id)
   OR EXISTS (SELECT FROM workflow_runs AS r WHERE r.tenant_id = i.tenant_id)
   OR EXISTS (SELECT FROM workflow_runtime_events AS e WHERE e.tenant_id = i.tenant_id)
   OR EXISTS (SELECT FROM workflow_event_triggers AS t WHERE t.tenant_id = i.tenant_id)
   OR EXISTS (SELECT FROM workflow_api_tokens AS a WHERE i.tenant_id = ANY (a.tenants))
"""

# Of waits that a workflow registered by itself.
PROVED_WORKFLOWS: Final = """
SELECT w.tenant_id, w.wait_id, w.namespace, w.workflow_id
FROM unnest(%(tenants)b::text[], %(wait_ids)b::text[]) AS i (tenant_id, wait_id)
JOIN workflow_run_waits AS w USING (tenant_id, wait_id)
WHERE w.vouched_by = 'activity'
"""
