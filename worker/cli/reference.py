"""`pointsman reference`: pages of the documentation that are made from the product."""

from __future__ import annotations

from typing import Final

import typer

from worker.cli.reading import settings_with_warnings

reference_app: Final = typer.Typer(
    no_args_is_help=True, help="Print pages of the documentation that are made from the product."
)


@reference_app.callback()
def _reference() -> None:
    """Print pages of the documentation that are made from the product."""


@reference_app.command("commands")
def commands_command() -> None:
    """Print docs/commands.md: every command with its options."""
    # Imported on use: the application names this module, too.
    from worker.cli.application import everything
    from worker.reference.commands import commands_markdown

    typer.echo(commands_markdown(everything()), nl=False)


@reference_app.command("reasons")
def reasons_command() -> None:
    """Print docs/reasons.md: the list of reasons."""
    from worker.reference.reasons import reasons_markdown

    typer.echo(reasons_markdown(), nl=False)


@reference_app.command("limits")
def limits_command() -> None:
    """Print docs/limits.md: the limits of work, and the quotas."""
    from worker.reference.limits import limits_markdown

    typer.echo(limits_markdown(), nl=False)


@reference_app.command("tables")
def tables_command() -> None:
    """Print docs/tables.md: the tables in the database, which has to be migrated."""
    from worker.reference.tables import tables_markdown

    settings = settings_with_warnings()
    typer.echo(tables_markdown(settings.database_url.get_secret_value()), nl=False)
