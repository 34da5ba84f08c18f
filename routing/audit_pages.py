"""The audit page by page: events, waits and deliveries of one tenant, of several, or of all.

Pages have a stable order and end with a cursor, the key of their last line. All functions read, in
the caller's transaction; the tenants come from whoever checked what the reader may see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import dict_row

from correlation.reason import REASONS_OF_TARGETS, REASONS_OF_THE_WAY, Outcome
from routing.audit_page_statements import (
    ALL_DELIVERIES,
    ALL_TENANTS,
    ALL_WAIT_TENANTS,
    COUNT_STATES,
    DEAD_DELIVERIES,
    DELIVERIES_OF_EVENT,
    DELIVERIES_OF_WAIT,
    DELIVERIES_OF_WORKFLOW,
    ONE_WAIT,
    PAGE_OF_ALL_WAITS,
    PAGE_OF_DEAD_EVENTS,
    PAGE_OF_EVENTS,
    PAGE_OF_EVENTS_OF_REASON,
    PAGE_OF_EVENTS_OF_WORKFLOW,
    PAGE_OF_OPEN_WAITS,
    PAGE_OF_PENDING_EVENTS,
    PAGE_OF_WAITS_OF_KEY,
    PAGE_OF_WAITS_OF_WORKFLOW,
    PENDING_DELIVERIES,
    SUMMARY,
    SUMMARY_OF_STATES,
)
from routing.audit_records import AuditLine, MatchRecord, WaitLine
from routing.database import Connection, Parameters
from routing.paging import Cursor, Line, Page, page_of, parts_of, tenants_among
from routing.reach import EventState, states_of
from routing.statements import PLAN_ANEW


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events and entries to list; what is None does not narrow the list."""

    name: str | None = None
    key: str | None = None
    """A correlation key in canonical form; any of an event's keys may be it."""
    outcome: Outcome | None = None
    reason: str | None = None
    """Of the event, or of one of its deliveries or launches."""
    state: EventState | None = None
    workflow_id: str | None = None
    """Events that met a wait of this workflow."""
    run_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""
    q: str | None = None
    """A part of the event's or the entry's id."""
    with_payload: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitQuery:
    """Which waits to list."""

    name: str | None = None
    key: str | None = None
    workflow_id: str | None = None
    closed_too: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryQuery:
    """Which deliveries to list, the newest first."""

    status: str | None = None
    reason: str | None = None
    event_id: str | None = None
    wait_id: str | None = None
    workflow_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLine(MatchRecord):
    """One match on its way to Temporal, or there, as lists show it."""

    tenant: str
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryLine:
    """How many events of one name ended in one way within one span of time."""

    since: datetime
    """The beginning of the span."""
    name: str | None
    outcome: str
    reason: str | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLine:
    """How many events of one name were in one state within one span of time."""

    since: datetime
    """The beginning of the span."""
    name: str | None
    state: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StateCount:
    """How many of a tenant's events are in one state; an event may be in several."""

    tenant: str
    state: str
    count: int


async def page_of_events(
    connection: Connection,
    tenants: Sequence[str] | None,
    query: EventQuery,
    *,
    after: Cursor | None = None,
    limit: int = 50,
) -> Page[AuditLine]:
    """Events and rejected entries together, the newest first; `tenants` None: every tenant's."""
    statement = _event_statement(query)
    names = ("before_at", "before_tenant", "before_source", "before_id", "before_stream")
    kinds = (datetime, str, str, str, str)
    place = parts_of(after, kinds, ("infinity", "", "", "", ""))
    parameters = asdict(query) | dict(zip(names, place, strict=True))
    parameters["way_reason"] = None
    if query.reason in REASONS_OF_THE_WAY:
        parameters["reason"], parameters["way_reason"] = None, query.reason
    parameters["tenants"] = await tenants_among(connection, tenants, ALL_TENANTS)
    rows = await _rows(connection, statement, parameters, limit)
    return _page(rows, limit, _audit_line, _event_cursor)


async def page_of_waits(
    connection: Connection,
    tenants: Sequence[str] | None,
    query: WaitQuery,
    *,
    after: Cursor | None = None,
    limit: int = 50,
) -> Page[WaitLine]:
    """Open waits by tenant, event name and key; with `closed_too` every wait, the newest first."""
    parameters = asdict(query)
    cursor: Callable[[dict[str, Any]], Cursor]
    if query.closed_too:
        statement, cursor = _wait_statement(query), _position_cursor
        [parameters["after_position"]] = parts_of(after, (int,), (None,))
    else:
        statement, cursor = PAGE_OF_OPEN_WAITS, _wait_cursor
        names = ("after_tenant", "after_name", "after_key", "after_position")
        place = parts_of(after, (str, str, str, int), (None, None, None, None))
        parameters |= dict(zip(names, place, strict=True))
    parameters["tenants"] = await tenants_among(connection, tenants, ALL_WAIT_TENANTS)
    rows = await _rows(connection, statement, parameters, limit)
    return _page(rows, limit, _wait_line, cursor)


async def page_of_deliveries(
    connection: Connection,
    tenants: Sequence[str] | None,
    query: DeliveryQuery,
    *,
    after: Cursor | None = None,
    limit: int = 50,
) -> Page[DeliveryLine]:
    """Deliveries, the newest match first."""
    [position] = parts_of(after, (int,), (None,))
    parameters = asdict(query) | {"after_position": position}
    parameters["tenants"] = await tenants_among(connection, tenants, ALL_WAIT_TENANTS)
    rows = await _rows(connection, _delivery_statement(query), parameters, limit)
    return _page(rows, limit, _delivery_line, _position_cursor)


async def find_waits(
    connection: Connection, tenants: Sequence[str] | None, wait_id: str
) -> Sequence[WaitLine]:
    """The waits with this id, at most one for each tenant."""
    wanted = await tenants_among(connection, tenants, ALL_WAIT_TENANTS)
    rows = await _rows(connection, ONE_WAIT, {"tenants": wanted, "wait_id": wait_id}, 0)
    return [WaitLine(**row) for row in rows]


async def summary_of(
    connection: Connection,
    tenants: Sequence[str] | None,
    *,
    since: datetime,
    until: datetime,
    bucket: timedelta,
    limit: int,
) -> Sequence[SummaryLine]:
    """Counts by span of time, event name, outcome and reason; at most `limit` lines."""
    span = {"since": since, "until": until, "bucket": bucket}
    return [SummaryLine(**row) for row in await _counts(connection, SUMMARY, tenants, span, limit)]


async def summary_of_states(
    connection: Connection,
    tenants: Sequence[str] | None,
    *,
    since: datetime,
    until: datetime,
    bucket: timedelta,
    limit: int,
) -> Sequence[StateLine]:
    """Counts by span of time, event name and state; at most `limit` lines."""
    span = {"since": since, "until": until, "bucket": bucket}
    rows = await _counts(connection, SUMMARY_OF_STATES, tenants, span, limit)
    return [StateLine(**row) for row in rows]


async def count_states(
    connection: Connection, tenants: Sequence[str] | None, *, since: datetime | None
) -> Sequence[StateCount]:
    """How many events of each tenant are in each state."""
    span = {"since": since or "-infinity", "until": "infinity"}
    rows = await _counts(connection, COUNT_STATES, tenants, span, 1)
    return [StateCount(**row) for row in rows]


async def _counts(
    connection: Connection,
    statement: str,
    tenants: Sequence[str] | None,
    span: Mapping[str, object],
    limit: int,
) -> list[dict[str, Any]]:
    sought = await tenants_among(connection, tenants, ALL_TENANTS)
    return await _rows(connection, statement, {**span, "tenants": sought}, limit - 1)


def _event_statement(query: EventQuery) -> str:
    if query.workflow_id is not None:
        return PAGE_OF_EVENTS_OF_WORKFLOW
    if query.reason in REASONS_OF_TARGETS:
        return PAGE_OF_EVENTS_OF_REASON
    of_state = {
        EventState.PENDING: PAGE_OF_PENDING_EVENTS,
        EventState.DEAD: PAGE_OF_DEAD_EVENTS,
    }
    return PAGE_OF_EVENTS if query.state is None else of_state.get(query.state, PAGE_OF_EVENTS)


def _wait_statement(query: WaitQuery) -> str:
    if query.workflow_id is not None:
        return PAGE_OF_WAITS_OF_WORKFLOW
    if query.name is not None and query.key is not None:
        return PAGE_OF_WAITS_OF_KEY
    return PAGE_OF_ALL_WAITS


def _delivery_statement(query: DeliveryQuery) -> str:
    if query.event_id is not None:
        return DELIVERIES_OF_EVENT
    if query.wait_id is not None:
        return DELIVERIES_OF_WAIT
    if query.workflow_id is not None:
        return DELIVERIES_OF_WORKFLOW
    of_status = {"pending": PENDING_DELIVERIES, "dead": DEAD_DELIVERIES}
    return of_status.get(query.status or "", ALL_DELIVERIES)


async def _rows(
    connection: Connection, statement: str, parameters: Parameters, limit: int
) -> list[dict[str, Any]]:
    # A plan for any filters at all would walk past the indexes of those that are given.
    await connection.execute(PLAN_ANEW)
    cursor = connection.cursor(row_factory=dict_row)
    # Only constants of this package are executed. One line more tells whether another page follows.
    await cursor.execute(statement.encode(), {**parameters, "limit": limit + 1})
    return await cursor.fetchall()


def _page(
    rows: Sequence[dict[str, Any]],
    limit: int,
    make: Callable[[dict[str, Any]], Line],
    cursor: Callable[[dict[str, Any]], Cursor],
) -> Page[Line]:
    page = page_of(rows, limit, cursor)
    return Page([make(row) for row in page.lines], page.next)


def _event_cursor(row: dict[str, Any]) -> Cursor:
    event = row["source"] == "event"
    return (
        row["received_at"].isoformat(),
        row["tenant"],
        row["source"],
        row["event_id"] if event else row["entry_id"],
        "" if event else row["stream"],
    )


def _wait_cursor(row: dict[str, Any]) -> Cursor:
    return row["tenant"], row["name"], row["correlation_key"], row["position"]


def _position_cursor(row: dict[str, Any]) -> Cursor:
    return (row["position"],)


def _audit_line(row: dict[str, Any]) -> AuditLine:
    plain: dict[str, Any] = {**row, "outcome": Outcome(row["outcome"])}
    line = AuditLine(**plain)
    return replace(line, states=states_of(line))


def _wait_line(row: dict[str, Any]) -> WaitLine:
    return WaitLine(**{name: value for name, value in row.items() if name != "position"})


def _delivery_line(row: dict[str, Any]) -> DeliveryLine:
    return DeliveryLine(**{name: value for name, value in row.items() if name != "position"})
