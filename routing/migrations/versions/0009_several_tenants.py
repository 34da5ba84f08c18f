"""Row-level security for a transaction of several tenants."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = (
    "workflow_runtime_events",
    "workflow_run_waits",
    "workflow_event_deliveries",
    "workflow_event_triggers",
    "workflow_event_launches",
    "workflow_runs",
    "workflow_rejected_entries",
    "workflow_human_tasks",
    "workflow_operator_actions",
)

# A policy beside the one for a single tenant, which processes of the release before go on using. A
# setting that a transaction made is left behind as an empty text in its session.
SEVERAL = """
CREATE POLICY current_tenants ON {table} TO pointsman_tenant
    USING (tenant_id <> ''
           AND tenant_id = ANY (nullif(current_setting('app.current_tenants', true), '')::text[]))
    WITH CHECK (tenant_id <> ''
           AND tenant_id = ANY (nullif(current_setting('app.current_tenants', true), '')::text[]))
"""


def upgrade() -> None:
    """Add the policy to every tenant's table."""
    for table in TABLES:
        op.execute(SEVERAL.format(table=table))


def downgrade() -> None:
    """Drop it."""
    for table in TABLES:
        op.execute(f"DROP POLICY current_tenants ON {table}")
