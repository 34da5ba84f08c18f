"""How long an event took for each stage of its way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from routing.audit_records import DeliveryRecord, EventStory


@dataclass(frozen=True, slots=True)
class Stage:
    """One stretch of the way, between two moments that the audit knows."""

    name: str
    """`received`, `matched`, `signalled` or `answered`."""
    wait_id: str | None
    began_at: datetime
    ended_at: datetime
    seconds: float
    """Negative where the publisher's clock is ahead of the database's."""


def stages_of(story: EventStory) -> Sequence[Stage]:
    """The stages that are over, in the order of the way.

    `received`: from the publisher's time stamp to the record; `matched`: from the record to the
    match (long when a wait looked back); `signalled`: from the match until Temporal had taken the
    signal; `answered`: from there until the workflow said what became of the event.
    """
    return tuple(_stages(story))


def _stages(story: EventStory) -> Iterator[Stage]:
    if story.event is None:
        return
    received = story.event.received_at
    if story.event.occurred_at is not None:
        yield _stage("received", None, story.event.occurred_at, received)
    for delivery in story.deliveries:
        yield from _stages_of_delivery(delivery, received)


def _stages_of_delivery(delivery: DeliveryRecord, received: datetime) -> Iterator[Stage]:
    wait_id = delivery.wait_id
    yield _stage("matched", wait_id, received, delivery.created_at)
    if delivery.delivered_at is not None:
        yield _stage("signalled", wait_id, delivery.created_at, delivery.delivered_at)
        if delivery.disposed_at is not None:
            yield _stage("answered", wait_id, delivery.delivered_at, delivery.disposed_at)


def _stage(name: str, wait_id: str | None, began: datetime, ended: datetime) -> Stage:
    return Stage(name, wait_id, began, ended, (ended - began).total_seconds())
