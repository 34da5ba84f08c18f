"""Indexes for explaining: closed waits by what they waited for, and by when they ended."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Partial, so that nothing is written to them while a wait is open.
CLOSED_WAITS = """
CREATE INDEX workflow_run_waits_closed ON workflow_run_waits
    (tenant_id, event_name, correlation_key, position) WHERE status = 'closed';
CREATE INDEX workflow_run_waits_ended ON workflow_run_waits
    (tenant_id, closed_at, wait_id) WHERE status = 'closed';
"""

# The primary key has to be the youngest index: see the first schema.
PRIMARY_KEY_LAST = """
ALTER TABLE workflow_run_waits DROP CONSTRAINT workflow_run_waits_pkey;
ALTER TABLE workflow_run_waits ADD PRIMARY KEY (tenant_id, wait_id);
"""


def upgrade() -> None:
    """Create the two indexes and make the primary key anew."""
    op.execute(CLOSED_WAITS)
    op.execute(PRIMARY_KEY_LAST)


def downgrade() -> None:
    """Drop the two indexes."""
    op.execute("DROP INDEX workflow_run_waits_closed")
    op.execute("DROP INDEX workflow_run_waits_ended")
