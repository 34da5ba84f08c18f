"""Sessions of the console: what a browser keeps is a session of its own, and no API token."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Like workflow_api_tokens not a tenant's table. What a session may do is read from its API token,
# as that stands now. A JWT is kept nowhere, so its session keeps what it said.
SESSIONS = """
CREATE TABLE workflow_console_sessions (
    session_hash bytea       NOT NULL CHECK (octet_length(session_hash) = 32),
    actor        text        NOT NULL,
    token_id     text,
    identity     text        NOT NULL,
    scopes       text[]      NOT NULL,
    tenants      text[]      NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (session_hash)
);
COMMENT ON COLUMN workflow_console_sessions.session_hash IS
    'SHA-256 of the 256 random bits in the cookie; they are kept nowhere.';
COMMENT ON COLUMN workflow_console_sessions.token_id IS
    'The API token that opened it; NULL: a JWT did. Scopes and tenants are then those of the JWT.';
CREATE INDEX workflow_console_sessions_of_caller ON workflow_console_sessions
    (identity, created_at);
CREATE INDEX workflow_console_sessions_expiring ON workflow_console_sessions (expires_at);
ALTER TABLE workflow_console_sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_console_sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY every_session ON workflow_console_sessions TO pointsman_service
    USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON workflow_console_sessions TO pointsman_service;
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(SESSIONS)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE workflow_console_sessions")
