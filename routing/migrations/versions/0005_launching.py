"""Launches carry their input; runs know their kind and their chain."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

LAUNCHES = """
ALTER TABLE workflow_event_launches
    ADD COLUMN input text,
    DROP CONSTRAINT workflow_event_launches_status_check,
    ADD CONSTRAINT workflow_event_launches_status_check
        CHECK (status IN ('pending', 'launched', 'dead', 'skipped'));
COMMENT ON COLUMN workflow_event_launches.input IS
    'The argument of the workflow as JSON; NULL: the whole event.';
COMMENT ON COLUMN workflow_event_launches.status IS
    'skipped: the trigger was considered and launches nothing, for the reason given.';
"""

RUNS = """
ALTER TABLE workflow_runs
    ADD COLUMN workflow_type text,
    ADD COLUMN task_queue    text,
    ADD COLUMN origin        text NOT NULL DEFAULT 'registered'
               CHECK (origin IN ('launched', 'registered', 'continued')),
    ADD COLUMN first_run_id  text,
    ADD COLUMN parent_run_id text;
COMMENT ON COLUMN workflow_runs.status IS
    'running, completed, failed, canceled, terminated, timed_out, continued_as_new or not_found; '
    'canceled without closed_at: Temporal took the request, and has not said that it ended.';
COMMENT ON COLUMN workflow_runs.first_run_id IS 'The first run of a continue-as-new chain.';
COMMENT ON COLUMN workflow_runs.parent_id IS 'Workflow id of the parent.';
CREATE INDEX workflow_runs_listed ON workflow_runs (tenant_id, started_at, workflow_id, run_id);
CREATE INDEX workflow_runs_of_event ON workflow_runs (tenant_id, event_id)
    WHERE event_id IS NOT NULL;
"""

# Partial, and so after the primary key: see the first schema.
OPEN_RUNS = """
CREATE INDEX workflow_runs_by_run ON workflow_runs (tenant_id, run_id);
ALTER TABLE workflow_runs DROP CONSTRAINT workflow_runs_pkey;
ALTER TABLE workflow_runs ADD PRIMARY KEY (tenant_id, workflow_id, run_id);
CREATE INDEX workflow_runs_open ON workflow_runs (tenant_id, workflow_id, run_id)
    WHERE closed_at IS NULL AND engine = 'temporal';
"""


def upgrade() -> None:
    """Add the columns and indexes."""
    for statement in (LAUNCHES, RUNS, OPEN_RUNS):
        op.execute(statement)


def downgrade() -> None:
    """Take them away again; launches that were skipped are forgotten."""
    op.execute(
        "DROP INDEX workflow_runs_open, workflow_runs_by_run, workflow_runs_of_event,"
        " workflow_runs_listed"
    )
    for column in (
        "workflow_type",
        "task_queue",
        "origin",
        "first_run_id",
        "parent_run_id",
    ):
        op.execute(f"ALTER TABLE workflow_runs DROP COLUMN {column}")
    op.execute("DELETE FROM workflow_event_launches WHERE status = 'skipped'")
    op.execute(
        "ALTER TABLE workflow_event_launches DROP COLUMN input,"
        " DROP CONSTRAINT workflow_event_launches_status_check,"
        " ADD CONSTRAINT workflow_event_launches_status_check"
        " CHECK (status IN ('pending', 'launched', 'dead'))"
    )
