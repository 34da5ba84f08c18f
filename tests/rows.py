"""Looking at tables from outside."""

from __future__ import annotations

from typing import Any

import psycopg


def one_row(database_url: str, query: str) -> tuple[object, ...]:
    with psycopg.connect(database_url) as connection:
        found = connection.execute(query.encode()).fetchall()
    assert len(found) == 1
    return tuple(found[0])


def rows(database_url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(query.encode()).fetchall()


def execute(database_url: str, statement: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(statement.encode())
