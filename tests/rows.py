"""Looking at tables from outside."""

from __future__ import annotations

import psycopg


def one_row(database_url: str, query: str) -> tuple[object, ...]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(query.encode()).fetchall()
    assert len(rows) == 1
    return tuple(rows[0])


def execute(database_url: str, statement: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(statement.encode())
