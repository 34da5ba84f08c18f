"""Asking the audit: whom did an event wake and, if nobody, why not?

All functions read, in the caller's transaction. The records are those of `audit_records`, the
statements and their indexes those of `audit_statements`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from psycopg.rows import kwargs_row

from correlation.reason import Outcome
from routing.actions_shown import actions_on_event
from routing.audit_pages import EventQuery, page_of_events
from routing.audit_records import (
    AuditLine,
    DeliveryRecord,
    EventRecord,
    EventStory,
    LaunchRecord,
    OutcomeCount,
    RejectedRecord,
    WaitFilter,
    WaitLine,
)
from routing.audit_sentences import sentences_of
from routing.audit_statements import (
    COUNT_OUTCOMES,
    LIST_ALL_WAITS,
    LIST_OPEN_WAITS,
    STORY_DELIVERIES,
    STORY_EVENTS,
    STORY_LAUNCHES,
    STORY_REJECTED,
)
from routing.database import Connection, Parameters

Record = TypeVar("Record")


async def list_events(
    connection: Connection, wanted: EventQuery, *, tenant: str | None = None, limit: int = 50
) -> Sequence[AuditLine]:
    """Events and rejected entries together, the newest first, at most `limit`."""
    tenants = None if tenant is None else [tenant]
    return (await page_of_events(connection, tenants, wanted, limit=limit)).lines


async def list_waits(connection: Connection, wanted: WaitFilter) -> Sequence[WaitLine]:
    """Open waits by event name and key; with `closed_too` every wait, the newest first."""
    statement = LIST_ALL_WAITS if wanted.closed_too else LIST_OPEN_WAITS
    return await _read(connection, WaitLine, statement, asdict(wanted))


async def event_story(
    connection: Connection, event_id: str, tenant: str | None = None
) -> Sequence[EventStory]:
    """Everything about an event id, one story for each tenant that has it; empty when none does.

    The id of a rejected entry is understood, too: an entry may carry no event id at all.
    """
    wanted = {"event_id": event_id, "tenant": tenant}
    events = await _read(connection, _event_record, STORY_EVENTS, wanted)
    rejected = await _read(connection, _rejected_record, STORY_REJECTED, wanted)
    now = datetime.now(UTC)
    stories = []
    owners = {event.tenant for event in events} | {entry.tenant for entry in rejected}
    for owner in sorted(owners):
        mine = tuple(entry for entry in rejected if entry.tenant == owner)
        event = next((event for event in events if event.tenant == owner), None)
        story = EventStory(tenant=owner, event=event, rejected=mine)
        if event is not None:
            story = await _with_targets(connection, story, event.event_id)
        stories.append(replace(story, sentences=sentences_of(story, now)))
    return stories


async def count_outcomes(
    connection: Connection, *, tenant: str | None = None, since: datetime | None = None
) -> Sequence[OutcomeCount]:
    """How many events and entries ended in each way, by tenant, outcome and reason."""
    wanted = {"tenant": tenant, "since": since}
    return await _read(connection, _outcome_count, COUNT_OUTCOMES, wanted)


async def _with_targets(connection: Connection, story: EventStory, event_id: str) -> EventStory:
    target = {"tenant": story.tenant, "event_id": event_id}
    deliveries = await _read(connection, DeliveryRecord, STORY_DELIVERIES, target)
    launches = await _read(connection, LaunchRecord, STORY_LAUNCHES, target)
    wait_ids = [delivery.wait_id for delivery in deliveries]
    return replace(
        story,
        deliveries=tuple(deliveries),
        launches=tuple(launches),
        actions=await actions_on_event(connection, story.tenant, event_id, wait_ids),
    )


async def _read(
    connection: Connection,
    make: Callable[..., Record],
    statement: str,
    parameters: Parameters,
) -> Sequence[Record]:
    cursor = connection.cursor(row_factory=kwargs_row(make))
    # Only constants of this package are executed; values travel as parameters.
    await cursor.execute(statement.encode(), parameters)
    return await cursor.fetchall()


def _event_record(
    *, outcome: str, keys: Sequence[str], context: Any, **columns: Any
) -> EventRecord:
    return EventRecord(outcome=Outcome(outcome), keys=tuple(keys), context=context or {}, **columns)


def _rejected_record(*, outcome: str, raw: bytes, **columns: Any) -> RejectedRecord:
    return RejectedRecord(outcome=Outcome(outcome), raw=bytes(raw), **columns)


def _outcome_count(*, outcome: str, **columns: Any) -> OutcomeCount:
    return OutcomeCount(outcome=Outcome(outcome), **columns)
