"""A migrated template database per run, and a copy of it per test."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

PATIENCE_SECONDS: Final = 60.0


def create_template(database_url: str) -> str:
    """The address of a new database with every migration applied."""
    from routing.migrations import migrate  # imported late: runs without a database need no driver

    name = f"pointsman_template_{secrets.token_hex(4)}"
    _execute(database_url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    template_url = _with_database(database_url, name)
    migrate(template_url)
    return template_url


@contextmanager
def database_from(template_url: str, database_url: str) -> Iterator[str]:
    """A copy of the template while the block runs; connections left open are cut at its end."""
    name = f"pointsman_test_{secrets.token_hex(6)}"
    template = urlsplit(template_url).path.lstrip("/")
    identifiers = sql.Identifier(name), sql.Identifier(template)
    _execute(database_url, sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*identifiers))
    try:
        yield _with_database(database_url, name)
    finally:
        drop_database(_with_database(database_url, name), database_url)


def drop_database(url: str, database_url: str) -> None:
    """Drop the database of `url`, connected to the one of `database_url`."""
    name = sql.Identifier(urlsplit(url).path.lstrip("/"))
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            _execute(database_url, drop)
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectInUse):
            # Postgres' own autovacuum is in it: only a superuser may cut that short.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def _execute(database_url: str, statement: sql.Composed) -> None:
    plain = database_url.replace("postgresql+psycopg:", "postgresql:", 1)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(statement)


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
