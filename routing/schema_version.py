"""Which version of the schema this program needs, told without the tools that make it.

Every command asks, and loading those tools takes longer than most commands' whole work.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from routing.faults import SchemaMismatch

VERSION_TABLE: Final = "pointsman_schema_version"
SCRIPTS: Final = Path(__file__).parent / "migrations" / "versions"
CONNECT_SECONDS: Final = 10


def check(database_url: str) -> str:
    """The database's version; raises SchemaMismatch unless it is this program's own.

    Raises psycopg's OperationalError when the database is unreachable.
    """
    with psycopg.connect(database_url, connect_timeout=CONNECT_SECONDS) as connection:
        found = connection.execute("SELECT to_regclass(%s)", (VERSION_TABLE,)).fetchone()
        row = None
        if found is not None and found[0] is not None:
            query = sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(VERSION_TABLE))
            row = connection.execute(query).fetchone()
    verify(None if row is None else str(row[0]))
    return newest_version()


def verify(version: str | None) -> None:
    """Raise SchemaMismatch, saying what to do, unless `version` is this program's own."""
    if version is None:
        raise SchemaMismatch("the database has no Pointsman schema yet: run `pointsman migrate`")
    refuse_unknown(version)
    if version != newest_version():
        raise SchemaMismatch(
            f"the database schema is at version {version}, this program needs "
            f"{newest_version()}: run `pointsman migrate`"
        )


def refuse_unknown(version: str | None) -> None:
    """Raise SchemaMismatch for a version that no script of this program leads to."""
    if version is not None and version not in versions():
        raise SchemaMismatch(
            f"the database schema is at version {version}, which this program does not know "
            f"(its newest is {newest_version()}): install a newer Pointsman"
        )


def newest_version() -> str:
    """The schema version that this program was written for."""
    return versions()[-1]


@cache
def versions() -> tuple[str, ...]:
    """All versions from the first to the newest: the scripts are numbered, one after the other."""
    return tuple(sorted(path.name.partition("_")[0] for path in SCRIPTS.glob("[0-9]*_*.py")))
