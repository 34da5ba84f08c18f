"""`pointsman tasks`: what workflows ask of people, and answering it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from worker.cli.asking import actor, with_database
from worker.cli.audit_commands import AsJson, Limit, Tenant
from worker.cli.failures import CommandFailed
from worker.cli.printing import Cell, clock, console, make_table, print_json, print_table
from worker.settings import Settings

if TYPE_CHECKING:  # imported on use: `--help` needs no client library
    from routing.database import Database
    from routing.task_records import Person, TaskEnd, TaskLine
    from routing.tasks import TaskDesk

tasks_app = typer.Typer(no_args_is_help=True, help="Look at what people are asked, and answer it.")

COLUMNS: Final = ("asked", "tenant", "task", "title", "for", "due", "status", "workflow")
TaskId = Annotated[str, typer.Argument(metavar="TASK_ID")]
As = Annotated[
    str | None,
    typer.Option(
        "--as", help="Act as this person (an assignee's name); written down beside who types."
    ),
]
Why = Annotated[str, typer.Option("--why", help="At least three characters, for the audit.")]


@tasks_app.callback()
def _tasks() -> None:
    """Look at what people are asked, and answer it."""


@tasks_app.command("list")
def list_command(
    tenant: Tenant = None,
    mine: Annotated[
        str | None, typer.Option("--mine", metavar="NAME", help="What this person may complete.")
    ] = None,
    workflow: Annotated[
        str | None, typer.Option("--workflow", help="Of this workflow id only.")
    ] = None,
    closed_too: Annotated[
        bool, typer.Option("--all", help="Completed and closed tasks, too; the newest first.")
    ] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List open tasks, those that wait longest first."""

    async def work(database: Database, _settings: Settings) -> Sequence[TaskLine]:
        from routing.task_pages import TaskQuery, page_of_tasks
        from routing.task_records import names_of_person

        names = None if mine is None else names_of_person(mine)
        query = TaskQuery(names=names, workflow_id=workflow, closed_too=closed_too)
        tenants = None if tenant is None else [tenant]
        async with database.transaction() as connection:
            page = await page_of_tasks(connection, tenants, query, limit=limit)
        return page.lines

    lines = with_database(work)
    if as_json:
        for line in lines:
            print_json(_shown(line))
        return
    print_table(COLUMNS, [_row(line) for line in lines])


@tasks_app.command("show")
def show_command(task_id: TaskId, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Tell everything about one task: its form, how it stands, and what people did with it."""

    async def work(
        database: Database, _settings: Settings
    ) -> tuple[TaskLine, Sequence[dict[str, Any]]]:
        from routing.task_pages import history_of_task

        task = await _one(database, task_id, tenant)
        async with database.transaction() as connection:
            return task, await history_of_task(connection, task)

    task, history = with_database(work)
    if as_json:
        print_json({"task": _shown(task), "history": history})
        return
    screen = console()
    facts = [
        (name.replace("_", " "), _fact(value))
        for name, value in _shown(task).items()
        if value not in (None, ())
    ]
    screen.print(make_table(("task", ""), facts))
    screen.print()
    rows = [(clock(act["at"]), act["actor"], act["action"], act["reason"]) for act in history]
    screen.print(make_table(("at", "who", "what", "said"), rows))


def _fact(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case datetime():
            return clock(value)
        case tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)


@tasks_app.command("claim")
def claim_command(task_id: TaskId, tenant: Tenant = None, acting: As = None) -> None:
    """Reserve a task: nobody else completes it then."""

    async def act(desk: TaskDesk, task: TaskLine, person: Person) -> TaskEnd:
        return await desk.claim(task.tenant, task.task_id, person)

    _act("claimed", task_id, tenant, acting, act)


@tasks_app.command("reassign")
def reassign_command(
    task_id: TaskId,
    why: Why,
    to: Annotated[
        list[str] | None, typer.Option("--to", help="Who shall complete it; may be repeated.")
    ] = None,
    tenant: Tenant = None,
    acting: As = None,
) -> None:
    """Give a task to others; without --to anybody of the tenant may complete it."""
    if len(why.strip()) < 3:
        raise typer.BadParameter("say why in at least 3 characters", param_hint="--why")

    async def act(desk: TaskDesk, task: TaskLine, person: Person) -> TaskEnd:
        return await desk.reassign(task.tenant, task.task_id, person, to or [], why.strip())

    _act("reassigned", task_id, tenant, acting, act)


@tasks_app.command("comment")
def comment_command(
    task_id: TaskId,
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    tenant: Tenant = None,
    acting: As = None,
) -> None:
    """Write a comment into a task's history."""
    if not text.strip():
        raise typer.BadParameter("must not be blank", param_hint="TEXT")

    async def act(desk: TaskDesk, task: TaskLine, person: Person) -> TaskEnd:
        return await desk.comment(task.tenant, task.task_id, person, text.strip())

    _act("commented", task_id, tenant, acting, act)


@tasks_app.command("complete")
def complete_command(
    task_id: TaskId,
    answer: Annotated[str, typer.Option("--answer", help="What fits the form, as JSON.")] = "{}",
    comment: Annotated[str | None, typer.Option("--comment", help="For the history.")] = None,
    tenant: Tenant = None,
    acting: As = None,
) -> None:
    """Complete a task, once; the answer goes to its workflow."""
    given = _object(answer)

    async def act(desk: TaskDesk, task: TaskLine, person: Person) -> TaskEnd:
        from worker.room_settings import rules_of
        from worker.settings import load_settings

        rules = rules_of(load_settings())
        return await desk.complete(task.tenant, task.task_id, person, given, rules, comment)

    _act("completed", task_id, tenant, acting, act)


def _act(
    done: str,
    task_id: str,
    tenant: str | None,
    acting: str | None,
    act: Callable[[TaskDesk, TaskLine, Person], Awaitable[TaskEnd]],
) -> None:
    async def work(database: Database, settings: Settings) -> TaskEnd:
        from routing.chained_waits import ChainedWaits
        from routing.task_records import Person
        from routing.tasks import TaskDesk
        from routing.temporal_chains import TemporalChains
        from routing.wakeups import NOTIFY
        from worker.bounded.budgets import work_limits
        from worker.bounded.judge import Judge
        from worker.bounded.workers import Workers
        from worker.temporal_worker import connect_lazily

        task = await _one(database, task_id, tenant)
        chains = TemporalChains(
            await connect_lazily(settings),
            settings.signal_timeout,
            namespaces=settings.temporal_namespaces,
        )
        workers = Workers(work_limits(settings))
        desk = TaskDesk(
            database,
            settings.buffer_ttl,
            settings.temporal_namespace,
            ChainedWaits(database, chains).retire_gone,
            Judge(workers),
        )
        try:
            end = await act(desk, task, Person(actor(), acting or actor()))
        finally:
            await workers.aclose()
        async with database.transaction() as connection:
            await connection.execute(NOTIFY)
        return end

    end = with_database(work)
    from routing.task_records import TaskRefusal

    if isinstance(end, TaskRefusal):
        raise CommandFailed(f"nothing was changed: {end.detail}")
    typer.echo(f"task {task_id} is {done}")


async def _one(database: Database, task_id: str, tenant: str | None) -> TaskLine:
    from routing.task_pages import find_tasks

    async with database.transaction() as connection:
        tenants = None if tenant is None else [tenant]
        found = await find_tasks(connection, tenants, task_id)
    if not found:
        raise CommandFailed(f"no task {task_id!r} is known: see `pointsman tasks list --all`")
    if len(found) > 1:
        owners = ", ".join(task.tenant for task in found)
        raise CommandFailed(f"several tenants have a task {task_id!r}: {owners}; --tenant")
    return found[0]


def _object(text: str) -> dict[str, Any]:
    from correlation.exact_reading import NotJson, read_json
    from correlation.exact_writing import json_fault

    try:
        value = read_json(text)
    except NotJson as error:
        raise typer.BadParameter(f"is no JSON: {error}", param_hint="--answer") from None
    if not isinstance(value, dict):
        raise typer.BadParameter("must be a JSON object", param_hint="--answer")
    if fault := json_fault(value):
        raise typer.BadParameter(fault, param_hint="--answer")
    return value


def _shown(task: TaskLine) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(task), "status": task.status.value, "why_closed": task.why_closed}


def _row(line: TaskLine) -> tuple[Cell, ...]:
    whom = f"{line.claimed_by} (claimed)" if line.claimed_by else ", ".join(line.assignees)
    end = line.completed_by or line.why_closed
    return (
        clock(line.created_at),
        line.tenant,
        line.task_id,
        line.title,
        whom or "anybody",
        clock(line.due_at),
        f"{line.status.value} ({end})" if end else line.status.value,
        line.workflow_id,
    )
