"""The schema's versions: bring a database up to date."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from routing.schema_version import VERSION_TABLE, newest_version, refuse_unknown

# Any constant: it only has to be the same in every process that migrates.
MIGRATION_LOCK: Final = 0x706F696E7473


def migrate(database_url: str) -> tuple[str | None, str]:
    """Upgrade the database to the newest version; safe to run from several processes at once.

    Returns the version before (None: empty database) and after. Raises SchemaMismatch when the
    database is newer than this program, and SQLAlchemy's OperationalError when it is unreachable.
    """
    with _connected(database_url) as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
        before = _version(connection)
        refuse_unknown(before)
        configuration = _configuration()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "head")
        connection.commit()
        after = newest_version()
        # Rolling back also ends a transaction that an idempotent second run left open.
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": MIGRATION_LOCK})
        connection.commit()
    return before, after


def _version(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    version = context.get_current_revision()
    connection.rollback()
    return version


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent))
    configuration.set_main_option("path_separator", "os")
    return configuration


@contextmanager
def _connected(database_url: str) -> Generator[Connection]:
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 10})
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
