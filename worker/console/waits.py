"""The list of waits, and one wait's page."""

from __future__ import annotations

from typing import Final

from fastapi import Response
from pydantic import BaseModel, ConfigDict

from routing.actions_shown import actions_on_waits
from routing.audit_pages import (
    DeliveryQuery,
    WaitQuery,
    find_waits,
    page_of_deliveries,
    page_of_waits,
)
from routing.audit_records import WaitLine
from routing.closing import close_by_hand
from worker.api.cursors import read_cursor
from worker.api.owned import check_wait
from worker.api.reading import CursorText, Key, Text, the_one
from worker.console.lists import list_page, narrowing
from worker.console.rendering import page
from worker.console.routes import console_router, go_to
from worker.console.visits import Operating, Visit, Visiting, form_fields

router = console_router()

KEPT: Final = ("name", "key", "workflow_id", "closed")
LINES: Final = 50
DELIVERIES_SHOWN: Final = 100


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    name: Text | None = None
    key: Key | None = None
    workflow_id: Text | None = None
    closed: bool = False
    cursor: CursorText = None


class _Closing(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Text
    of: Text | None = None
    reason: Text


@router.get("/waits")
async def show_waits(visit: Visiting) -> Response:
    """Open waits by event name and key or, with closed ones, the newest first."""
    given = narrowing(visit)
    wanted = _Wanted.model_validate(given)
    query = WaitQuery(
        name=wanted.name,
        key=wanted.key,
        workflow_id=wanted.workflow_id,
        closed_too=wanted.closed,
    )
    after = read_cursor(wanted.cursor)
    async with visit.parts.reading(visit.tenants) as connection:
        found = await page_of_waits(connection, visit.tenants, query, after=after, limit=LINES)
    return await list_page(
        "waits.html",
        visit,
        found,
        first=wanted.cursor is None,
        filters={name: given.get(name, "") for name in KEPT},
    )


@router.get("/wait")
async def show_wait(visit: Visiting, id: str = "", of: str | None = None) -> Response:  # noqa: A002
    """One wait and what it was handed; `of` names its tenant."""
    wait = await one_wait(visit, id, of)
    async with visit.parts.reading([wait.tenant]) as connection:
        deliveries = await page_of_deliveries(
            connection, [wait.tenant], DeliveryQuery(wait_id=id), limit=DELIVERIES_SHOWN
        )
        events = [delivery.event_id for delivery in deliveries.lines]
        actions = await actions_on_waits(connection, wait.tenant, [id], events)
    return page(
        "wait.html",
        visit,
        wait=wait,
        deliveries=deliveries.lines,
        more=deliveries.next is not None,
        actions=actions,
    )


@router.post("/wait/close")
async def close_wait(visit: Operating) -> Response:
    """The wait takes no further event; its workflow is not told. Who and why is written down."""
    wanted = _Closing.model_validate(await form_fields(visit.request))
    wait = await one_wait(visit, wanted.id, wanted.of)
    await check_wait(visit.parts, visit.principal, wait.tenant, wait.wait_id)
    await close_by_hand(
        visit.parts.database,
        tenant=wait.tenant,
        wait_id=wait.wait_id,
        actor=visit.principal.actor,
        reason=wanted.reason,
    )
    visit.parts.sink.wake()
    return go_to("/wait", id=wait.wait_id, of=wait.tenant, tenant=visit.tenant)


async def one_wait(visit: Visit, wait_id: str, tenant: str | None) -> WaitLine:
    """One wait; raises Problem when there is none, or several tenants have it."""
    reach = visit.owner(tenant)
    async with visit.parts.reading(reach) as connection:
        found = await find_waits(connection, reach, wait_id)
    return the_one(found, "wait", several="a wait")
