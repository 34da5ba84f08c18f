"""`pointsman tail` and `pointsman events export`: outcomes as they come, and all of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from correlation.reason import Outcome
from routing.reach import woke_words
from worker.cli.asking import with_database
from worker.cli.audit_commands import OfState, canonical_option, moment_option
from worker.cli.printing import OUTCOME_STYLES, clock, console, print_json, printable

if TYPE_CHECKING:
    from routing.audit_pages import EventQuery
    from routing.audit_records import AuditLine
    from routing.database import Database
    from worker.settings import Settings

PERIOD_SECONDS: Final = 1.0
OVERLAP: Final = timedelta(seconds=30)
"""A batch is stamped when it is recorded and seen when it is committed: look back that far."""
LINES_AT_ONCE: Final = 1000

Tenant = Annotated[str | None, typer.Option("--tenant", help="Of this tenant only.")]
Name = Annotated[str | None, typer.Option("--name", help="With this event name only.")]
Key = Annotated[str | None, typer.Option("--key", help="With this correlation key only.")]
OfOutcome = Annotated[
    Outcome | None, typer.Option("--outcome", help="That ended in this way only.")
]


class ExportForm(StrEnum):
    """How the export is written."""

    JSONL = "jsonl"
    CSV = "csv"


def tail_command(
    tenant: Tenant = None,
    name: Name = None,
    outcome: OfOutcome = None,
    state: OfState = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Begin so long ago, or at this time.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End with what is there instead of following.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Show each event's outcome as it is recorded, the oldest first, until Ctrl-C."""
    from routing.audit_pages import EventQuery

    start = moment_option(since) or datetime.now(UTC)
    query = EventQuery(name=name, outcome=outcome, state=state, since=start)

    async def work(database: Database, _settings: Settings) -> None:
        async for line in _follow(database, _tenants(tenant), query, once=once):
            _print_line(line, as_json=as_json)

    with_database(work)


def export_command(
    form: Annotated[ExportForm, typer.Option("--format", help="JSON Lines or CSV.")] = (
        ExportForm.JSONL
    ),
    tenant: Tenant = None,
    name: Name = None,
    key: Key = None,
    outcome: OfOutcome = None,
    state: OfState = None,
    reason: Annotated[str | None, typer.Option("--reason", help="For this reason only.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Received after this time, or so long ago.")
    ] = None,
    payload: Annotated[
        bool, typer.Option("--payload", help="With the payloads, their secrets hidden.")
    ] = False,
) -> None:
    """Write all events and rejected entries that fit, the newest first, to standard output."""
    from routing.audit_pages import EventQuery
    from worker.api.exports import export_bytes

    query = EventQuery(
        name=name,
        key=canonical_option(key),
        outcome=outcome,
        state=state,
        reason=reason,
        since=moment_option(since),
        with_payload=payload,
    )

    async def work(database: Database, settings: Settings) -> None:
        from worker.redaction import Redaction

        pages = _pages(database, _tenants(tenant), query)
        redaction = Redaction.of(settings.redacted_names)
        async for chunk in export_bytes(pages, redaction, form.value, with_payload=payload):
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()

    with_database(work)


def _tenants(tenant: str | None) -> Sequence[str] | None:
    return None if tenant is None else [tenant]


def _pages(
    database: Database, tenants: Sequence[str] | None, query: EventQuery
) -> AsyncIterator[Sequence[AuditLine]]:
    """Page after page, the newest first."""
    from routing.audit_pages import page_of_events
    from routing.paging import Cursor, Page, every_page

    async def look(after: Cursor | None) -> Page[AuditLine]:
        async with database.transaction() as connection:
            return await page_of_events(
                connection, tenants, query, after=after, limit=LINES_AT_ONCE
            )

    return every_page(look)


async def _follow(
    database: Database, tenants: Sequence[str] | None, query: EventQuery, *, once: bool
) -> AsyncIterator[AuditLine]:
    """Every line since the beginning once, in the order received as far as that is known."""
    from dataclasses import replace

    shown: dict[tuple[str, str, str], datetime] = {}
    since = query.since or datetime.now(UTC)
    begin = since
    while True:
        wanted = replace(query, since=max(begin, since - OVERLAP))
        lines = [line async for page in _pages(database, tenants, wanted) for line in page]
        for line in reversed(lines):
            identity = (line.tenant, line.stream, line.entry_id)
            if identity not in shown:
                yield line
            shown[identity] = line.received_at
            since = max(since, line.received_at)
        if once:
            return
        shown = {each: at for each, at in shown.items() if at >= since - 2 * OVERLAP}
        await asyncio.sleep(PERIOD_SECONDS)


def _print_line(line: AuditLine, *, as_json: bool) -> None:
    if as_json:
        print_json(_without_payload(line))
        sys.stdout.flush()
        return
    why = f" ({line.reason})" if line.reason else ""
    reached = woke_words(line)
    woke = f" {'woke ' if line.matched else ''}{reached}" if reached else ""
    style = OUTCOME_STYLES.get(line.outcome, "")
    from rich.text import Text

    text = Text(f"{clock(line.received_at)} ")
    text.append(f"{line.outcome}{why}", style=style)
    what = f" {line.tenant} {line.name or ''} {line.event_id or line.entry_id} {line.key or ''}"
    text.append(printable(f"{what.rstrip()}{woke}"))
    console().print(text, soft_wrap=True)


def _without_payload(line: AuditLine) -> dict[str, Any]:
    shown = asdict(line)
    del shown["payload"]
    return shown
