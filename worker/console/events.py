"""The list of events, and one event's page: its whole way, and why it woke nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from fastapi import Response

from correlation.reason import Outcome, Reason
from routing.audit import event_story
from routing.audit_pages import page_of_events
from routing.audit_records import EventStory
from routing.explain import explain_stored
from routing.explain_records import EventExplanation
from routing.reach import EventState
from routing.tokens import Scope
from worker.api.cursors import read_cursor
from worker.api.events import EventPageParameters
from worker.api.problems import Problem
from worker.api.reading import the_one
from worker.console.lists import list_page, narrowing
from worker.console.rendering import page
from worker.console.routes import console_router
from worker.console.track import track_of
from worker.console.visits import Visit, Visiting

router = console_router()

WITHIN: Final = {
    "15m": ("last 15 minutes", timedelta(minutes=15)),
    "1h": ("last hour", timedelta(hours=1)),
    "24h": ("last 24 hours", timedelta(hours=24)),
    "7d": ("last 7 days", timedelta(days=7)),
}
FILTERS: Final = ("name", "key", "outcome", "state", "reason", "workflow_id", "run_id", "q")
KEPT: Final = (*FILTERS, "since", "until", "within")


@router.get("/events")
async def show_events(visit: Visiting) -> Response:
    """Events and the entries that became none, the newest first, under the API's filters."""
    given = narrowing(visit)
    wanted = EventPageParameters.model_validate(read_filters(given))
    async with visit.parts.reading(visit.tenants) as connection:
        found = await page_of_events(
            connection,
            visit.tenants,
            wanted.query(),
            after=read_cursor(wanted.cursor),
            limit=wanted.limit,
        )
    return await list_page(
        "events.html",
        visit,
        found,
        first=wanted.cursor is None,
        filters={name: given.get(name, "") for name in KEPT},
        outcomes=list(Outcome),
        states=list(EventState),
        reasons=sorted(reason.value for reason in Reason),
        within=WITHIN,
        done=_done(given),
    )


@router.get("/event")
async def show_event(visit: Visiting, id: str = "", of: str | None = None) -> Response:  # noqa: A002
    """One event's way from the stream to the workflows; `of` names its tenant."""
    story = await one_story(visit, id, of)
    explanation = await _explanation(visit, story, id)
    redaction = visit.parts.redaction
    payload = None if story.event is None else redaction.payload(story.event.payload)
    everything = visit.principal.may(Scope.ADMIN)
    raws = [
        (entry, redaction.rejected_raw(entry.outcome, entry.raw, everything=everything))
        for entry in story.rejected
    ]
    return page(
        "event.html",
        visit,
        story=story,
        event=story.event,
        explanation=explanation,
        track=track_of(story, explanation),
        payload=payload,
        raws=raws,
        title=id,
        outcome=story.event.outcome if story.event else story.rejected[0].outcome,
        done=_done(visit.request.query_params),
    )


async def one_story(visit: Visit, event_id: str, tenant: str | None) -> EventStory:
    """The story of one event; raises Problem when there is none, or several tenants have it."""
    found = await stories(visit, event_id, tenant)
    return the_one(found, "event", several="an event")


async def stories(visit: Visit, event_id: str, tenant: str | None) -> Sequence[EventStory]:
    """The stories of an event id, each read behind the wall of its tenant where one is known."""
    reach = visit.owner(tenant)
    if reach is None:
        async with visit.parts.reading(None) as connection:
            return await event_story(connection, event_id)
    found: list[EventStory] = []
    for one in reach:
        async with visit.parts.reading([one]) as connection:
            found.extend(await event_story(connection, event_id, one))
    return found


async def _explanation(visit: Visit, story: EventStory, asked: str) -> EventExplanation | None:
    found = await explain_stored(
        visit.parts.database,
        visit.parts.rules(),
        story.event.event_id if story.event else asked,
        tenant=story.tenant,
        behind_wall=bool(story.tenant) and not visit.principal.sees_every_tenant,
        across_tenants=visit.principal.sees_every_tenant,
    )
    return found[0] if found else None


def read_filters(given: Mapping[str, str]) -> dict[str, Any]:
    """The filters of a form or a link as the API's parameters."""
    wanted: dict[str, Any] = {name: given[name].strip() for name in FILTERS if name in given}
    wanted |= {name: given[name] for name in ("cursor", "limit") if name in given}
    for name in ("since", "until"):
        if name in given:
            wanted[name] = _moment(given[name], name)
    if given.get("within") in WITHIN:
        wanted["since"] = datetime.now(UTC) - WITHIN[given["within"]][1]
    return wanted


def _done(given: Mapping[str, str]) -> str:
    """What has just been done by hand; numbers only come from the address, never words."""
    if given.get("handed") == "1":
        return "It is handed over: its delivery is on the way."
    routed, woken = given.get("routed", ""), given.get("woken", "0")
    if not (routed.isdecimal() and woken.isdecimal()):
        return ""
    events = "1 event was" if int(routed) == 1 else f"{int(routed)} events were"
    waits = "1 wait was" if int(woken) == 1 else f"{int(woken)} waits were"
    return f"{events} routed again; {waits} newly met."


def _moment(text: str, field: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "this is no moment",
            field=field,
            fix="write it as 2026-11-21T10:00, in UTC",
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
