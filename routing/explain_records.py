"""What explaining answers with: frozen records that have a JSON form."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from routing.audit_records import DeliveryRecord, LaunchRecord, RejectedRecord
from routing.explain_places import PlaceRead


class NearMissKind(StrEnum):
    """In which way an event and a wait missed one another."""

    OTHER_KEY = "other_key"
    """The same name; the keys differ by as little as `resemblance` says."""
    OTHER_NAME = "other_name"
    """The same key under another event name."""
    KEY_ELSEWHERE = "key_elsewhere"
    """The wait's key stands in the payload, where no rule reads."""
    EVENT_ID_AS_KEY = "event_id_as_key"
    """The wait's key is the event's id, which is never a key."""
    CLOSED_BEFORE = "closed_before"
    """The wait had the key and ended before the event came."""
    OPENED_AFTER = "opened_after"
    """The wait has the key, and began after the event without looking back far enough."""
    OTHER_TENANT = "other_tenant"
    """Another tenant's wait; nothing more is said of it."""
    NAME_SPELLING = "name_spelling"
    """Waits are for a name that differs in case or punctuation only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitSeen:
    """A wait as explaining found it."""

    wait_id: str
    name: str
    correlation_key: str
    workflow_id: str
    run_id: str | None
    kind: str
    cardinality: str
    filter: str | None
    lookback: timedelta
    status: str
    disposition: str | None
    reason: str | None
    registered_at: datetime
    expires_at: datetime | None
    closed_at: datetime | None

    def open_at(self, moment: datetime) -> bool:
        """Whether an event that came then would have met it."""
        ended = self.closed_at is not None and self.closed_at <= moment
        expired = self.expires_at is not None and self.expires_at <= moment
        return self.registered_at <= moment and not ended and not expired

    @property
    def end(self) -> str:
        """How it ended, in a word."""
        return self.disposition or self.reason or "closed"


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
class NearMiss:
    """An event and a wait that nearly met. Of another tenant's wait there is only the sentence."""

    kind: NearMissKind
    sentence: str
    what_to_do: str
    resemblance: str | None = None
    event_key: str | None = None
    wait: WaitSeen | None = None
    path: str | None = None
    """Where in the payload the wait's key stands."""


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
