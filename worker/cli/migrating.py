"""`pointsman migrate`: the schema brought up to date, or what it needs told beforehand."""

from __future__ import annotations

import getpass
import os
from typing import Annotated

import typer

from worker.cli.reading import settings_with_warnings
from worker.setting_values import parse_duration


def migrate_command(
    contract: Annotated[
        bool,
        typer.Option(
            "--contract",
            help="Also take away what only older programs use: after the last of them has ended.",
        ),
    ] = False,
    statement_timeout: Annotated[
        str,
        typer.Option(
            "--statement-timeout",
            help="Longest time of one statement, such as the building of an index.",
        ),
    ] = "1h",
    print_roles: Annotated[
        bool,
        typer.Option(
            "--print-roles",
            help="Print what an administrator runs beforehand, for a role without CREATEROLE; "
            "nothing is connected.",
        ),
    ] = False,
) -> None:
    """Bring the database's schema up to date; harmless when it is already."""
    if print_roles:
        typer.echo(_roles(settings_with_warnings().database_url.get_secret_value()), nl=False)
        return
    from routing.migrations import MigrationLimits, migrate

    try:
        longest = parse_duration(statement_timeout)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error), param_hint="--statement-timeout") from error
    settings = settings_with_warnings()
    limits = MigrationLimits(settings.lock_timeout, longest)
    url = settings.database_url.get_secret_value()
    namespace = settings.temporal_namespace
    before, after = migrate(url, contract=contract, limits=limits, namespace=namespace)
    if before == after:
        typer.echo(f"the schema is at version {after} already")
    else:
        typer.echo(f"migrated the schema from {before or 'nothing'} to version {after}")


def _roles(url: str) -> str:
    from psycopg.conninfo import conninfo_to_dict

    from routing.migrations.roles import role_statements

    said = conninfo_to_dict(url)
    # As libpq chooses them where the address is silent.
    login = str(said.get("user") or os.environ.get("PGUSER") or getpass.getuser())
    database = str(said.get("dbname") or os.environ.get("PGDATABASE") or login)
    return role_statements(login, database)
