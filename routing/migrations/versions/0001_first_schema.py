"""First schema: events, waits, deliveries, triggers, launches, runs, rejected entries.

Every key and index begins with tenant_id, nothing cascades and no foreign key crosses a table, so
that each table can be distributed by tenant_id as it is.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The order of the indexes matters: on a small table without statistics all of them cost the same,
# Postgres then takes the youngest that it can use, and a prepared statement keeps that plan until
# the table is analysed. So a table's general indexes come first, then its primary key, and the
# partial ones, which only the statements made for them can use, last. Tests read the plans.
EVENTS = """
CREATE TABLE workflow_runtime_events (
    tenant_id          text        NOT NULL,
    event_id           text        NOT NULL,
    event_name         text        NOT NULL,
    outcome            text        NOT NULL
                       CHECK (outcome IN ('matched', 'no_wait', 'unresolved')),
    reason             text,
    detail             text,
    correlation_key    text,
    correlation_keys   text[],
    further_key_hashes bigint[],
    key_source         text        NOT NULL
                       CHECK (key_source IN ('explicit', 'derived', 'missing')),
    key_detail         text,
    rules_version      text        NOT NULL,
    payload            text        NOT NULL,
    content_digest     bytea       NOT NULL,
    context            jsonb,
    stream             text        NOT NULL,
    entry_id           text        NOT NULL,
    occurred_at        timestamptz,
    received_at        timestamptz NOT NULL,
    available_until    timestamptz,
    redeliveries       integer     NOT NULL DEFAULT 0
);
COMMENT ON COLUMN workflow_runtime_events.correlation_keys IS
    'All keys, the primary first; NULL when there is at most one.';
COMMENT ON COLUMN workflow_runtime_events.further_key_hashes IS
    'Lock hashes of the keys after the primary; NULL when there are none.';
COMMENT ON COLUMN workflow_runtime_events.available_until IS
    'A look-back may take the event until then; NULL: never, or no longer.';
CREATE INDEX workflow_runtime_events_listed ON workflow_runtime_events
    (tenant_id, received_at, event_id);
ALTER TABLE workflow_runtime_events ADD PRIMARY KEY (tenant_id, event_id);
CREATE INDEX workflow_runtime_events_available ON workflow_runtime_events
    (tenant_id, event_name, correlation_key, received_at)
    WHERE available_until IS NOT NULL AND correlation_key IS NOT NULL;
CREATE INDEX workflow_runtime_events_further_keys ON workflow_runtime_events
    USING gin (further_key_hashes) WHERE further_key_hashes IS NOT NULL;
"""

WAITS = """
CREATE TABLE workflow_run_waits (
    tenant_id       text        NOT NULL,
    wait_id         text        NOT NULL,
    event_name      text        NOT NULL,
    correlation_key text        NOT NULL,
    workflow_id     text        NOT NULL,
    run_id          text,
    signal_name     text        NOT NULL,
    kind            text        NOT NULL,
    cardinality     text        NOT NULL CHECK (cardinality IN ('all', 'exclusive')),
    filter          text,
    lookback        interval    NOT NULL,
    status          text        NOT NULL CHECK (status IN ('waiting', 'closed')),
    disposition     text        CHECK (disposition IN ('accepted', 'timed_out', 'cancelled')),
    reason          text,
    detail          text,
    registered_at   timestamptz NOT NULL,
    expires_at      timestamptz,
    closed_at       timestamptz,
    position        bigint      GENERATED ALWAYS AS IDENTITY
);
COMMENT ON COLUMN workflow_run_waits.position IS 'Order of registration: the oldest is the least.';
CREATE INDEX workflow_run_waits_by_workflow ON workflow_run_waits (tenant_id, workflow_id);
ALTER TABLE workflow_run_waits ADD PRIMARY KEY (tenant_id, wait_id);
CREATE INDEX workflow_run_waits_open ON workflow_run_waits
    (tenant_id, event_name, correlation_key, position) WHERE status = 'waiting';
CREATE INDEX workflow_run_waits_expiring ON workflow_run_waits
    (tenant_id, expires_at) WHERE status = 'waiting' AND expires_at IS NOT NULL;
"""

DELIVERIES = """
CREATE TABLE workflow_event_deliveries (
    tenant_id       text        NOT NULL,
    event_id        text        NOT NULL,
    wait_id         text        NOT NULL,
    workflow_id     text        NOT NULL,
    run_id          text,
    signal_name     text        NOT NULL,
    correlation_key text        NOT NULL,
    cardinality     text        NOT NULL,
    status          text        NOT NULL
                    CHECK (status IN ('pending', 'delivered', 'dead', 'withdrawn')),
    looked_back     boolean     NOT NULL,
    attempts        integer     NOT NULL DEFAULT 0,
    due_at          timestamptz NOT NULL,
    lease_owner     text,
    reason          text,
    detail          text,
    disposition     text        CHECK (disposition IN ('accepted', 'filtered', 'late')),
    disposed_at     timestamptz,
    created_at      timestamptz NOT NULL,
    delivered_at    timestamptz,
    position        bigint      GENERATED ALWAYS AS IDENTITY
);
COMMENT ON COLUMN workflow_event_deliveries.due_at IS
    'While pending: when it may be claimed; a lease is a due_at in the future with its owner.';
COMMENT ON COLUMN workflow_event_deliveries.position IS 'Order of signalling within a workflow.';
CREATE INDEX workflow_event_deliveries_by_wait ON workflow_event_deliveries (tenant_id, wait_id);
ALTER TABLE workflow_event_deliveries ADD PRIMARY KEY (tenant_id, event_id, wait_id);
CREATE INDEX workflow_event_deliveries_due ON workflow_event_deliveries
    (tenant_id, due_at, position) WHERE status = 'pending';
CREATE INDEX workflow_event_deliveries_in_order ON workflow_event_deliveries
    (tenant_id, workflow_id, position) WHERE status = 'pending';
"""

LAUNCHES = """
CREATE TABLE workflow_event_triggers (
    tenant_id         text        NOT NULL,
    trigger_id        text        NOT NULL,
    event_name        text        NOT NULL,
    workflow_type     text        NOT NULL,
    task_queue        text        NOT NULL,
    input_mapping     jsonb       NOT NULL DEFAULT '{}',
    filter            text,
    only_without_wait boolean     NOT NULL DEFAULT false,
    enabled           boolean     NOT NULL DEFAULT true,
    version           integer     NOT NULL DEFAULT 1,
    updated_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, trigger_id)
);
CREATE INDEX workflow_event_triggers_enabled ON workflow_event_triggers
    (tenant_id, event_name) WHERE enabled;
CREATE TABLE workflow_event_launches (
    tenant_id       text        NOT NULL,
    event_id        text        NOT NULL,
    trigger_id      text        NOT NULL,
    trigger_version integer     NOT NULL,
    workflow_id     text        NOT NULL,
    workflow_type   text        NOT NULL,
    task_queue      text        NOT NULL,
    status          text        NOT NULL CHECK (status IN ('pending', 'launched', 'dead')),
    attempts        integer     NOT NULL DEFAULT 0,
    due_at          timestamptz NOT NULL,
    lease_owner     text,
    reason          text,
    detail          text,
    run_id          text,
    created_at      timestamptz NOT NULL,
    launched_at     timestamptz,
    PRIMARY KEY (tenant_id, event_id, trigger_id)
);
CREATE INDEX workflow_event_launches_due ON workflow_event_launches
    (tenant_id, due_at) WHERE status = 'pending';
CREATE TABLE workflow_runs (
    tenant_id   text        NOT NULL,
    workflow_id text        NOT NULL,
    run_id      text        NOT NULL,
    engine      text        NOT NULL DEFAULT 'temporal',
    status      text        NOT NULL,
    trigger_id  text,
    event_id    text,
    parent_id   text,
    started_at  timestamptz NOT NULL,
    closed_at   timestamptz,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, workflow_id, run_id)
);
"""

REJECTED = """
CREATE TABLE workflow_rejected_entries (
    tenant_id   text        NOT NULL DEFAULT '',
    stream      text        NOT NULL,
    entry_id    text        NOT NULL,
    outcome     text        NOT NULL CHECK (outcome IN ('malformed', 'rejected')),
    reason      text        NOT NULL,
    detail      text        NOT NULL,
    event_id    text,
    event_name  text,
    raw         bytea       NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, stream, entry_id)
);
COMMENT ON COLUMN workflow_rejected_entries.tenant_id IS
    'Empty when the entry names no usable tenant; such rows only the service itself may read.';
CREATE INDEX workflow_rejected_entries_listed ON workflow_rejected_entries
    (tenant_id, received_at, entry_id);
CREATE INDEX workflow_rejected_entries_by_event ON workflow_rejected_entries
    (tenant_id, event_id) WHERE event_id IS NOT NULL;
"""

# Group roles are global to a Postgres server: another database of it may have made them already,
# at this very moment even.
ROLES = """
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['pointsman_service', 'pointsman_tenant'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
            END;
        END IF;
        IF NOT pg_has_role(current_user, role_name, 'USAGE')
           OR NOT pg_has_role(current_user, role_name, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', role_name);
        END IF;
    END LOOP;
END
$$;
"""

TABLES = (
    "workflow_runtime_events",
    "workflow_run_waits",
    "workflow_event_deliveries",
    "workflow_event_triggers",
    "workflow_event_launches",
    "workflow_runs",
    "workflow_rejected_entries",
)

# FORCE makes the owner obey, too: only members of pointsman_service see every tenant.
TENANT_WALL = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON {table} TO pointsman_service USING (true) WITH CHECK (true);
CREATE POLICY current_tenant ON {table} TO pointsman_tenant
    USING (tenant_id <> '' AND tenant_id = current_setting('app.current_tenant', true))
    WITH CHECK (tenant_id <> '' AND tenant_id = current_setting('app.current_tenant', true));
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO pointsman_service, pointsman_tenant;
"""


def upgrade() -> None:
    """Create the tables, the two group roles and the wall between tenants."""
    for statement in (EVENTS, WAITS, DELIVERIES, LAUNCHES, REJECTED, ROLES):
        op.execute(statement)
    for table in TABLES:
        op.execute(TENANT_WALL.format(table=table))


def downgrade() -> None:
    """Drop the tables; the group roles stay, other databases may use them."""
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
