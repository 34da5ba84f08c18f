"""What lists distinguish: dead launches, reasons of deliveries, time-outs, requested controls."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE workflow_run_waits ADD COLUMN IF NOT EXISTS times_out_at timestamptz;
COMMENT ON COLUMN workflow_run_waits.times_out_at IS
    'When the workflow gives up by itself; NULL: never, or it did not say.';
COMMENT ON COLUMN workflow_run_waits.expires_at IS
    'When the wait is retired whatever its workflow says: some time after times_out_at.';
ALTER TABLE workflow_runs
    ADD COLUMN IF NOT EXISTS requested_control text,
    ADD COLUMN IF NOT EXISTS requested_at timestamptz;
COMMENT ON COLUMN workflow_runs.requested_control IS
    'cancel or terminate: Temporal took the request. The status is what Temporal says of the run.';
COMMENT ON COLUMN workflow_runs.status IS
    'running, completed, failed, canceled, terminated, timed_out, continued_as_new or not_found.';
COMMENT ON COLUMN workflow_runtime_events.context IS
    'What the envelope says beside the event; judged_by: the payload schema that judged it.';
"""

# Partial, so that only the statements made for them take them: see the first schema. Nothing is
# written to those of deliveries while all goes well.
INDEXES = {
    "workflow_event_launches_listed": "workflow_event_launches"
    " (tenant_id, created_at, event_id, trigger_id) WHERE created_at > '-infinity'",
    "workflow_event_launches_dead": "workflow_event_launches"
    " (tenant_id, created_at, event_id, trigger_id) WHERE status = 'dead'",
    "workflow_event_launches_reasons": "workflow_event_launches"
    " (tenant_id, reason) WHERE reason IS NOT NULL AND status <> 'skipped'",
    "workflow_event_deliveries_reasons": "workflow_event_deliveries"
    " (tenant_id, reason) WHERE reason IS NOT NULL",
}


def upgrade() -> None:
    """Add the columns, then build the indexes while everybody goes on."""
    op.execute(COLUMNS)
    with op.get_context().autocommit_block():
        for name, definition in INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")


def downgrade() -> None:
    """Take them away again."""
    for name in INDEXES:
        op.execute(f"DROP INDEX IF EXISTS {name}")
    op.execute("ALTER TABLE workflow_run_waits DROP COLUMN times_out_at")
    op.execute("ALTER TABLE workflow_runs DROP COLUMN requested_control, DROP COLUMN requested_at")
