"""The first page: how much comes in, how it ends, and what is held up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from fastapi import Query, Response

from correlation.reason import Outcome
from ingress.backlog import StreamsUnavailable
from ingress.dead_letter_desk import LettersUnavailable
from routing.audit_pages import (
    DeliveryQuery,
    EventQuery,
    StateLine,
    SummaryLine,
    WaitQuery,
    page_of_deliveries,
    page_of_events,
    page_of_waits,
    summary_of,
    summary_of_states,
)
from routing.backlog import measure_backlog
from routing.reach import EventState
from worker.api.dead_letters import tenant_of
from worker.console.chart import chart_of
from worker.console.rendering import page
from worker.console.routes import console_router
from worker.console.tenancy import tenant_choices
from worker.console.visits import Visit, Visiting
from worker.streams_read import stream_names

router = console_router()

SPANS: Final = {
    "hour": (timedelta(hours=1), timedelta(minutes=1)),
    "day": (timedelta(days=1), timedelta(minutes=30)),
    "week": (timedelta(days=7), timedelta(hours=4)),
}
MOST_COUNTS: Final = 20_000
COUNTED: Final = 1000
UNHEARD_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that may only be known to be at least so large."""

    count: int
    or_more: bool = False


@dataclass(frozen=True, slots=True)
class Behind:
    """How far reading is behind publishing, all streams together."""

    oldest: timedelta | None
    """Age of the oldest entry that is not settled; None when all are."""
    unread: int | None
    """None where Redis cannot tell."""
    pending: int
    trimmed: int
    """Entries that somebody removed before they were read."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is held up, or waits, right now."""

    open_waits: Figure
    outbox: Figure
    """Deliveries that have not reached Temporal yet."""
    oldest: timedelta | None
    dead_letters: Figure | None
    """None while Redis cannot be asked."""
    behind: Behind | None
    """None while Redis cannot be asked."""


@router.get("")
async def show_overview(
    visit: Visiting, span: Annotated[Literal["hour", "day", "week"], Query()] = "hour"
) -> Response:
    """Rates and outcomes of the span, what is held up, and the latest that woke nobody."""
    length, bucket = SPANS[span]
    until = datetime.now(UTC)
    since = until - length
    async with visit.parts.reading(visit.tenants) as connection:
        counts = await summary_of(
            connection, visit.tenants, since=since, until=until, bucket=bucket, limit=MOST_COUNTS
        )
        states = await summary_of_states(
            connection, visit.tenants, since=since, until=until, bucket=length, limit=MOST_COUNTS
        )
        unheard = await page_of_events(
            connection,
            visit.tenants,
            EventQuery(state=EventState.NOBODY, since=since),
            limit=UNHEARD_SHOWN,
        )
    return page(
        "overview.html",
        visit,
        span=span,
        since=since,
        chart=chart_of(counts, since=since, until=until, bucket=bucket),
        outcomes=_by_outcome(counts),
        states=_by_state(states),
        reasons=_by_reason(counts),
        total=sum(line.count for line in counts),
        per_minute=sum(line.count for line in counts) / (length / timedelta(minutes=1)),
        held=await _held(visit),
        unheard=unheard.lines,
        tenants=await tenant_choices(visit),
    )


def _by_outcome(counts: Sequence[SummaryLine]) -> dict[str, int]:
    found = Counter[str]()
    for line in counts:
        found[line.outcome] += line.count
    return {outcome.value: found[outcome.value] for outcome in Outcome}


def _by_state(counts: Sequence[StateLine]) -> dict[str, int]:
    found = Counter[str]()
    for line in counts:
        found[line.state] += line.count
    return {state.value: found[state.value] for state in EventState}


def _by_reason(counts: Sequence[SummaryLine]) -> list[tuple[str, str, str | None, int]]:
    found = Counter[tuple[str, str, str | None]]()
    for line in counts:
        if line.outcome != Outcome.MATCHED.value:
            found[line.outcome, line.reason or "", line.name] += line.count
    return [(*which, count) for which, count in found.most_common(8)]


async def _held(visit: Visit) -> Held:
    letters, behind = await asyncio.gather(_dead_letters(visit), _behind(visit))
    if visit.tenants is None:
        backlog = await measure_backlog(visit.parts.database)
        return Held(
            Figure(backlog.open_waits),
            Figure(backlog.pending_deliveries),
            backlog.oldest_pending,
            letters,
            behind,
        )
    async with visit.parts.reading(visit.tenants) as connection:
        waits = await page_of_waits(connection, visit.tenants, WaitQuery(), limit=COUNTED)
        pending = await page_of_deliveries(
            connection, visit.tenants, DeliveryQuery(status="pending"), limit=COUNTED
        )
    oldest = min((line.created_at for line in pending.lines), default=None)
    return Held(
        Figure(len(waits.lines), waits.next is not None),
        Figure(len(pending.lines), pending.next is not None),
        None if oldest is None else max(datetime.now(UTC) - oldest, timedelta()),
        letters,
        behind,
    )


async def _behind(visit: Visit) -> Behind | None:
    try:
        streams = await visit.parts.streams.measure()
    except StreamsUnavailable:
        return None
    ages = [age for each in streams for age in (each.oldest_unread, each.oldest_pending) if age]
    unread = [each.unread for each in streams]
    return Behind(
        oldest=max(ages, default=None),
        unread=None if None in unread else sum(filter(None, unread)),
        pending=sum(each.pending for each in streams),
        trimmed=sum(each.trimmed_unread for each in streams),
    )


async def _dead_letters(visit: Visit) -> Figure | None:
    count, or_more = 0, False
    try:
        for stream in stream_names(visit.parts.settings):
            letters = await visit.parts.dead_letters.read(stream, before=None, limit=COUNTED)
            or_more = or_more or len(letters) == COUNTED
            count += sum(
                visit.tenants is None or tenant_of(visit.parts, letter) in visit.tenants
                for letter in letters
            )
    except LettersUnavailable:
        return None
    return Figure(count, or_more)
