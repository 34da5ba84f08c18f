"""Looking at runs: lists, and one run with its waits, events, actions and timeline.

All functions read, in the caller's transaction; the tenants come from whoever checked what the
reader may see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.rows import dict_row, kwargs_row

from routing.actions_shown import actions_on_launch, actions_on_waits
from routing.database import Connection
from routing.failing_task import FailingTask
from routing.paging import Cursor, Page, page_of, parts_of, tenants_among
from routing.run_records import RunLine, RunQuery
from routing.run_statements import (
    ACTIONS_OF_RUN,
    ACTIONS_OF_RUNS,
    ALL_RUN_TENANTS,
    EVENTS_OF_RUN,
    PAGE_OF_RUNS,
    RUNS_BY_ID,
    WAITS_OF_RUN,
)

SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened to a run."""

    at: datetime
    what: str
    """`started`, `waited`, `matched`, `signalled`, `answered`, `wait_closed`, `closed`, or what an
    operator did."""
    about: str
    """The id of the wait, event or action; the status at the close."""
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStory:
    """One run with everything that is recorded of it, at most a hundred of each, newest first."""

    run: RunLine
    waits: Sequence[dict[str, Any]]
    events: Sequence[dict[str, Any]]
    actions: Sequence[dict[str, Any]]
    timeline: Sequence[Moment]
    failing_task: FailingTask | None = None
    """What its workflow task fails with, where Temporal was asked."""


async def page_of_runs(
    connection: Connection,
    tenants: Sequence[str] | None,
    query: RunQuery,
    *,
    after: Cursor | None = None,
    limit: int = 50,
) -> Page[RunLine]:
    """Runs, the newest first; `tenants` None: every tenant's. Raises InvalidCursor."""
    names = ("before_at", "before_tenant", "before_workflow", "before_run")
    place = parts_of(after, (datetime, str, str, str), ("infinity", "", "", ""))
    parameters = asdict(query) | dict(zip(names, place, strict=True))
    parameters["tenants"] = await tenants_among(connection, tenants, ALL_RUN_TENANTS)
    parameters["limit"] = limit + 1
    cursor = connection.cursor(row_factory=kwargs_row(RunLine))
    await cursor.execute(PAGE_OF_RUNS.encode(), parameters)
    return page_of(await cursor.fetchall(), limit, _cursor)


async def find_runs(
    connection: Connection, tenants: Sequence[str] | None, run_id: str
) -> Sequence[RunLine]:
    """The runs with this id; more than one only where several tenants or workflows have it."""
    sought = await tenants_among(connection, tenants, ALL_RUN_TENANTS)
    cursor = connection.cursor(row_factory=kwargs_row(RunLine))
    await cursor.execute(RUNS_BY_ID.encode(), {"tenants": sought, "run_id": run_id})
    return await cursor.fetchall()


async def run_story(connection: Connection, run: RunLine) -> RunStory:
    """A run's waits, the events that met them, what operators did, and all of it in time."""
    found = []
    for statement in (WAITS_OF_RUN, EVENTS_OF_RUN, ACTIONS_OF_RUN):
        cursor = connection.cursor(row_factory=dict_row)
        parameters = {
            "tenant": run.tenant,
            "workflow_id": run.workflow_id,
            "run_id": run.run_id,
            "namespace": run.namespace,
            "limit": SHOWN,
        }
        await cursor.execute(statement.encode(), parameters)
        found.append(await cursor.fetchall())
    waits, events, noted = found
    by_hand = await _by_hand(connection, run, waits, events)
    actions = sorted([*with_ends(noted), *by_hand], key=lambda action: action["at"], reverse=True)
    moments = [*_of_run(run), *_of_waits(waits), *_of_events(events), *_of_actions(actions)]
    return RunStory(
        run=run,
        waits=waits,
        events=events,
        actions=actions,
        timeline=sorted(moments, key=lambda moment: moment.at),
    )


async def _by_hand(
    connection: Connection,
    run: RunLine,
    waits: Sequence[dict[str, Any]],
    events: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """What people did to the run's waits, their events and its launch."""
    found = await actions_on_waits(
        connection,
        run.tenant,
        [wait["wait_id"] for wait in waits],
        [event["event_id"] for event in events],
    )
    if run.event_id is not None:
        launch = await actions_on_launch(connection, run.tenant, run.event_id, run.workflow_id)
        found = (*found, *launch)
    return [{**asdict(action), "state": None} for action in found]


def with_ends(actions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each action once, with its `state`.

    That is `asked` (no answer of Temporal's is recorded), `taken`, `refused`, or None of what
    Temporal is not asked. What came of a control stands in a row of its own.
    """
    known = {action["action_id"] for action in actions}
    ends = {
        action["detail"]["of"]: action["detail"] for action in actions if action["detail"].get("of")
    }
    told = []
    for action in actions:
        if action["detail"].get("of") in known:
            continue
        detail = {**action["detail"], **ends.get(action["action_id"], {})}
        detail.pop("of", None)
        told.append({**action, "detail": detail, "state": _state_of(detail)})
    return told


def _state_of(detail: dict[str, Any]) -> str | None:
    if detail.get("refused"):
        return "refused"
    if detail.get("taken"):
        return "taken"
    return "asked" if detail.get("asked") else None


async def actions_of_runs(
    connection: Connection, tenant: str, run_ids: Sequence[str]
) -> Sequence[dict[str, Any]]:
    """What operators asked of the runs, the newest first, at most a hundred."""
    cursor = connection.cursor(row_factory=dict_row)
    parameters = {"tenant": tenant, "run_ids": list(run_ids), "limit": SHOWN}
    await cursor.execute(ACTIONS_OF_RUNS, parameters)
    return with_ends(await cursor.fetchall())


def _of_run(run: RunLine) -> Iterator[Moment]:
    by = f"trigger {run.trigger_id}, event {run.event_id}" if run.trigger_id else None
    yield Moment(run.started_at, "started", run.origin, by)
    if run.closed_at is not None:
        yield Moment(run.closed_at, "closed", run.status)


def _of_waits(waits: Sequence[dict[str, Any]]) -> Iterator[Moment]:
    for wait in waits:
        awaited = f"{wait['name']} with the key '{wait['correlation_key']}'"
        yield Moment(wait["registered_at"], "waited", wait["wait_id"], awaited)
        if wait["closed_at"] is not None:
            end = wait["disposition"] or wait["reason"]
            yield Moment(wait["closed_at"], "wait_closed", wait["wait_id"], end)


def _of_events(events: Sequence[dict[str, Any]]) -> Iterator[Moment]:
    for event in events:
        yield Moment(event["created_at"], "matched", event["event_id"], event["name"])
        if event["delivered_at"] is not None:
            yield Moment(event["delivered_at"], "signalled", event["event_id"])
        if event["disposed_at"] is not None:
            yield Moment(event["disposed_at"], "answered", event["event_id"], event["disposition"])


def _of_actions(actions: Sequence[dict[str, Any]]) -> Iterator[Moment]:
    for action in actions:
        state = action.get("state")
        how = f" ({action['detail'].get('refused') or state})" if state else ""
        said = ": ".join(filter(None, (action["actor"], action["reason"]))) + how
        yield Moment(action["at"], action["action"], action["action_id"], said)


def _cursor(line: RunLine) -> Cursor:
    return line.started_at.isoformat(), line.tenant, line.workflow_id, line.run_id
