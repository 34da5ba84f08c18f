"""What the way in hands to routing, and what routing answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NewType, TypeAlias

import msgspec

from correlation.event import Event, EventId, EventName, TenantId
from correlation.key import CorrelationKey
from correlation.reason import Outcome, Reason
from correlation.resolution import Resolution
from routing.chains import Chain

WaitId = NewType("WaitId", str)
WorkflowId = NewType("WorkflowId", str)
RunId = NewType("RunId", str)
DEFAULT_NAMESPACE: Final = "default"
"""Temporal's own default."""
Identity: TypeAlias = tuple[str, str]
"""(tenant, event id): what makes an event one event."""


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Where an event came in: a stream and the entry's id there, or the HTTP intake."""

    stream: str
    entry_id: str


class IncomingEvent(msgspec.Struct, frozen=True, gc=False):
    """A decoded event with its resolution, ready to be matched and recorded."""

    event: Event
    resolution: Resolution
    origin: Origin
    rules_version: str
    raw: Callable[[], bytes] = bytes
    """Writes the entry's raw fields down, for an event that turns out to be a conflict."""
    judged_by: str | None = None
    """The payload schema and version that judged the event; kept beside its context."""
    launches_held: str | None = None
    """Why the event starts no workflow, whatever its triggers say; None: nothing holds it."""

    @property
    def identity(self) -> Identity:
        """(tenant, event id)."""
        return self.event.tenant, self.event.event_id


@dataclass(frozen=True, slots=True)
class RejectedEntry:
    """An entry that becomes no event: its audit row carries the raw bytes."""

    origin: Origin
    outcome: Outcome
    reason: Reason
    detail: str
    raw: bytes
    tenant: str = ""
    event_id: str | None = None
    event_name: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One match on its way to Temporal as a signal. (tenant, event, wait) identifies it."""

    tenant: TenantId
    event_id: EventId
    wait_id: WaitId
    event_name: EventName
    correlation_key: CorrelationKey
    workflow_id: WorkflowId
    signal_name: str
    payload_text: str
    received_at: datetime
    created_at: datetime
    attempts: int = 0
    traceparent: str | None = None
    tracestate: str | None = None
    namespace: str = DEFAULT_NAMESPACE
    run_id: RunId | None = None
    """The run that registered the wait."""
    first_run_id: RunId | None = None
    """The first run of its chain."""
    position: int = 0
    """Its place in the order of recording."""
    follows: int | None = None
    """The position of the delivery to the same workflow that must go out before it, if any."""
    leased_at: float | None = None
    """The monotonic clock of this process shortly before the lease began."""

    @property
    def chain(self) -> Chain:
        """Whose the wait is."""
        return Chain(self.namespace, self.workflow_id, self.run_id, self.first_run_id)


class RecordedEvent(msgspec.Struct, frozen=True, gc=False):
    """How one event of a batch ended; which one, its place among the others says."""

    outcome: Outcome
    reason: Reason | None = None
    matched_waits: int = 0
    duplicate: bool = False
    """True when the event was recorded before; nothing new was matched."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one committed batch did. `deliveries` are leased to the recording process."""

    events: Sequence[RecordedEvent] = ()
    """In the order of the batch."""
    deliveries: Sequence[Delivery] = ()
    left_to_claim: int = 0
    """Launches, and deliveries behind earlier ones of their workflow: they wait in the tables."""
    considered: int = 0
    """How many (event, trigger) pairs were considered, whether or not they launch anything."""
