"""`pointsman rules`: looking at derivation rules before they are used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from correlation.rules import EVERY_NAME, Rules, RulesError
from worker.cli.asking import with_database
from worker.rules_source import (
    RULES_FILE_VARIABLE,
    RULES_VARIABLE,
    rules_from_environment,
    rules_from_file,
)
from worker.settings import Settings

if TYPE_CHECKING:  # imported on use: `--help` needs no database driver
    from routing.database import Database
    from routing.uncorrelatable import Uncorrelatable

rules_app = typer.Typer(no_args_is_help=True, help="Look at derivation rules.")


@rules_app.callback()
def _rules() -> None:
    """Look at derivation rules."""


@rules_app.command("check")
def check_command(
    file: Annotated[
        Path | None,
        typer.Argument(help="A .toml, .yaml or .json file; without it, the environment's rules."),
    ] = None,
    against_waits: Annotated[
        bool,
        typer.Option(
            "--against-waits", help="Warn of awaited names whose events no key is found in."
        ),
    ] = False,
) -> None:
    """Compile rules and print what each event name's paths read; list every wrong entry.

    Exits with 1 when an entry is wrong; warnings are none.
    """
    rules = load_or_exit(file)
    for name in sorted(rules.by_name, key=lambda name: (name == EVERY_NAME, name)):
        typer.echo(name)
        for path in rules.by_name[name]:
            typer.echo(f"  {path.text}  reads {path.normalized}")
    if not rules.by_name:
        typer.echo("no rules")
    typer.echo(f"version {rules.version}")
    if against_waits:
        _print_warnings(rules)


def _print_warnings(rules: Rules) -> None:
    """What `EVENT_WAIT_UNCORRELATABLE` says of the waits and triggers in the database."""

    async def work(database: Database, _settings: Settings) -> list[Uncorrelatable]:
        from routing.audit_tenants import known_tenants
        from routing.uncorrelatable import uncorrelatable

        async with database.transaction() as connection:
            found = [
                await uncorrelatable(connection, tenant, rules)
                for tenant in await known_tenants(connection)
            ]
        return [warning for warnings in found for warning in warnings]

    warnings = with_database(work)
    for warning in warnings:
        place = f"{warning.tenant}, {warning.awaited_by} on {warning.event_name}"
        typer.echo(f"warning: {warning.code}: {place}: {warning.sentence}")
    if not warnings:
        typer.echo("every awaited name has events with a key, or a path that may find one")


def load_or_exit(file: Path | None) -> Rules:
    """The rules of the file, or of the environment; exits with 1 after listing what is wrong."""
    try:
        return rules_from_file(file) if file else rules_from_environment(os.environ)
    except RulesError as error:
        source = error.source or f"{RULES_VARIABLE}, {RULES_FILE_VARIABLE}"
        typer.echo(f"The rules in {source} cannot be used:", err=True)
        for entry in error.errors:
            typer.echo(f"  {entry}", err=True)
        raise typer.Exit(1) from None
