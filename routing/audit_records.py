"""What the audit answers with: one frozen record per row, named as the tables name things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from correlation.reason import Outcome
from correlation.wait_seen import WaitSeen
from routing.actions_shown import ActionLine
from routing.reach import Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitFilter:
    """Which waits to list. Open ones come by event name and key, oldest first."""

    tenant: str | None = None
    name: str | None = None
    key: str | None = None
    workflow_id: str | None = None
    closed_too: bool = False
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine(Reach):
    """One line of the list of events: an event, or an entry that became none."""

    source: str
    """`event` or `rejected`."""
    tenant: str
    """Empty when the entry names no usable tenant."""
    event_id: str | None
    name: str | None
    outcome: Outcome
    reason: str | None
    detail: str | None
    key: str | None
    """The primary correlation key."""
    received_at: datetime
    stream: str
    entry_id: str
    payload: str | None = None
    """The payload's JSON text, where it was asked for."""
    states: tuple[str, ...] = ()
    """What came of it: the states of `routing.reach`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """All that is recorded of an event itself."""

    tenant: str
    event_id: str
    name: str
    outcome: Outcome
    reason: str | None
    detail: str | None
    keys: tuple[str, ...]
    """The primary key first; empty when the event is unresolved."""
    key_source: str
    key_detail: str | None
    rules_version: str
    payload: str
    """The JSON text as it was published."""
    context: Mapping[str, Any]
    stream: str
    entry_id: str
    occurred_at: datetime | None
    received_at: datetime
    available_until: datetime | None
    redeliveries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRecord:
    """The wait that an event met, and how far its signal has come."""

    wait_id: str
    workflow_id: str
    run_id: str | None
    signal_name: str
    correlation_key: str
    cardinality: str
    status: str
    """`pending`, `delivered`, `dead` or `withdrawn`."""
    looked_back: bool
    """True when the wait came after the event and took it by its look-back."""
    attempts: int
    reason: str | None
    detail: str | None
    disposition: str | None
    """What the workflow says became of the event: `accepted`, `filtered`, `late`, or nothing."""
    created_at: datetime
    due_at: datetime
    delivered_at: datetime | None
    disposed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord(MatchRecord):
    """One match of an event, as its story tells it."""

    wait_status: str | None
    wait_disposition: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRecord:
    """A workflow that the event starts through a trigger."""

    trigger_id: str
    workflow_id: str
    workflow_type: str
    status: str
    attempts: int
    reason: str | None
    detail: str | None
    run_id: str | None
    created_at: datetime
    launched_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRecord:
    """An entry that became no event: undecodable, a conflicting duplicate, trimmed, poison."""

    tenant: str
    stream: str
    entry_id: str
    outcome: Outcome
    reason: str
    detail: str
    event_id: str | None
    name: str | None
    raw: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStory:
    """Everything about one event id, or one rejected entry, within one tenant."""

    tenant: str
    event: EventRecord | None
    deliveries: tuple[DeliveryRecord, ...] = ()
    launches: tuple[LaunchRecord, ...] = ()
    rejected: tuple[RejectedRecord, ...] = ()
    actions: tuple[ActionLine, ...] = ()
    """What people did with it by hand, the newest first."""
    sentences: tuple[str, ...] = ()
    """In plain words: whom the event woke and, where nobody, why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitLine(WaitSeen):
    """One registered wait, and whose it is."""

    tenant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeCount:
    """How many events or entries ended in one way."""

    tenant: str
    outcome: Outcome
    reason: str | None
    count: int
