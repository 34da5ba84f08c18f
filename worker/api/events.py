"""`GET /v1/events` and what belongs to it: the list, the counts, one event's whole story."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from routing.audit import event_story
from routing.audit_pages import page_of_events, summary_of, summary_of_states
from routing.audit_records import AuditLine, EventStory
from routing.tokens import Scope
from worker.api.answers import ONE, READING, EventPage, Story, Summary, documented
from worker.api.authentication import PartsOf, Reader
from worker.api.cursors import cursor_text, read_cursor
from worker.api.exact_writing import as_mapping
from worker.api.parts import Parts
from worker.api.principal import Principal
from worker.api.problems import Problem
from worker.api.reading import (
    CursorText,
    EventParameters,
    Instant,
    OneTenant,
    Tenant,
    answer,
    the_one,
)
from worker.api.stages import stages_of
from worker.redaction import Redaction

router = APIRouter(tags=["events"])

BUCKETS: Final = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
MOST_BUCKETS: Final = 1500
MOST_COUNTS: Final = 10_000
ONE_DAY: Final = timedelta(days=1)


class EventPageParameters(EventParameters):
    """Which events, and which page of them."""

    cursor: CursorText = None
    limit: Annotated[int, Query(ge=1, le=1000)] = 50


class SummaryParameters(BaseModel):
    """Which time to count, and in which spans."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: Tenant = None
    since: Instant | None = None
    until: Instant | None = None
    bucket: Literal["1m", "5m", "1h", "1d"] = "1h"


@router.get("/events", summary="List events", responses=documented(EventPage, "", *READING))
async def list_events(
    parts: PartsOf, caller: Reader, wanted: Annotated[EventPageParameters, Query()]
) -> Response:
    """Events and the entries that became none, the newest first."""
    tenants = caller.reach(wanted.tenant)
    after = read_cursor(wanted.cursor)
    async with parts.reading(tenants) as connection:
        page = await page_of_events(
            connection, tenants, wanted.query(), after=after, limit=wanted.limit
        )
    lines = [line_as_json(line) for line in page.lines]
    return answer({"events": lines, "next": cursor_text(page.next)})


@router.get(
    "/events/summary",
    summary="Count events over time",
    responses=documented(Summary, "", *READING),
)
async def summarize_events(
    parts: PartsOf, caller: Reader, wanted: Annotated[SummaryParameters, Query()]
) -> Response:
    """Counts by event name, outcome and reason in spans of time; the last day by default.

    `states` counts what came of the events: one event may be in several states.
    """
    tenants = caller.reach(wanted.tenant)
    until = wanted.until or datetime.now(UTC)
    try:
        since = wanted.since or until - ONE_DAY
        spans = (until - since) / BUCKETS[wanted.bucket]
    except OverflowError:
        since, spans = until, 0.0
    if not 0 < spans <= MOST_BUCKETS:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"the time asked for is not between nothing and {MOST_BUCKETS} spans of the bucket",
            field="since",
            fix="let since be before until, ask for less time, or take a larger bucket",
        )
    bounds: dict[str, Any] = {
        "since": since,
        "until": until,
        "bucket": BUCKETS[wanted.bucket],
        "limit": MOST_COUNTS + 1,
    }
    async with parts.reading(tenants) as connection:
        counts = await summary_of(connection, tenants, **bounds)
        states = await summary_of_states(connection, tenants, **bounds)
    if max(len(counts), len(states)) > MOST_COUNTS:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"there are more than {MOST_COUNTS} different counts",
            field="bucket",
            fix="ask for less time, for one tenant, or take a larger bucket",
        )
    return answer(
        {
            "since": since,
            "until": until,
            "bucket": wanted.bucket,
            "counts": counts,
            "states": states,
        }
    )


@router.get(
    "/events/{event_id:path}",
    summary="One event's whole story",
    responses=documented(Story, "", *ONE),
)
async def show_event(
    parts: PartsOf, caller: Reader, event_id: str, wanted: Annotated[OneTenant, Query()]
) -> Response:
    """Everything about an event, or about a rejected entry by its entry id."""
    stories = await _stories(parts, caller, event_id, wanted.tenant)
    story = the_one(stories, "event", several="an event")
    return answer(story_as_json(story, parts.redaction, everything=caller.may(Scope.ADMIN)))


async def _stories(
    parts: Parts, caller: Principal, event_id: str, tenant: str | None
) -> Sequence[EventStory]:
    tenants = caller.reach_of_object(tenant)
    if tenants is None:
        async with parts.reading(None) as connection:
            return await event_story(connection, event_id)
    found: list[EventStory] = []
    for one in tenants:
        async with parts.reading([one]) as connection:
            found.extend(await event_story(connection, event_id, one))
    return found


def line_as_json(line: AuditLine) -> dict[str, Any]:
    """A line of the list; the payload belongs to exports and stories."""
    shown = as_mapping(line)
    del shown["payload"]
    return shown


def story_as_json(story: EventStory, redaction: Redaction, *, everything: bool) -> dict[str, Any]:
    """A story with its payload decoded, without secrets; malformed bytes with `everything`."""
    shown = as_mapping(story)
    if story.event is not None:
        event = as_mapping(story.event)
        event["payload"] = redaction.payload(story.event.payload)
        shown["event"] = event
    shown["rejected"] = [
        {
            **as_mapping(entry),
            "raw_bytes": len(entry.raw),
            "raw": redaction.rejected_raw(entry.outcome, entry.raw, everything=everything),
        }
        for entry in story.rejected
    ]
    shown["stages"] = stages_of(story)
    return shown
