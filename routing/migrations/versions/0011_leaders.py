"""One leader for each duty, where its walks stand, and open runs and waits by Temporal's ids."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

LEASES = """
CREATE TABLE workflow_leases (
    tenant_id  text        NOT NULL DEFAULT '',
    duty       text        NOT NULL,
    owner      text        NOT NULL,
    taken_at   timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, duty)
);
COMMENT ON COLUMN workflow_leases.tenant_id IS 'Empty: the duty is one of the whole database.';
COMMENT ON COLUMN workflow_leases.expires_at IS 'When another process may take it over.';
"""

CURSORS = """
CREATE TABLE workflow_walk_cursors (
    tenant_id  text        NOT NULL DEFAULT '',
    walk       text        NOT NULL,
    namespace  text        NOT NULL DEFAULT '',
    place      jsonb       NOT NULL,
    began_at   timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, walk, namespace)
);
COMMENT ON COLUMN workflow_walk_cursors.tenant_id IS 'Empty: the walk goes through all tenants.';
COMMENT ON COLUMN workflow_walk_cursors.namespace IS
    'Temporal namespace that is walked; empty: the walk asks Temporal nothing.';
COMMENT ON COLUMN workflow_walk_cursors.place IS 'Behind which row it goes on.';
COMMENT ON COLUMN workflow_walk_cursors.began_at IS 'When the walk began at the beginning.';
"""

# What a tenant's transaction cannot even name.
SERVICE_ONLY = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY every_row ON {table} TO pointsman_service USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO pointsman_service;
"""

# What Temporal says of a namespace names no tenant. Hashed, for they are only ever asked for one
# id, and ids are long. Partial, with conditions that only the statements made for them repeat.
INDEXES = {
    "workflow_run_waits_of_workflows": "workflow_run_waits USING hash (workflow_id)"
    " WHERE status = 'waiting' AND namespace <> ''",
    "workflow_runs_of_closings": "workflow_runs USING hash (run_id)"
    " WHERE closed_at IS NULL AND engine = 'temporal' AND namespace <> ''",
}


def upgrade() -> None:
    """Create the tables, then the indexes."""
    for table, statement in (("workflow_leases", LEASES), ("workflow_walk_cursors", CURSORS)):
        op.execute(statement)
        op.execute(SERVICE_ONLY.replace("{table}", table))
    with op.get_context().autocommit_block():
        for name, rows in INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # of a run that failed
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {rows}")


def downgrade() -> None:
    """Drop them."""
    with op.get_context().autocommit_block():
        for name in INDEXES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    op.execute("DROP TABLE workflow_walk_cursors")
    op.execute("DROP TABLE workflow_leases")
