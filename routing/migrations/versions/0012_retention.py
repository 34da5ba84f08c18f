"""An index by which runs that have ended are found when their time is over."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# What operators did has workflow_operator_actions_listed.
NAME = "workflow_runs_ended"
ENDED = f"""
CREATE INDEX CONCURRENTLY {NAME} ON workflow_runs (tenant_id, closed_at, run_id)
    WHERE closed_at IS NOT NULL
"""


def upgrade() -> None:
    """Build it while everybody goes on."""
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")  # of a run that failed
        op.execute(ENDED)


def downgrade() -> None:
    """Drop it."""
    op.execute(f"DROP INDEX IF EXISTS {NAME}")
