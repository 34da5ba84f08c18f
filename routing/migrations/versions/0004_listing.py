"""Indexes for listing all waits and all deliveries of a tenant, the newest first."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Each is partial, so that only the statements that say its condition can take it: an index that
# any statement may use would have to stand before the primary key (see the first schema). Nothing
# is written to those of deliveries before a delivery is settled.
LISTED = """
CREATE INDEX workflow_run_waits_listed ON workflow_run_waits
    (tenant_id, position) WHERE position > 0;
CREATE INDEX workflow_event_deliveries_settled ON workflow_event_deliveries
    (tenant_id, position) WHERE status <> 'pending';
CREATE INDEX workflow_event_deliveries_dead ON workflow_event_deliveries
    (tenant_id, position) WHERE status = 'dead';
"""


def upgrade() -> None:
    """Create the indexes."""
    op.execute(LISTED)


def downgrade() -> None:
    """Drop the indexes."""
    op.execute("DROP INDEX workflow_run_waits_listed")
    op.execute("DROP INDEX workflow_event_deliveries_settled")
    op.execute("DROP INDEX workflow_event_deliveries_dead")
