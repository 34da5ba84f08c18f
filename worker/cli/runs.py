"""`pointsman runs`: runs as they were seen of Temporal, and the controls over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from worker.cli.asking import actor, with_database
from worker.cli.audit_commands import (
    AsJson,
    Key,
    Limit,
    Since,
    Tenant,
    canonical_option,
    moment_option,
)
from worker.cli.failures import CommandFailed
from worker.cli.printing import Cell, clock, console, make_table, print_json, print_table
from worker.settings import Settings

if TYPE_CHECKING:  # imported on use: `--help` needs no client library
    from routing.database import Database
    from routing.run_controls import ControlEnd
    from routing.run_records import RunLine, RunQuery
    from routing.runs import RunStory

runs_app = typer.Typer(no_args_is_help=True, help="Look at runs, and cancel or signal them.")

COLUMNS: Final = (
    "started",
    "tenant",
    "workflow",
    "run",
    "type",
    "status",
    "origin",
    "waits",
    "closed",
)
RunId = Annotated[str, typer.Argument(metavar="RUN_ID")]
Why = Annotated[str, typer.Option("--why", help="At least three characters, for the audit.")]
Status = Annotated[
    str | None, typer.Option("--status", help="That stand so only (running, completed, ...).")
]
Workflow = Annotated[str | None, typer.Option("--workflow", help="Of this workflow id only.")]
Trigger = Annotated[str | None, typer.Option("--trigger", help="Launched by this trigger only.")]
Event = Annotated[str | None, typer.Option("--event", help="Launched by this event only.")]


@runs_app.callback()
def _runs() -> None:
    """Look at runs, and cancel or signal them."""


@runs_app.command("list")
def list_command(
    tenant: Tenant = None,
    key: Key = None,
    status: Status = None,
    workflow: Workflow = None,
    trigger: Trigger = None,
    event: Event = None,
    since: Since = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    query = _query(key, status, workflow, trigger, event, since)
    lines = _listed(tenant, query, limit)
    if as_json:
        for line in lines:
            print_json(line)
        return
    print_table(COLUMNS, [_row(line) for line in lines])


@runs_app.command("export")
def export_command(
    tenant: Tenant = None,
    key: Key = None,
    status: Status = None,
    workflow: Workflow = None,
    trigger: Trigger = None,
    event: Event = None,
    since: Since = None,
) -> None:
    """Write all runs that fit as JSON Lines, the newest first."""
    query = _query(key, status, workflow, trigger, event, since)
    for line in _listed(tenant, query, None):
        print_json(line)


@runs_app.command("show")
def show_command(run_id: RunId, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Tell everything about one run: its waits, its events, and what operators did."""

    async def work(database: Database, _settings: Settings) -> RunStory:
        from routing.runs import run_story

        run = await _one(database, run_id, tenant)
        async with database.transaction() as connection:
            return await run_story(connection, run)

    story = with_database(work)
    if as_json:
        print_json(asdict(story))
        return
    screen = console()
    facts = [(name, str(value)) for name, value in asdict(story.run).items() if value is not None]
    screen.print(make_table(("run", ""), facts))
    screen.print()
    rows = [(clock(m.at), m.what, m.about, m.detail) for m in story.timeline]
    screen.print(make_table(("at", "what", "about", "detail"), rows))


@runs_app.command("cancel")
def cancel_command(run_id: RunId, why: Why, tenant: Tenant = None) -> None:
    """Ask a run to cancel; it runs on, with its waits, until Temporal says that it has ended."""
    _control("cancel", run_id, tenant, why)


@runs_app.command("terminate")
def terminate_command(run_id: RunId, why: Why, tenant: Tenant = None) -> None:
    """End a run at once; its workflow cannot tidy up."""
    _control("terminate", run_id, tenant, why)


@runs_app.command("signal")
def signal_command(
    run_id: RunId,
    name: Annotated[str, typer.Argument(metavar="SIGNAL")],
    why: Why,
    tenant: Tenant = None,
    argument: Annotated[
        str | None, typer.Option("--input", help="The signal's one argument, as JSON.")
    ] = None,
) -> None:
    """Send a run a signal."""
    if argument is not None:
        from correlation.exact_reading import NotJson, read_json

        try:
            read_json(argument)
        except NotJson as error:
            raise typer.BadParameter(f"is no JSON: {error}", param_hint="--input") from None
    _control("signal", run_id, tenant, why, name, argument)


@runs_app.command("resume")
def resume_command(run_id: RunId, why: Why, tenant: Tenant = None) -> None:
    """Refused for a Temporal run; says what to do instead."""
    _control("resume", run_id, tenant, why)


@runs_app.command("retry")
def retry_command(run_id: RunId, why: Why, tenant: Tenant = None) -> None:
    """Refused for a Temporal run; says what to do instead."""
    _control("retry", run_id, tenant, why)


@runs_app.command("requeue-event-wait")
def requeue_command(run_id: RunId, why: Why, tenant: Tenant = None) -> None:
    """Refused for a Temporal run; says what to do instead."""
    _control("requeue_event_wait", run_id, tenant, why)


def _control(
    action: str,
    run_id: str,
    tenant: str | None,
    why: str,
    signal: str | None = None,
    argument: str | None = None,
) -> None:
    if len(why.strip()) < 3:
        raise typer.BadParameter("say why in at least 3 characters", param_hint="--why")

    async def work(database: Database, settings: Settings) -> ControlEnd:
        from routing.run_controls import Control, ControlOrder, RunControls
        from routing.temporal_runs import TemporalRun
        from routing.wakeups import NOTIFY
        from worker.codecs import Codecs
        from worker.temporal_worker import by_namespace, connect_lazily

        run = await _one(database, run_id, tenant)
        client = await connect_lazily(settings)
        others = by_namespace(client, settings, Codecs(settings)).values()
        port = TemporalRun(client, settings.signal_timeout, others=list(others))
        order = ControlOrder(
            control=Control(action),
            actor=actor(),
            reason=why.strip(),
            signal_name=signal,
            signal_input=argument,
        )
        end = await RunControls(database, port).carry_out(run, order)
        async with database.transaction() as connection:
            await connection.execute(NOTIFY)
        return end

    end = with_database(work)
    from routing.run_controls import Refusal

    if isinstance(end, Refusal):
        raise CommandFailed(f"nothing was changed: {end.detail} ({end.code}). {end.hint}")
    typer.echo(_told(action, run_id, end.status, end.closed_waits))


def _told(action: str, run_id: str, status: str, closed_waits: int) -> str:
    if status == "taken":
        return f"Temporal took the signal to run {run_id}"
    if status == "requested":
        return (
            f"Temporal took the request: {action} of run {run_id} is requested; it shows as "
            "running, with its waits, until Temporal says that it has ended"
        )
    return f"Temporal took it: run {run_id} is {status}; {closed_waits} waits were closed"


async def _one(database: Database, run_id: str, tenant: str | None) -> RunLine:
    from routing.runs import find_runs

    async with database.transaction() as connection:
        found = await find_runs(connection, None if tenant is None else [tenant], run_id)
    if not found:
        raise CommandFailed(f"no run {run_id!r} is known: see `pointsman runs list`")
    if len(found) > 1:
        owners = ", ".join(sorted(run.tenant for run in found))
        raise CommandFailed(f"several tenants have a run {run_id!r}: {owners}; --tenant")
    return found[0]


def _query(
    key: str | None,
    status: str | None,
    workflow: str | None,
    trigger: str | None,
    event: str | None,
    since: str | None,
) -> RunQuery:
    from routing.run_records import RunQuery

    return RunQuery(
        key=canonical_option(key),
        status=status,
        workflow_id=workflow,
        trigger_id=trigger,
        event_id=event,
        since=moment_option(since),
    )


def _listed(tenant: str | None, query: RunQuery, limit: int | None) -> Sequence[RunLine]:
    """The runs that fit, at most `limit`; None for all of them."""

    async def work(database: Database, _settings: Settings) -> Sequence[RunLine]:
        from routing.runs import page_of_runs

        tenants = None if tenant is None else [tenant]
        lines: list[RunLine] = []
        after = None
        while limit is None or len(lines) < limit:
            wanted = 1000 if limit is None else min(1000, limit - len(lines))
            async with database.transaction() as connection:
                page = await page_of_runs(connection, tenants, query, after=after, limit=wanted)
            lines.extend(page.lines)
            after = page.next
            if after is None:
                break
        return lines

    return with_database(work)


def _status(line: RunLine) -> str:
    if line.requested_control is None or line.closed_at is not None:
        return line.status
    return f"{line.status} ({line.requested_control} requested)"


def _row(line: RunLine) -> tuple[Cell, ...]:
    return (
        clock(line.started_at),
        line.tenant,
        line.workflow_id,
        line.run_id,
        line.workflow_type,
        _status(line),
        f"trigger {line.trigger_id}" if line.trigger_id else line.origin,
        line.open_waits,
        clock(line.closed_at),
    )
