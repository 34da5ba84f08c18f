"""`pointsman events` and `pointsman waits`: looking at what happened, and at what is awaited.

The audit, and with it the database driver, is imported on use: `--help` should not wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import typer

from correlation.key import CanonicalKey, canonical_key
from correlation.reason import Outcome
from routing.audit_records import WaitFilter
from routing.reach import EventState, woke_words
from worker.cli.failures import CommandFailed
from worker.cli.hiding import redaction, story_without_secrets
from worker.cli.printing import clock, console, make_table, print_json, print_table
from worker.cli.reading import ask_database
from worker.cli.story import print_story, story_as_json
from worker.setting_values import parse_duration

events_app = typer.Typer(no_args_is_help=True, help="Ask the audit about events.")
waits_app = typer.Typer(no_args_is_help=True, help="Look at what workflows wait for.")

Tenant = Annotated[str | None, typer.Option("--tenant", help="Of this tenant only.")]
Name = Annotated[str | None, typer.Option("--name", help="With this event name only.")]
Key = Annotated[str | None, typer.Option("--key", help="With this correlation key only.")]
OfState = Annotated[
    EventState | None,
    typer.Option("--state", help="Of which a signal or launch has come so far only."),
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
Since = Annotated[
    str | None,
    typer.Option("--since", help="Received after this time (RFC 3339), or so long ago (15m, 2h)."),
]


@events_app.callback()
def _events() -> None:
    """Ask the audit about events."""


@waits_app.callback()
def _waits() -> None:
    """Look at what workflows wait for."""


@events_app.command("list")
def list_events_command(
    tenant: Tenant = None,
    name: Name = None,
    key: Key = None,
    outcome: Annotated[
        Outcome | None, typer.Option("--outcome", help="That ended in this way only.")
    ] = None,
    state: OfState = None,
    reason: Annotated[
        str | None,
        typer.Option(
            "--reason",
            help="For this reason only, theirs or a signal's (no_open_wait, run_closed, ...).",
        ),
    ] = None,
    since: Since = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List events, and entries that became none, the newest first."""
    from routing.audit import list_events
    from routing.audit_pages import EventQuery

    wanted = EventQuery(
        name=name,
        key=canonical_option(key),
        outcome=outcome,
        state=state,
        reason=reason,
        since=moment_option(since),
    )
    lines = ask_database(partial(list_events, wanted=wanted, tenant=tenant, limit=limit))
    if as_json:
        for line in lines:
            print_json({name: value for name, value in asdict(line).items() if name != "payload"})
        return
    print_table(
        ("received", "tenant", "event", "id", "key", "outcome", "reason", "woke"),
        [
            (
                line.received_at,
                line.tenant,
                line.name,
                line.event_id or f"(entry {line.entry_id})",
                line.key,
                line.outcome.value,
                line.reason,
                woke_words(line),
            )
            for line in lines
        ],
    )


@events_app.command("show")
def show_event_command(
    event_id: Annotated[
        str, typer.Argument(metavar="ID", help="An event's id, or a rejected entry's id.")
    ],
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Tell everything about one event: whom it woke and, where nobody, why."""
    from routing.audit import event_story

    stories = ask_database(partial(event_story, event_id=event_id, tenant=tenant))
    if not stories:
        whose = f" of tenant {tenant}" if tenant else ""
        raise CommandFailed(
            f"no event or rejected entry{whose} has the id {event_id!r}: either it never reached "
            "the stream that is read, or it has not been read yet"
        )
    hiding = redaction()
    for story in (story_without_secrets(story, hiding) for story in stories):
        if as_json:
            print_json(story_as_json(story))
        else:
            print_story(story)


@events_app.command("count")
def count_events_command(
    tenant: Tenant = None,
    since: Since = None,
    by_state: Annotated[
        bool,
        typer.Option(
            "--states", help="Count by what came of the events; one may have several states."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Count events and rejected entries by outcome and reason, or by what came of them."""
    from routing.audit import count_outcomes
    from routing.audit_pages import count_states

    moment = moment_option(since)
    lines: Sequence[Any]
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    if by_state:
        tenants = None if tenant is None else [tenant]
        lines = ask_database(partial(count_states, tenants=tenants, since=moment))
        columns, rows = ("tenant", "state"), [(each.tenant, each.state) for each in lines]
    else:
        lines = ask_database(partial(count_outcomes, tenant=tenant, since=moment))
        columns = ("tenant", "outcome", "reason")
        rows = [(each.tenant, each.outcome.value, each.reason) for each in lines]
    if as_json:
        for line in lines:
            print_json(line)
        return
    counted = [(*row, line.count) for row, line in zip(rows, lines, strict=True)]
    print_table((*columns, "events"), counted)


@waits_app.command("list")
def list_waits_command(
    tenant: Tenant = None,
    name: Name = None,
    key: Key = None,
    workflow: Annotated[
        str | None, typer.Option("--workflow", help="Of this workflow id only.")
    ] = None,
    closed_too: Annotated[
        bool, typer.Option("--all", help="Closed waits, too; the newest first.")
    ] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List open waits by event name and key, the oldest first."""
    from routing.audit import list_waits

    wanted = WaitFilter(
        tenant=tenant,
        name=name,
        key=canonical_option(key),
        workflow_id=workflow,
        closed_too=closed_too,
        limit=limit,
    )
    waits = ask_database(partial(list_waits, wanted=wanted))
    if as_json:
        for wait in waits:
            print_json(wait)
        return
    rows = [_wait_row(asdict(wait)) for wait in waits]
    columns = ("tenant", "event", "key", "workflow", "wait", "status", "registered", "until")
    console().print(make_table(columns, rows))


def _wait_row(wait: dict[str, Any]) -> tuple[str | None, ...]:
    end = wait["disposition"] or wait["reason"]
    return (
        wait["tenant"],
        wait["name"],
        wait["correlation_key"],
        wait["workflow_id"],
        wait["wait_id"],
        f"{wait['status']} ({end})" if end else wait["status"],
        clock(wait["registered_at"]),
        clock(wait["times_out_at"] or wait["expires_at"]),
    )


def canonical_option(key: str | None) -> str | None:
    """The option `--key` in canonical form."""
    if key is None:
        return None
    found = canonical_key(key)
    if not isinstance(found, CanonicalKey):
        raise typer.BadParameter("is no usable correlation key", param_hint="--key")
    return found.key


def moment_option(text: str | None) -> datetime | None:
    """The option `--since`: so long ago, or a time with its offset."""
    if text is None:
        return None
    try:
        return datetime.now(UTC) - parse_duration(text)
    except (ValueError, OverflowError):
        pass
    moment = None
    try:
        read = datetime.fromisoformat(text)
        moment = read.astimezone(UTC) if read.tzinfo is not None else None
    except (ValueError, OverflowError):
        pass
    if moment is None:
        raise typer.BadParameter(
            "expected a duration such as 15m, or a time with its offset such as "
            "2026-11-21T10:00:00Z",
            param_hint="--since",
        )
    return moment
