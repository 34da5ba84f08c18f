"""The list of launches, and another chance for those that died."""

from __future__ import annotations

from typing import Final, Literal

from fastapi import Response
from pydantic import BaseModel, ConfigDict

from correlation.reason import Reason
from routing.launch_pages import LaunchQuery, page_of_launches, retry_launches
from worker.api.cursors import read_cursor
from worker.api.reading import CursorText, Text
from worker.api.runs import Why
from worker.console.lists import list_page, narrowing
from worker.console.routes import console_router, go_to
from worker.console.visits import Operating, Visiting, form_fields

router = console_router()

KEPT: Final = ("status", "reason", "trigger_id", "event_id")
STATUSES: Final = ("pending", "launched", "dead", "skipped")
LINES: Final = 50


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    status: Literal["pending", "launched", "dead", "skipped"] | None = None
    reason: Reason | None = None
    trigger_id: Text | None = None
    event_id: Text | None = None
    cursor: CursorText = None


class _Retry(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    event_id: Text
    trigger_id: Text | None = None
    of: Text
    reason: Why


@router.get("/launches")
async def show_launches(visit: Visiting, retried: str = "") -> Response:
    """One for each event and trigger that was considered, the newest first."""
    given = narrowing(visit)
    wanted = _Wanted.model_validate(given)
    query = LaunchQuery(
        status=wanted.status,
        reason=None if wanted.reason is None else wanted.reason.value,
        trigger_id=wanted.trigger_id,
        event_id=wanted.event_id,
    )
    after = read_cursor(wanted.cursor)
    async with visit.parts.reading(visit.tenants) as connection:
        found = await page_of_launches(connection, visit.tenants, query, after=after, limit=LINES)
    return await list_page(
        "launches.html",
        visit,
        found,
        first=wanted.cursor is None,
        filters={name: given.get(name, "") for name in KEPT},
        statuses=STATUSES,
        retried=int(retried) if retried.isdecimal() else None,
    )


@router.post("/launches/retry")
async def retry(visit: Operating) -> Response:
    """The dead launches of one event are tried again; who did it, and why, is written down."""
    wanted = _Retry.model_validate(await form_fields(visit.request))
    query = LaunchQuery(event_id=wanted.event_id, trigger_id=wanted.trigger_id)
    tenants = visit.owner(wanted.of)
    async with visit.parts.reading(tenants) as connection:
        retried = await retry_launches(
            connection, tenants, query, actor=visit.principal.actor, why=wanted.reason
        )
    if retried:
        visit.parts.sink.wake()
    return go_to(
        "/launches", tenant=visit.tenant, event_id=wanted.event_id, retried=str(len(retried))
    )
