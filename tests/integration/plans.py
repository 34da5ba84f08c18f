"""Reading how Postgres would carry a statement out, as a client's prepared statement would be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import psycopg

Mode = Literal["force_generic_plan", "force_custom_plan"]

_PLACEHOLDER: Final = re.compile(r"%\((\w+)\)[sb]")
_SCANS: Final = {"Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan"}


@dataclass(frozen=True, slots=True)
class Scan:
    """One way of reaching rows of a table."""

    table: str
    """Empty for a bitmap: there the index tells."""
    index: str | None
    """None: all of the table is read."""
    condition: str
    """By what the index is entered; empty: all of it is walked."""


def scans(
    connection: psycopg.Connection[Any], statement: str, terms: Mapping[str, Any], mode: Mode
) -> list[Scan]:
    """Every scan of one of our tables in the statement's plan."""
    names: list[str] = []

    def numbered(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    text = _PLACEHOLDER.sub(numbered, statement)
    values = [terms[name] for name in names]
    arguments = f"({', '.join('%s' for _ in values)})" if values else ""
    connection.execute(f"SET plan_cache_mode = {mode}".encode())
    connection.execute(f"PREPARE measured AS {text}".encode())
    try:
        with psycopg.ClientCursor(connection) as cursor:
            explain = f"EXPLAIN (FORMAT JSON) EXECUTE measured {arguments}"
            row = cursor.execute(explain.encode(), values).fetchone()
    finally:
        connection.execute("DEALLOCATE measured")
    assert row is not None
    return list(_scans_in(row[0][0]["Plan"]))


def _scans_in(node: Mapping[str, Any]) -> Iterator[Scan]:
    table, index = node.get("Relation Name", ""), node.get("Index Name")
    if node["Node Type"] in _SCANS and (table or index):
        yield Scan(table, index, node.get("Index Cond", ""))
    for child in node.get("Plans", []):
        yield from _scans_in(child)
