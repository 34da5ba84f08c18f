"""Which versions of the schema this program works with, told without the tools that make them.

Every command asks, and loading those tools takes longer than most commands' whole work.

Versions are numbered one after the other. Most *expand* the schema: programs of the version before
work on it, so it is made before they are replaced. One whose script says `contract` in its name
takes away what only programs before it used: it is made after the last of them is gone. See
docs/upgrading.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from psycopg import sql

from routing.connections import BoundedConnection, connection_options
from routing.faults import SchemaMismatch

VERSION_TABLE: Final = "pointsman_schema_version"
SCRIPTS: Final = Path(__file__).parent / "migrations" / "versions"
CONNECT_WITHIN: Final = timedelta(seconds=10)
ANSWERS_WITHIN: Final = timedelta(seconds=10)

# Before that one there was no release: no program of an earlier version is in use.
FIRST_SERVED: Final = "0006"

# The whole row, because databases that were migrated earlier have no column serves_from.
STANDING: Final = f"SELECT to_jsonb(standing) FROM {VERSION_TABLE} AS standing"  # noqa: S608  a constant of ours


@dataclass(frozen=True, slots=True)
class SchemaStanding:
    """What a database says of its schema."""

    version: str | None
    """None: it has no schema of ours."""
    serves_from: str | None = None
    """The least version whose program works on it; None: it does not say."""

    @classmethod
    def of_row(cls, row: tuple[Any, ...] | None) -> SchemaStanding:
        """From the row of STANDING; None when there is no table or no row."""
        if row is None:
            return cls(None)
        return cls(str(row[0]["version_num"]), row[0].get("serves_from"))


async def check(database_url: str) -> str:
    """The database's version; raises SchemaMismatch unless this program works with it.

    Raises psycopg's OperationalError when the database cannot be reached, or does not answer.
    """
    async with await BoundedConnection.connect(
        database_url, **connection_options(database_url, "pointsman", CONNECT_WITHIN)
    ) as connection:
        connection.longest_answer = ANSWERS_WITHIN
        cursor = await connection.execute("SELECT to_regclass(%s)", (VERSION_TABLE,))
        found = await cursor.fetchone()
        row = None
        if found is not None and found[0] is not None:
            cursor = await connection.execute(sql.SQL(STANDING))
            row = await cursor.fetchone()
    return verify(SchemaStanding.of_row(row))


def verify(standing: SchemaStanding) -> str:
    """The version; raises SchemaMismatch, saying what to do, unless this program works with it."""
    version = standing.version
    if version is None:
        raise SchemaMismatch("the database has no Pointsman schema yet: run `pointsman migrate`")
    refuse_unknown(standing)
    if version < required_version():
        raise SchemaMismatch(
            f"the database schema is at version {version}, this program needs "
            f"{required_version()}: run `pointsman migrate`"
        )
    return version


def refuse_unknown(standing: SchemaStanding) -> None:
    """Raise SchemaMismatch for a version of a newer program that does not serve this one."""
    version, least = standing.version, standing.serves_from
    if version is None or version in versions():
        return
    if least is None or least > newest_version():
        raise SchemaMismatch(
            f"the database schema is at version {version}, which this program does not know "
            f"(its newest is {newest_version()}): install a newer Pointsman"
        )


def newest_version() -> str:
    """The newest schema version that this program knows."""
    return versions()[-1]


def required_version() -> str:
    """The least version that this program works with: its newest that is no contraction."""
    return next(version for version in reversed(versions()) if version not in contractions())


def served_from(version: str) -> str:
    """The least version whose program works with a schema of this version."""
    return max([FIRST_SERVED, *(known for known in contractions() if known <= version)])


@cache
def versions() -> tuple[str, ...]:
    """All versions from the first to the newest: the scripts are numbered, one after the other."""
    return tuple(sorted(path.name.partition("_")[0] for path in SCRIPTS.glob("[0-9]*_*.py")))


@cache
def contractions() -> frozenset[str]:
    """The versions that programs before them do not work with."""
    return frozenset(path.name.partition("_")[0] for path in SCRIPTS.glob("[0-9]*_contract_*.py"))
