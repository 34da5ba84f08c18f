"""Tokens of the HTTP API, and the audit of what operators did."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Not a tenant's table: a token may be bound to several tenants, and is looked up before any is
# known. There are few; on Citus it is a reference table.
TOKENS = """
CREATE TABLE workflow_api_tokens (
    token_id     text        NOT NULL,
    name         text        NOT NULL,
    token_hash   bytea       NOT NULL CHECK (octet_length(token_hash) = 32),
    scopes       text[]      NOT NULL CHECK (cardinality(scopes) > 0),
    tenants      text[]      NOT NULL CHECK (cardinality(tenants) > 0),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    PRIMARY KEY (token_id)
);
COMMENT ON COLUMN workflow_api_tokens.token_hash IS
    'SHA-256 of the whole token, which has 256 random bits; the token itself is kept nowhere.';
COMMENT ON COLUMN workflow_api_tokens.tenants IS '{*} stands for every tenant.';
"""

ACTIONS = """
CREATE TABLE workflow_operator_actions (
    tenant_id   text        NOT NULL,
    action_id   text        NOT NULL,
    actor       text        NOT NULL,
    action      text        NOT NULL,
    target_kind text        NOT NULL,
    target_id   text        NOT NULL,
    reason      text,
    detail      jsonb       NOT NULL DEFAULT '{}',
    at          timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, action_id)
);
CREATE INDEX workflow_operator_actions_listed ON workflow_operator_actions
    (tenant_id, at, action_id);
CREATE INDEX workflow_operator_actions_by_target ON workflow_operator_actions
    (tenant_id, target_kind, target_id);
"""

# A tenant's transaction cannot even name the tokens.
SERVICE_ONLY = """
ALTER TABLE workflow_api_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_api_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY every_token ON workflow_api_tokens TO pointsman_service
    USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON workflow_api_tokens TO pointsman_service;
"""

# What was done stays done: a tenant's transaction may add to this audit and read it, no more.
APPEND_ONLY = """
ALTER TABLE workflow_operator_actions ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_operator_actions FORCE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON workflow_operator_actions TO pointsman_service
    USING (true) WITH CHECK (true);
CREATE POLICY current_tenant ON workflow_operator_actions TO pointsman_tenant
    USING (tenant_id <> '' AND tenant_id = current_setting('app.current_tenant', true))
    WITH CHECK (tenant_id <> '' AND tenant_id = current_setting('app.current_tenant', true));
GRANT SELECT, INSERT, UPDATE, DELETE ON workflow_operator_actions TO pointsman_service;
GRANT SELECT, INSERT ON workflow_operator_actions TO pointsman_tenant;
"""


def upgrade() -> None:
    """Create the two tables behind the wall between tenants."""
    for statement in (TOKENS, ACTIONS, SERVICE_ONLY, APPEND_ONLY):
        op.execute(statement)


def downgrade() -> None:
    """Drop the two tables."""
    op.execute("DROP TABLE workflow_operator_actions")
    op.execute("DROP TABLE workflow_api_tokens")
