"""Every table can be distributed by tenant_id as it is: what Citus asks of keys, read here."""

from __future__ import annotations

from typing import Final

import psycopg

# Few rows, of no single tenant, looked up before any is known: a copy on every node.
REFERENCE_TABLES: Final = {"workflow_api_tokens", "workflow_console_sessions"}
# Alembic's own, read at the coordinator alone.
LOCAL_TABLES: Final = {"pointsman_schema_version"}

TABLES = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)
UNIQUE_COLUMNS = """
SELECT tables.relname, indexes.relname, array_agg(columns.attname::text)
FROM pg_index
JOIN pg_class AS tables ON tables.oid = indrelid
JOIN pg_class AS indexes ON indexes.oid = indexrelid
JOIN pg_attribute AS columns ON columns.attrelid = indrelid AND columns.attnum = ANY (indkey)
WHERE tables.relnamespace = 'public'::regnamespace AND (indisunique OR indisexclusion)
GROUP BY 1, 2
"""
FIRST_COLUMNS = """
SELECT tables.relname, indexes.relname, methods.amname, columns.attname
FROM pg_index
JOIN pg_class AS tables ON tables.oid = indrelid
JOIN pg_class AS indexes ON indexes.oid = indexrelid
JOIN pg_am AS methods ON methods.oid = indexes.relam
LEFT JOIN pg_attribute AS columns ON columns.attrelid = indrelid AND columns.attnum = indkey[0]
WHERE tables.relnamespace = 'public'::regnamespace
"""
WITHOUT_TENANT = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND NOT EXISTS (
    SELECT FROM pg_attribute
    WHERE attrelid = pg_class.oid AND attname = 'tenant_id' AND attnotnull
      AND atttypid = 'text'::regtype
)
"""
FOREIGN_KEYS = "SELECT conname FROM pg_constraint WHERE contype = 'f'"
TRIGGERS = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"


def test_every_distributed_table_has_a_tenant_in_each_row(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        without = {str(row[0]) for row in connection.execute(WITHOUT_TENANT)}
        known = {str(row[0]) for row in connection.execute(TABLES)}

    assert without == REFERENCE_TABLES | LOCAL_TABLES
    assert known > without


def test_every_unique_key_of_a_distributed_table_has_the_tenant_in_it(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        keys = connection.execute(UNIQUE_COLUMNS).fetchall()

    lacking = {
        index
        for table, index, columns in keys
        if table not in REFERENCE_TABLES | LOCAL_TABLES and "tenant_id" not in columns
    }

    assert len(keys) > len(REFERENCE_TABLES | LOCAL_TABLES)
    assert lacking == set()


def test_every_ordered_index_of_a_distributed_table_begins_with_the_tenant(
    database_url: str,
) -> None:
    with psycopg.connect(database_url) as connection:
        indexes = connection.execute(FIRST_COLUMNS).fetchall()

    elsewhere = {
        index
        for table, index, method, column in indexes
        if table not in REFERENCE_TABLES | LOCAL_TABLES
        and method == "btree"
        and column != "tenant_id"
    }

    assert elsewhere == set()


def test_no_table_leans_on_another(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        foreign_keys = connection.execute(FOREIGN_KEYS).fetchall()
        triggers = connection.execute(TRIGGERS).fetchall()

    assert foreign_keys == []
    assert triggers == []
