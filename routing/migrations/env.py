"""Alembic's entry: runs the revisions on the connection that `routing.migrations` hands over."""

from __future__ import annotations

from alembic import context

from routing.schema_version import VERSION_TABLE

connection = context.config.attributes["connection"]
# Each revision is committed by itself, so that one may leave its transaction to build an index
# concurrently, and a later one that fails takes nothing of the earlier ones with it.
context.configure(
    connection=connection, version_table=VERSION_TABLE, transaction_per_migration=True
)
with context.begin_transaction():
    context.run_migrations()
