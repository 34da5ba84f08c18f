"""The schema's versions: bring a database up to date."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from routing import schema_version
from routing.migrations.roles import refuse_without_roles
from routing.schema_version import (
    STANDING,
    VERSION_TABLE,
    SchemaStanding,
    newest_version,
    refuse_unknown,
    required_version,
    served_from,
)

# Any constant: it only has to be the same in every process that migrates.
MIGRATION_LOCK: Final = 0x706F696E7473
LOCK_PERIOD: Final = 0.2


@dataclass(frozen=True, slots=True)
class MigrationLimits:
    """How long one statement of a migration may take, and wait for others.

    Whoever waits for a table makes everybody behind it wait, too: rather the migration fails, with
    nothing done that another try would not go on from.
    """

    lock_timeout: timedelta = timedelta(seconds=10)
    statement_timeout: timedelta = timedelta(hours=1)


def migrate(
    database_url: str,
    *,
    contract: bool = False,
    limits: MigrationLimits | None = None,
    namespace: str = "default",
) -> tuple[str | None, str]:
    """Upgrade the database; safe to run from several processes at once, and again.

    It goes as far as this program needs, on which programs of the version before work as well;
    with `contract` to the newest version, once none of those is left. A schema that is newer, and
    serves this program, is left as it is. `namespace` is the Temporal namespace of rows that were
    written before they named one. Returns the version before (None: empty database) and
    after. Raises SchemaMismatch when the database is too new for this program, RolesMissing when
    somebody else has to prepare the database, and SQLAlchemy's
    OperationalError when it is unreachable or a time limit was over.
    """
    with _connected(database_url) as connection, _alone(connection):
        _bound(connection, limits or MigrationLimits())
        before = _standing(connection)
        refuse_unknown(before)
        target = newest_version() if contract else required_version()
        if before.version is not None and before.version > target:
            return before.version, before.version
        if before.version != target:
            refuse_without_roles(connection)
        _upgrade(connection, target, namespace)
        return before.version, target


def _upgrade(connection: Connection, target: str, namespace: str = "default") -> None:
    configuration = Config()
    configuration.set_main_option("script_location", str(schema_version.SCRIPTS.parent))
    configuration.set_main_option("path_separator", "os")
    configuration.attributes["connection"] = connection
    configuration.attributes["namespace"] = namespace
    command.upgrade(configuration, target)
    # Beside Alembic's own column, so that a program that does not know the version can tell.
    connection.execute(
        text(f"ALTER TABLE {VERSION_TABLE} ADD COLUMN IF NOT EXISTS serves_from text")
    )
    connection.execute(
        text(f"UPDATE {VERSION_TABLE} SET serves_from = :least"),  # noqa: S608  a constant of ours
        {"least": served_from(target)},
    )
    connection.commit()


def _standing(connection: Connection) -> SchemaStanding:
    exists = connection.execute(text("SELECT to_regclass(:name)"), {"name": VERSION_TABLE}).scalar()
    row = connection.execute(text(STANDING)).fetchone() if exists else None
    connection.rollback()
    return SchemaStanding.of_row(None if row is None else tuple(row))


@contextmanager
def _alone(connection: Connection) -> Generator[None]:
    """Hold the lock of the session while the block runs: it outlives each step's transaction.

    It is asked for again and again, not waited for within a statement: an index that another
    process builds concurrently waits for every statement that is older, and so would never end.
    """
    taken = text("SELECT pg_try_advisory_lock(:lock)")
    while not connection.execute(taken, {"lock": MIGRATION_LOCK}).scalar():
        connection.rollback()
        time.sleep(LOCK_PERIOD)
    connection.commit()
    yield
    # Not after a failure: closing the connection, which follows, gives it back as well.
    connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": MIGRATION_LOCK})
    connection.commit()


def _bound(connection: Connection, limits: MigrationLimits) -> None:
    """For the session: a step that builds an index concurrently has no transaction."""
    for name in ("lock_timeout", "statement_timeout"):
        span: timedelta = getattr(limits, name)
        milliseconds = str(int(span.total_seconds() * 1000))
        bounded = text("SELECT set_config(:name, :value, false)")
        connection.execute(bounded, {"name": name, "value": milliseconds})
    connection.commit()


@contextmanager
def _connected(database_url: str) -> Generator[Connection]:
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 10})
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
