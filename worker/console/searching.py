"""The search box: an id leads straight to its page, anything else to the list of events."""

from __future__ import annotations

from fastapi import Response

from correlation.key import CanonicalKey, canonical_key
from routing.audit_pages import EventQuery, WaitQuery, find_waits, page_of_events, page_of_waits
from worker.console.events import stories
from worker.console.routes import console_router, go_to
from worker.console.visits import Visit, Visiting

router = console_router()


@router.get("/search")
async def search(visit: Visiting, q: str = "") -> Response:
    """Try the ids of events, waits and workflows, then keys; else a part of an event's id."""
    text = q.strip()
    if not text:
        return go_to("/events", tenant=visit.tenant)
    return (
        await _by_id(visit, text)
        or await _by_key(visit, text)
        or go_to("/events", tenant=visit.tenant, q=text)
    )


async def _by_id(visit: Visit, text: str) -> Response | None:
    found = await stories(visit, text, visit.tenant)
    if len(found) == 1:
        return go_to("/event", tenant=visit.tenant, id=text, of=found[0].tenant)
    if found:
        return go_to("/events", tenant=visit.tenant, q=text)
    async with visit.parts.reading(visit.tenants) as connection:
        waits = await find_waits(connection, visit.tenants, text)
        runs = await page_of_waits(
            connection, visit.tenants, WaitQuery(workflow_id=text, closed_too=True), limit=1
        )
    if len(waits) == 1:
        return go_to("/wait", tenant=visit.tenant, id=text, of=waits[0].tenant)
    if runs.lines:
        return go_to("/run", tenant=visit.tenant, id=text, of=runs.lines[0].tenant)
    return None


async def _by_key(visit: Visit, text: str) -> Response | None:
    match canonical_key(text):
        case CanonicalKey(key):
            async with visit.parts.reading(visit.tenants) as connection:
                events = await page_of_events(
                    connection, visit.tenants, EventQuery(key=key), limit=1
                )
                waits = await page_of_waits(connection, visit.tenants, WaitQuery(key=key), limit=1)
            if events.lines:
                return go_to("/events", tenant=visit.tenant, key=key)
            if waits.lines:
                return go_to("/waits", tenant=visit.tenant, key=key)
            return None
        case _:
            return None
