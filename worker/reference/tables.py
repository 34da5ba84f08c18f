"""`docs/tables.md`: the tables of a migrated database, column by column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import dict_row

from worker.reference.column_meanings import COLUMNS, TABLES

PAGE: Final = """\
# Tables

What stands in the database. But for the tokens', every key and every index begins with `tenant_id`;
behind row-level security a tenant sees its own rows alone. The tables are an index, a projection
and an audit: nothing in them ever advances a run. Look, but change nothing by hand: the commands
and the API write the audit of operators beside what they do.

This page is made by `pointsman reference tables` from a database that was just migrated.
"""

_COLUMNS: Final[LiteralString] = """
SELECT c.relname AS table_name, a.attname AS column_name,
       format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required,
       coalesce(col_description(c.oid, a.attnum), '') AS comment
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
  AND c.relname LIKE 'workflow%'
ORDER BY c.relname, a.attnum
"""

_INDEXES: Final[LiteralString] = """
SELECT i.tablename AS table_name, i.indexname AS index_name,
       substring(i.indexdef FROM 'USING (.*)$') AS definition,
       x.indisprimary AS is_primary
FROM pg_indexes AS i
JOIN pg_index AS x ON x.indexrelid = format('%I.%I', i.schemaname, i.indexname)::regclass
WHERE i.schemaname = current_schema() AND i.tablename LIKE 'workflow%'
ORDER BY i.tablename, x.indisprimary DESC, i.indexname
"""


def tables_markdown(database_url: str) -> str:
    """The page, of the schema in this database. Raises psycopg.Error."""
    columns, indexes = _read(database_url, _COLUMNS), _read(database_url, _INDEXES)
    names = sorted({str(row["table_name"]) for row in columns})
    return PAGE + "".join(_section(name, _of(name, columns), _of(name, indexes)) for name in names)


def undescribed(database_url: str) -> Sequence[str]:
    """Tables and columns that the page would say nothing about."""
    columns = _read(database_url, _COLUMNS)
    missing = {str(row["table_name"]) for row in columns} - TABLES.keys()
    return sorted(missing) + [
        f"{row['table_name']}.{row['column_name']}" for row in columns if not _meaning(row)
    ]


def _read(database_url: str, statement: LiteralString) -> Sequence[Mapping[str, Any]]:
    with (
        psycopg.connect(database_url) as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        return cursor.execute(statement).fetchall()


def _of(table: str, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    return [row for row in rows if row["table_name"] == table]


def _section(
    table: str, columns: Sequence[Mapping[str, Any]], indexes: Sequence[Mapping[str, Any]]
) -> str:
    rows = "".join(
        f"| `{row['column_name']}` | {row['type']}{'' if row['required'] else ', optional'} "
        f"| {_meaning(row)} |\n"
        for row in columns
    )
    head = (
        f"\n## {table}\n\n{TABLES.get(table, '')}\n\n| column | type | meaning |\n|---|---|---|\n"
    )
    return f"{head}{rows}\n{''.join(_index_lines(indexes))}"


def _index_lines(indexes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in indexes:
        kind = "Primary key" if row["is_primary"] else f"Index `{row['index_name']}`"
        yield f"- {kind}: `{row['definition'].removeprefix('btree ')}`\n"


def _meaning(row: Mapping[str, Any]) -> str:
    """What stands beside the column in the database, behind what is said of this very column."""
    name = str(row["column_name"])
    own = COLUMNS.get(f"{row['table_name']}.{name}", "")
    comment = str(row["comment"])
    if not own and not comment:
        return COLUMNS.get(name, "")
    return " ".join(text for text in (own, comment) if text)
