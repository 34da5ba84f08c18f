"""What explaining answers with: frozen records that have a JSON form."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from correlation.places import PlaceRead
from correlation.wait_seen import NearMiss, WaitSeen
from routing.audit_records import DeliveryRecord, LaunchRecord, RejectedRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSeen:
    """An event as explaining a run found it."""

    event_id: str
    name: str
    outcome: str
    reason: str | None
    detail: str | None
    keys: tuple[str, ...]
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventExplanation:
    """Whom an event woke or would wake and, where nobody, why not and what to do about it."""

    tenant: str
    event_id: str | None
    name: str | None
    hypothetical: bool
    outcome: str
    """As recorded; of a hypothetical event, how it would end now."""
    reason: str | None
    detail: str | None
    received_at: datetime
    rules_version: str
    """Of the rules in force, by which the places were read."""
    recorded_rules_version: str | None
    keys: tuple[str, ...]
    """Under the rules in force."""
    recorded_keys: tuple[str, ...]
    places: tuple[PlaceRead, ...]
    waits: tuple[WaitSeen, ...]
    """Those with the event's name and one of its keys, open or closed."""
    deliveries: tuple[DeliveryRecord, ...]
    rejected: tuple[RejectedRecord, ...]
    near_misses: tuple[NearMiss, ...]
    sentences: tuple[str, ...]
    what_to_do: tuple[str, ...]
    truncated: bool
    """True when there were more waits of this name than were compared."""
    launches: tuple[LaunchRecord, ...] = ()
    """What each trigger that was considered made of the event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySeen:
    """What a wait was handed."""

    wait_id: str
    event_id: str
    status: str
    reason: str | None
    detail: str | None
    attempts: int
    disposition: str | None
    created_at: datetime
    due_at: datetime
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedEvent:
    """An event that might have been meant for a wait."""

    kind: str
    """`other_name`, `other_key`, `unresolved` or `before_the_wait`."""
    event: EventSeen
    sentence: str
    what_to_do: str
    resemblance: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitExplanation:
    """Why one wait has not been answered yet, or how it ended."""

    wait: WaitSeen
    deliveries: tuple[DeliverySeen, ...]
    missed_events: tuple[MissedEvent, ...]
    sentences: tuple[str, ...]
    what_to_do: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunExplanation:
    """Why a workflow is still waiting."""

    tenant: str
    workflow_id: str
    waits: tuple[WaitExplanation, ...]
    """The open ones first; closed ones for what they tell."""
    sentences: tuple[str, ...]
    what_to_do: tuple[str, ...]
    truncated: bool
    """True when the tenant has more recent events than were looked through."""
