"""`pointsman triggers`: which events start which workflows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from correlation.triggers import TriggersError
from worker.cli.asking import actor, with_database
from worker.cli.audit_commands import AsJson, Limit, Name, Tenant
from worker.cli.failures import CommandFailed
from worker.cli.hiding import redaction
from worker.cli.printing import clock, print_json, print_table
from worker.settings import Settings
from worker.trigger_secrets import without_secrets
from worker.triggers_source import triggers_from_file

if TYPE_CHECKING:  # imported on use: `--help` needs no database driver
    from collections.abc import Sequence

    from correlation.triggers import Trigger
    from routing.database import Database
    from routing.triggers import Applied, TriggerLine

triggers_app = typer.Typer(no_args_is_help=True, help="Say which events start which workflows.")

Why = Annotated[
    str | None, typer.Option("--why", help="Stands in the audit beside who changed it.")
]


@triggers_app.callback()
def _triggers() -> None:
    """Say which events start which workflows."""


@triggers_app.command("apply")
def apply_command(
    file: Annotated[Path, typer.Argument(help="A .toml, .yaml or .json file.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    why: Why = None,
    as_json: AsJson = False,
) -> None:
    """Create or change the triggers of a file; all of them or, where one is wrong, none.

    Triggers that the file does not name stay as they are: `disable` switches one off.
    """
    triggers = _load_or_exit(file)

    async def work(database: Database, settings: Settings) -> Sequence[Applied]:
        from routing.triggers import apply_triggers

        return await apply_triggers(
            database,
            triggers,
            actor=actor(),
            reason=why,
            dry_run=dry_run,
            most_per_event=settings.quota_triggers_per_event,
        )

    applied = with_database(work)
    if as_json:
        for each in applied:
            print_json(each)
        return
    print_table(
        ("tenant", "trigger", "would be" if dry_run else "now", "version"),
        [(each.tenant, each.trigger_id, each.change, each.version) for each in applied],
    )


@triggers_app.command("list")
def list_command(
    tenant: Tenant = None, name: Name = None, limit: Limit = 50, as_json: AsJson = False
) -> None:
    """List triggers by tenant and id, disabled ones, too."""

    async def work(database: Database, _settings: Settings) -> Sequence[TriggerLine]:
        from routing.triggers import list_triggers

        tenants = None if tenant is None else [tenant]
        async with database.transaction() as connection:
            return await list_triggers(connection, tenants, event_name=name, limit=limit)

    hiding = redaction()
    lines = [without_secrets(line, hiding) for line in with_database(work)]
    if as_json:
        for line in lines:
            print_json(line)
        return
    print_table(
        ("tenant", "trigger", "event", "workflow", "task queue", "launches", "version", "changed"),
        [
            (
                line.tenant,
                line.trigger_id,
                line.event,
                line.workflow,
                line.task_queue,
                _launches(line),
                line.version,
                clock(line.updated_at),
            )
            for line in lines
        ],
    )


@triggers_app.command("disable")
def disable_command(
    trigger_id: Annotated[str, typer.Argument(metavar="TRIGGER")],
    tenant: Annotated[str, typer.Option("--tenant", help="Whose trigger it is.")],
    why: Why = None,
) -> None:
    """Let a trigger launch nothing any more; launches that are under way go on."""

    async def work(database: Database, _settings: Settings) -> TriggerLine | None:
        from routing.triggers import disable_trigger

        async with database.transaction() as connection:
            return await disable_trigger(connection, tenant, trigger_id, actor=actor(), reason=why)

    line = with_database(work)
    if line is None:
        raise CommandFailed(f"tenant {tenant} has no trigger {trigger_id!r}: see `triggers list`")
    typer.echo(f"trigger {trigger_id} of {tenant} is disabled (version {line.version})")


def _launches(line: TriggerLine) -> str:
    if not line.enabled:
        return "never (disabled)"
    conditions = ["no wait takes the event"] if line.only_without_wait else []
    conditions += [f"{path} is {values!r:.60}" for path, values in line.where.items()]
    return f"if {' and '.join(conditions)}" if conditions else "always"


def _load_or_exit(file: Path) -> Sequence[Trigger]:
    try:
        return triggers_from_file(file)
    except TriggersError as error:
        typer.echo(f"The triggers in {error.source} cannot be used; nothing was changed:", err=True)
        for fault in error.errors:
            typer.echo(f"  {fault}", err=True)
        raise typer.Exit(1) from None
