"""The statements of human tasks, each with the index that it relies on."""

# ruff: noqa: S608 - the statements are put together from constants of this module only

from __future__ import annotations

from typing import Final

from routing.tenant_hop import tenants_in

# In the transaction that registers their waits.
REGISTER_TASKS: Final = """
INSERT INTO workflow_human_tasks (
    tenant_id, task_id, title, form, assignees, due_at, created_at
)
SELECT tenant_id, i.wait_id, title, i.form,
       ARRAY(SELECT jsonb_array_elements_text(i.assignees::jsonb)), i.due_at, w.registered_at
FROM unnest(
    %(tenants)b::text[], %(wait_ids)b::text[], %(titles)b::text[], %(forms)b::text[],
    %(assignees)b::text[], %(dues)b::timestamptz[]
) AS i (tenant_id, wait_id, title, form, assignees, due_at)
JOIN workflow_run_waits AS w USING (tenant_id, wait_id)
ON CONFLICT (tenant_id, task_id) DO NOTHING
"""

# What was asked when the task was registered; assignees may have changed since. Index: the primary
# key.
KNOWN_TASKS: Final = """
SELECT t.tenant_id, t.task_id, t.title, t.form
FROM unnest(%(tenants)b::text[], %(wait_ids)b::text[]) AS i (tenant_id, wait_id)
JOIN workflow_human_tasks AS t ON t.tenant_id = i.tenant_id AND t.task_id = i.wait_id
"""

# What an answer is held to; nobody is kept from acting meanwhile. Index: the primary key.
FORMS_OF_TASKS: Final = """
SELECT t.tenant_id, t.task_id, t.form
FROM unnest(%(tenants)b::text[], %(task_ids)b::text[]) AS i (tenant_id, task_id)
JOIN workflow_human_tasks AS t USING (tenant_id, task_id)
WHERE t.form IS NOT NULL AND t.completed_at IS NULL
"""

_COLUMNS: Final = """
t.tenant_id AS tenant, t.task_id, t.title, t.form, t.assignees, t.due_at, t.created_at,
t.claimed_by, t.claimed_at, t.completed_by, t.completed_at, t.completed_event_id AS event_id,
w.workflow_id, w.run_id,
w.status = 'waiting' AND (w.expires_at IS NULL OR w.expires_at > statement_timestamp()) AS waiting,
w.expires_at, w.times_out_at, w.closed_at, w.disposition, w.reason
"""

# Tasks, held until the transaction ends: whoever acts on them comes after. Index: the primary key.
HOLD_TASKS: Final = f"""
SELECT {_COLUMNS}
FROM unnest(%(tenants)b::text[], %(task_ids)b::text[]) AS i (tenant_id, task_id)
JOIN workflow_human_tasks AS t USING (tenant_id, task_id)
JOIN workflow_run_waits AS w ON w.tenant_id = t.tenant_id AND w.wait_id = t.task_id
ORDER BY t.tenant_id, t.task_id
FOR UPDATE OF t
"""

ALL_TASK_TENANTS: Final = tenants_in("workflow_human_tasks")

# The tasks of this id among the tenants; with several tenants there may be several.
FIND_TASKS: Final = f"""
SELECT {_COLUMNS}
FROM workflow_human_tasks AS t
JOIN workflow_run_waits AS w ON w.tenant_id = t.tenant_id AND w.wait_id = t.task_id
WHERE t.tenant_id = ANY (%(tenants)s::text[]) AND t.task_id = %(task_id)s
ORDER BY t.tenant_id
"""

_WANTED: Final = """
  AND (%(workflow_id)s::text IS NULL OR w.workflow_id = %(workflow_id)s)
  AND (%(names)s::text[] IS NULL OR t.claimed_by = ANY (%(names)s)
       OR (t.claimed_by IS NULL AND (t.assignees = '{}' OR t.assignees && %(names)s)))
"""

# Open tasks, those first that wait longest. Index: workflow_run_waits_of_people.
OPEN_TASKS: Final = f"""
SELECT {_COLUMNS}
FROM workflow_run_waits AS w
JOIN workflow_human_tasks AS t ON t.tenant_id = w.tenant_id AND t.task_id = w.wait_id
WHERE w.tenant_id = ANY (%(tenants)s::text[])
  AND w.status = 'waiting' AND w.kind = 'human' AND t.completed_at IS NULL
  AND (w.expires_at IS NULL OR w.expires_at > statement_timestamp())
  AND (%(after_at)s::timestamptz IS NULL OR (w.registered_at, w.wait_id, w.tenant_id)
       > (%(after_at)s, %(after_id)s::text, %(after_tenant)s::text)) {_WANTED}
ORDER BY w.registered_at, w.wait_id, w.tenant_id LIMIT %(limit)s
"""

# Every task, the newest first. Index: workflow_human_tasks_listed.
ALL_TASKS: Final = f"""
SELECT {_COLUMNS}
FROM workflow_human_tasks AS t
JOIN workflow_run_waits AS w ON w.tenant_id = t.tenant_id AND w.wait_id = t.task_id
WHERE t.tenant_id = ANY (%(tenants)s::text[])
  AND (%(after_at)s::timestamptz IS NULL OR (t.created_at, t.task_id, t.tenant_id)
       < (%(after_at)s, %(after_id)s::text, %(after_tenant)s::text)) {_WANTED}
ORDER BY t.created_at DESC, t.task_id DESC, t.tenant_id DESC LIMIT %(limit)s
"""

CLAIM_TASK: Final = """
UPDATE workflow_human_tasks SET claimed_by = %(name)s, claimed_at = statement_timestamp()
WHERE tenant_id = %(tenant)s AND task_id = %(task_id)s
"""

REASSIGN_TASK: Final = """
UPDATE workflow_human_tasks SET assignees = %(assignees)s, claimed_by = NULL, claimed_at = NULL
WHERE tenant_id = %(tenant)s AND task_id = %(task_id)s
"""

COMPLETE_TASK: Final = """
UPDATE workflow_human_tasks
SET completed_by = %(name)s, completed_at = statement_timestamp(),
    completed_event_id = %(event_id)s
WHERE tenant_id = %(tenant)s AND task_id = %(task_id)s AND completed_at IS NULL
"""

# Events that may complete a task, and were not recorded before. Index: the primary keys.
NEW_EVENTS: Final = """
SELECT ordinal FROM unnest(
    %(tenants)b::text[], %(event_ids)b::text[]
) WITH ORDINALITY AS i (tenant_id, event_id, ordinal)
WHERE NOT EXISTS (
    SELECT FROM workflow_runtime_events AS e
    WHERE e.tenant_id = i.tenant_id AND e.event_id = i.event_id)
"""

HISTORY_OF_TASK: Final = """
SELECT at, actor, action, reason, detail FROM workflow_operator_actions
WHERE tenant_id = %(tenant)s AND target_kind = 'task' AND target_id = %(task_id)s
ORDER BY at, action_id LIMIT %(limit)s
"""
