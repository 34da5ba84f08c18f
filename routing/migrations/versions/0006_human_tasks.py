"""Human tasks: what a wait of kind `human` asks of a person."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TASKS = """
CREATE TABLE workflow_human_tasks (
    tenant_id          text        NOT NULL,
    task_id            text        NOT NULL,
    title              text        NOT NULL,
    form               text,
    assignees          text[]      NOT NULL,
    due_at             timestamptz,
    created_at         timestamptz NOT NULL,
    claimed_by         text,
    claimed_at         timestamptz,
    completed_by       text,
    completed_at       timestamptz,
    completed_event_id text
);
COMMENT ON COLUMN workflow_human_tasks.task_id IS 'The id of the wait.';
COMMENT ON COLUMN workflow_human_tasks.form IS 'JSON Schema of the answer; NULL: any object.';
CREATE INDEX workflow_human_tasks_listed ON workflow_human_tasks
    (tenant_id, created_at, task_id);
ALTER TABLE workflow_human_tasks ADD PRIMARY KEY (tenant_id, task_id);
"""

# Partial, so that only the statement that says its condition can take it; nothing is written to it
# for any other wait.
OPEN_TASKS = """
CREATE INDEX CONCURRENTLY workflow_run_waits_of_people ON workflow_run_waits
    (tenant_id, registered_at, wait_id) WHERE status = 'waiting' AND kind = 'human';
"""

TENANT_WALL = """
ALTER TABLE workflow_human_tasks ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_human_tasks FORCE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON workflow_human_tasks TO pointsman_service
    USING (true) WITH CHECK (true);
CREATE POLICY current_tenant ON workflow_human_tasks TO pointsman_tenant
    USING (tenant_id <> '' AND tenant_id = current_setting('app.current_tenant', true))
    WITH CHECK (tenant_id <> '' AND tenant_id = current_setting('app.current_tenant', true));
GRANT SELECT, INSERT, UPDATE, DELETE ON workflow_human_tasks
    TO pointsman_service, pointsman_tenant;
"""


NO_OPEN_TASKS = "DROP INDEX CONCURRENTLY IF EXISTS workflow_run_waits_of_people"


def upgrade() -> None:
    """Create the index of open tasks, and the table behind the wall between tenants."""
    with op.get_context().autocommit_block():
        op.execute(NO_OPEN_TASKS)  # half of it, from a run that failed
        op.execute(OPEN_TASKS)
    op.execute(TASKS)
    op.execute(TENANT_WALL)


def downgrade() -> None:
    """Drop both."""
    op.execute("DROP TABLE workflow_human_tasks")
    with op.get_context().autocommit_block():
        op.execute(NO_OPEN_TASKS)
