"""Waits and runs say who proved that their workflow is the tenant's."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Waits that are open at the upgrade stay in the reach of their tenant's tokens: nobody asked for a
# proof before, and their workflows will not register them again. A constant default is stored once,
# so no table is rewritten; what programs of the release before still write has no proof.
PROOFS = """
ALTER TABLE workflow_run_waits ADD COLUMN IF NOT EXISTS vouched_by text DEFAULT 'upgrade';
ALTER TABLE workflow_run_waits ALTER COLUMN vouched_by DROP DEFAULT;
COMMENT ON COLUMN workflow_run_waits.vouched_by IS
    'Who proved that the workflow is the tenant''s: activity, token, administrator; '
    'upgrade: nobody, the wait is older than the check; NULL: nobody, no token reaches it.';
ALTER TABLE workflow_runs ADD COLUMN IF NOT EXISTS vouched_by text;
COMMENT ON COLUMN workflow_runs.vouched_by IS
    'activity: the run itself registered a wait for the tenant, as Temporal says of the activity.';
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(PROOFS)


def downgrade() -> None:
    """Drop them."""
    for table in ("workflow_run_waits", "workflow_runs"):
        op.execute(f"ALTER TABLE {table} DROP COLUMN vouched_by")
