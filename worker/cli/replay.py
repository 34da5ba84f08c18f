"""`pointsman events replay` and `pointsman waits bind`: doing by hand what routing did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from correlation.reason import Outcome
from worker.cli.asking import actor, with_database
from worker.cli.audit_commands import canonical_option, moment_option
from worker.cli.failures import CommandFailed
from worker.cli.printing import print_json, print_table
from worker.cli.rules import load_or_exit

if TYPE_CHECKING:
    from correlation.rules import Rules
    from routing.audit_pages import EventQuery
    from routing.binding import Binding
    from routing.database import Connection, Database
    from routing.replay import Preview, Replayed
    from worker.settings import Settings

MOST: Final = 10_000

Tenant = Annotated[str | None, typer.Option("--tenant", help="Of this tenant only.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
Why = Annotated[str, typer.Option("--why", help="The reason; it stands in the audit beside you.")]


def replay_command(
    event_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of events.")
    ] = None,
    tenant: Tenant = None,
    name: Annotated[str | None, typer.Option("--name", help="All with this name.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="All with this key.")] = None,
    outcome: Annotated[
        Outcome | None, typer.Option("--outcome", help="All that ended in this way.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="All that ended for this reason.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="All received after this time, or so long ago.")
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option("--rules", metavar="FILE", help="Rules; default: the environment's."),
    ] = None,
    why: Why = "",
    execute: Annotated[
        bool, typer.Option("--execute", help="Do it; without this it is only counted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Route stored events again under the rules of today; first only count what that would do.

    A wait is never handed the same event twice.
    """
    by_filter = any((name, key, outcome, reason, since))
    if bool(event_ids) == by_filter:
        raise typer.BadParameter("give either ids, or at least one filter besides --tenant")
    if execute and not why.strip():
        raise typer.BadParameter("--execute needs a reason", param_hint="--why")
    # Imported on use, like every client library.
    from routing.audit_pages import EventQuery

    query = EventQuery(
        name=name,
        key=canonical_option(key),
        outcome=outcome,
        reason=reason,
        since=moment_option(since),
    )
    wanted = _Replay(event_ids or [], tenant, query, load_or_exit(rules), why if execute else None)
    answer = with_database(partial(_route_again, wanted))
    if isinstance(answer, Sequence):
        _print_replayed(answer, as_json=as_json)
    else:
        _print_preview(answer, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Replay:
    """Which events (those with the ids, or those that the query finds), how, and why."""

    event_ids: Sequence[str]
    tenant: str | None
    query: EventQuery
    rules: Rules
    reason: str | None
    """None: nothing is done, only counted."""


async def _route_again(
    wanted: _Replay, database: Database, settings: Settings
) -> Preview | Sequence[Replayed]:
    from routing.replay import Replayer, preview, selected
    from routing.wakeups import NOTIFY

    async with database.transaction() as connection:
        if wanted.event_ids:
            identities = await _identities(connection, wanted.event_ids, wanted.tenant)
            more = False
        else:
            tenants = None if wanted.tenant is None else [wanted.tenant]
            identities, more = await selected(connection, tenants, wanted.query, MOST)
    if wanted.reason is None:
        return await preview(database.transaction, identities, wanted.rules, truncated=more)
    replayer = Replayer(database, settings.buffer_ttl)
    replayed = await replayer.replay(identities, wanted.rules, actor=actor(), reason=wanted.reason)
    async with database.transaction() as connection:
        await connection.execute(NOTIFY)
    return replayed


def bind_command(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID")],
    wait_id: Annotated[str, typer.Argument(metavar="WAIT_ID")],
    tenant: Annotated[str, typer.Option("--tenant", help="Whose event and wait they are.")],
    why: Why,
    as_json: AsJson = False,
) -> None:
    """Hand an event to an open wait by hand, whatever its name and keys are."""

    async def work(database: Database, _settings: Settings) -> Binding:
        from routing.binding import Bound, Handing, bind
        from routing.wakeups import NOTIFY

        handing = Handing(
            tenant=tenant, event_id=event_id, wait_id=wait_id, actor=actor(), reason=why
        )
        answer = await bind(database, handing)
        if isinstance(answer, Bound):
            async with database.transaction() as connection:
                await connection.execute(NOTIFY)
        return answer

    answer = with_database(work)
    from routing.binding import NotBound

    if isinstance(answer, NotBound):
        raise CommandFailed(f"nothing was changed: {answer.why}")
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"event {event_id} is on its way to {answer.workflow_id} (wait {wait_id})")


async def _identities(
    connection: Connection, event_ids: Sequence[str], tenant: str | None
) -> list[tuple[str, str]]:
    from routing.audit import event_story

    found: list[tuple[str, str]] = []
    for event_id in event_ids:
        stories = [s for s in await event_story(connection, event_id, tenant) if s.event]
        if not stories:
            raise CommandFailed(f"there is no event {event_id!r}; rejected entries are none")
        if len(stories) > 1:
            owners = ", ".join(story.tenant for story in stories)
            raise CommandFailed(f"several tenants have an event {event_id!r}: {owners}; --tenant")
        found.extend((story.tenant, event_id) for story in stories)
    return found


def _print_preview(found: Preview, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    more = " (there are more: narrow the filter)" if found.truncated else ""
    typer.echo(
        f"{found.events} events{more}; replaying makes a difference to {found.changing} and would "
        f"wake {found.would_wake} workflows. Add --execute and --why to do it."
    )
    if found.examples:
        print_table(
            ("tenant", "event", "name", "keys", "keys then", "would wake"),
            [
                (
                    e.tenant,
                    e.event_id,
                    e.name,
                    ", ".join(e.old_keys),
                    ", ".join(e.new_keys),
                    ", ".join(waking.workflow_id for waking in e.would_wake),
                )
                for e in found.examples
            ],
        )


def _print_replayed(replayed: Sequence[Replayed], *, as_json: bool) -> None:
    if as_json:
        for each in replayed:
            print_json(asdict(each))
        return
    print_table(
        ("tenant", "event", "outcome", "reason", "keys", "handed to"),
        [
            (
                each.tenant,
                each.event_id,
                each.outcome.value,
                each.reason,
                ", ".join(each.new_keys),
                ", ".join(each.waits),
            )
            for each in replayed
        ],
    )
