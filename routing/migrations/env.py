"""Alembic's entry: runs the revisions on the connection that `routing.migrations` hands over."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table="pointsman_schema_version")
with context.begin_transaction():
    context.run_migrations()
