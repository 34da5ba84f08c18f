"""Waits, runs, deliveries and launches carry their namespace; waits and deliveries their chain."""

from __future__ import annotations

from alembic import context, op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# The column's default is the namespace of the process that migrates: rows that were there before,
# and those that programs of the release before still write, are in the one namespace they knew.
# A constant default is stored once, so no table is rewritten.
NAMESPACES = """
ALTER TABLE workflow_run_waits
    ADD COLUMN IF NOT EXISTS namespace text NOT NULL DEFAULT {namespace},
    ADD COLUMN IF NOT EXISTS first_run_id text;
COMMENT ON COLUMN workflow_run_waits.namespace IS 'Temporal namespace of the workflow.';
COMMENT ON COLUMN workflow_run_waits.first_run_id IS
    'First run of the chain that registered the wait; NULL: not known (yet).';
ALTER TABLE workflow_event_deliveries
    ADD COLUMN IF NOT EXISTS namespace text NOT NULL DEFAULT {namespace},
    ADD COLUMN IF NOT EXISTS first_run_id text;
COMMENT ON COLUMN workflow_event_deliveries.namespace IS 'Temporal namespace of the wait.';
COMMENT ON COLUMN workflow_event_deliveries.first_run_id IS 'First run of the chain of the wait.';
ALTER TABLE workflow_runs
    ADD COLUMN IF NOT EXISTS namespace text NOT NULL DEFAULT {namespace};
COMMENT ON COLUMN workflow_runs.namespace IS 'Temporal namespace of the run.';
ALTER TABLE workflow_event_launches
    ADD COLUMN IF NOT EXISTS namespace text NOT NULL DEFAULT {namespace};
COMMENT ON COLUMN workflow_event_launches.namespace IS 'Temporal namespace to start it in.';
ALTER TABLE workflow_event_triggers ADD COLUMN IF NOT EXISTS namespace text;
COMMENT ON COLUMN workflow_event_triggers.namespace IS
    'Temporal namespace of what it launches; NULL: the first of those served.';
"""

TABLES = (
    "workflow_run_waits",
    "workflow_event_deliveries",
    "workflow_runs",
    "workflow_event_launches",
    "workflow_event_triggers",
)

# Partial, with a condition that only the statements made for them repeat: to no other statement
# do they offer themselves (see the first schema).
INDEXES = {
    "workflow_run_waits_of_chains": "workflow_run_waits"
    " (tenant_id, workflow_id, first_run_id, run_id)"
    " WHERE status = 'waiting' AND first_run_id IS NOT NULL",
    "workflow_event_deliveries_due_by_namespace": "workflow_event_deliveries"
    " (tenant_id, namespace, due_at, position) WHERE status = 'pending' AND namespace <> ''",
    "workflow_event_launches_due_by_namespace": "workflow_event_launches"
    " (tenant_id, namespace, due_at) WHERE status = 'pending' AND namespace <> ''",
}


def _literal(text: str) -> str:
    """As SQL, in which SQLAlchemy takes no colon for a parameter."""
    return "'" + text.replace("'", "''").replace(":", r"\:") + "'"


def upgrade() -> None:
    """Add the columns, then the indexes."""
    namespace = str(context.config.attributes.get("namespace", "default"))
    op.execute(NAMESPACES.replace("{namespace}", _literal(namespace)))
    with op.get_context().autocommit_block():
        for name, rows in INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # of a run that failed
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {rows}")


def downgrade() -> None:
    """Drop them."""
    with op.get_context().autocommit_block():
        for name in INDEXES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} DROP COLUMN namespace")
    for table in ("workflow_run_waits", "workflow_event_deliveries"):
        op.execute(f"ALTER TABLE {table} DROP COLUMN first_run_id")
