"""`pointsman launches`: what events start through triggers, and another chance for what died."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.asking import actor, with_database
from worker.cli.audit_commands import AsJson, Limit, Since, Tenant, moment_option
from worker.cli.printing import clock, print_json, print_table

if TYPE_CHECKING:  # imported on use: `--help` needs no database driver
    from collections.abc import Sequence

    from routing.database import Database
    from routing.launch_pages import LaunchCount, LaunchLine, Retried
    from worker.settings import Settings

launches_app = typer.Typer(no_args_is_help=True, help="Look at what events start, and retry it.")

Status = Annotated[
    str | None, typer.Option("--status", help="pending, launched, dead or skipped only.")
]
Reason = Annotated[str | None, typer.Option("--reason", help="For this reason only.")]
Trigger = Annotated[str | None, typer.Option("--trigger", help="Of this trigger only.")]
Event = Annotated[str | None, typer.Option("--event", help="Of this event id only.")]
Why = Annotated[str, typer.Option("--why", help="The reason; it stands in the audit beside you.")]
SHORTEST_WHY = 3


@launches_app.callback()
def _launches() -> None:
    """Look at what events start, and retry it."""


@launches_app.command("list")
def list_command(
    tenant: Tenant = None,
    status: Status = None,
    reason: Reason = None,
    trigger: Trigger = None,
    event: Event = None,
    since: Since = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List launches, the newest first."""

    async def work(database: Database, _settings: Settings) -> Sequence[LaunchLine]:
        from routing.launch_pages import LaunchQuery, page_of_launches

        query = LaunchQuery(
            status=status,
            reason=reason,
            trigger_id=trigger,
            event_id=event,
            since=moment_option(since),
        )
        async with database.transaction() as connection:
            page = await page_of_launches(connection, _tenants(tenant), query, limit=limit)
        return page.lines

    lines = with_database(work)
    if as_json:
        for line in lines:
            print_json(line)
        return
    print_table(
        ("recorded", "tenant", "event", "trigger", "workflow", "status", "tries", "reason"),
        [
            (
                clock(line.created_at),
                line.tenant,
                line.event_id,
                line.trigger_id,
                f"{line.workflow_type} {line.workflow_id}",
                line.status,
                line.attempts,
                ": ".join(filter(None, (line.reason, line.detail))),
            )
            for line in lines
        ],
    )


@launches_app.command("count")
def count_command(tenant: Tenant = None, since: Since = None, as_json: AsJson = False) -> None:
    """Count launches by tenant, trigger, status and reason."""

    async def work(database: Database, _settings: Settings) -> Sequence[LaunchCount]:
        from routing.launch_pages import count_launches

        async with database.transaction() as connection:
            return await count_launches(connection, _tenants(tenant), since=moment_option(since))

    counts = with_database(work)
    if as_json:
        for count in counts:
            print_json(count)
        return
    rows = [(c.tenant, c.trigger_id, c.status, c.reason, c.count) for c in counts]
    print_table(("tenant", "trigger", "status", "reason", "launches"), rows)


@launches_app.command("retry")
def retry_command(
    why: Why,
    tenant: Tenant = None,
    event: Event = None,
    trigger: Trigger = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Try dead launches again, the oldest first; nothing is started twice."""
    if event is None and trigger is None and reason is None:
        raise typer.BadParameter("say which dead launches: --event, --trigger or --reason")
    if len(why.strip()) < SHORTEST_WHY:
        raise typer.BadParameter("say why in at least 3 characters", param_hint="--why")

    async def work(database: Database, _settings: Settings) -> Sequence[Retried]:
        from routing.launch_pages import LaunchQuery, retry_launches
        from routing.wakeups import NOTIFY

        query = LaunchQuery(event_id=event, trigger_id=trigger, reason=reason)
        async with database.transaction() as connection:
            retried = await retry_launches(
                connection, _tenants(tenant), query, actor=actor(), why=why.strip()
            )
            await connection.execute(NOTIFY)
        return retried

    retried = with_database(work)
    if as_json:
        for each in retried:
            print_json(each)
        return
    for each in retried:
        typer.echo(f"{each.tenant} {each.event_id} {each.trigger_id}: on its way again")
    typer.echo(f"{len(retried)} dead launches are tried again")


def _tenants(tenant: str | None) -> Sequence[str] | None:
    return None if tenant is None else [tenant]
