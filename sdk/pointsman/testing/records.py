"""What the twin of the matcher remembers: events, waits, and the deliveries between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pointsman.contract import EVENT_SIGNAL, Cardinality, Disposition, WaitKind
from pointsman.correlation.event import Event
from pointsman.correlation.reason import Outcome, Reason
from pointsman.correlation.resolution import ENVELOPE_KEY, Resolution, Resolved, Unresolved
from pointsman.correlation.wait_seen import WaitSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitTerms:
    """What a run asks for. (tenant, wait_id) identifies it; the key is in canonical form."""

    tenant: str
    wait_id: str
    event_name: str
    correlation_key: str
    workflow_id: str
    run_id: str | None = None
    signal_name: str = EVENT_SIGNAL
    kind: WaitKind = WaitKind.EVENT
    cardinality: Cardinality = Cardinality.ALL
    filter: str | None = None
    lookback: timedelta = timedelta(0)
    expires_at: datetime | None = None

    @property
    def content(self) -> tuple[object, ...]:
        """What may not differ when a wait is registered again under the same id."""
        return (
            self.event_name,
            self.correlation_key,
            self.workflow_id,
            self.signal_name,
            self.kind,
            self.cardinality,
        )


@dataclass(slots=True, eq=False)
class EventState:
    """An event as it was recorded, and how it stands."""

    event: Event
    resolution: Resolution
    received_at: datetime
    available_until: datetime
    """Until then a look-back finds it."""
    matched: bool = False
    redeliveries: int = 0
    conflicts: int = 0
    """How often something else came under its id."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The primary key first; empty when it is unresolved."""
        return self.resolution.keys if isinstance(self.resolution, Resolved) else ()

    @property
    def outcome(self) -> Outcome:
        """How it ended, as the audit says."""
        if isinstance(self.resolution, Unresolved):
            return Outcome.UNRESOLVED
        return Outcome.MATCHED if self.matched else Outcome.NO_WAIT

    @property
    def reason(self) -> Reason | None:
        """Why it ended so; None when it was matched."""
        if isinstance(self.resolution, Unresolved):
            return self.resolution.reason
        return None if self.matched else Reason.NO_OPEN_WAIT

    @property
    def envelope_key(self) -> str | None:
        """The key that its publisher named, in canonical form."""
        resolution = self.resolution
        if isinstance(resolution, Resolved) and resolution.detail == ENVELOPE_KEY:
            return resolution.key
        return None


@dataclass(slots=True, eq=False)
class WaitState:
    """A wait as it was registered, and how it stands."""

    terms: WaitTerms
    position: int
    """Waits are in line in the order in which they were registered."""
    registered_at: datetime
    expires_at: datetime | None
    open: bool = True
    disposition: Disposition | None = None
    reason: Reason | None = None
    closed_at: datetime | None = None

    @property
    def exclusive(self) -> bool:
        """Whether an event that it is handed goes to no other exclusive wait."""
        return self.terms.cardinality is Cardinality.EXCLUSIVE

    @property
    def status(self) -> str:
        """`waiting` or `closed`."""
        return "waiting" if self.open else "closed"

    def receives(self, now: datetime) -> bool:
        """Whether an event that comes now is for it, if name and key are."""
        return self.open and (self.expires_at is None or self.expires_at > now)

    def seen(self) -> WaitSeen:
        """As explanations speak of it."""
        terms = self.terms
        return WaitSeen(
            wait_id=terms.wait_id,
            name=terms.event_name,
            correlation_key=terms.correlation_key,
            workflow_id=terms.workflow_id,
            run_id=terms.run_id,
            kind=terms.kind.value,
            cardinality=terms.cardinality.value,
            filter=terms.filter,
            lookback=terms.lookback,
            status=self.status,
            disposition=None if self.disposition is None else self.disposition.value,
            reason=None if self.reason is None else self.reason.value,
            registered_at=self.registered_at,
            expires_at=self.expires_at,
            closed_at=self.closed_at,
        )


@dataclass(slots=True, eq=False)
class DeliveryState:
    """One match on its way: an event and a wait."""

    event: EventState
    wait: WaitState
    looked_back: bool
    status: str = "pending"
    """`pending`, then `delivered`, `dead` or `withdrawn`."""
    disposition: Disposition | None = None
    detail: str | None = None
    """Why its workflow's filter refused it, where the workflow says so."""
    may_have_arrived: bool = False
    """Whether somebody has had it in hand to send it."""

    @property
    def holds(self) -> bool:
        """Whether an exclusive wait has the event, as far as anybody knows."""
        return (
            self.wait.exclusive
            and self.status in {"pending", "delivered"}
            and self.disposition in (None, Disposition.ACCEPTED)
        )

    @property
    def is_given_back(self) -> bool:
        """Whether an exclusive wait does not want it, or was never sent it."""
        return self.wait.exclusive and (
            self.status in {"withdrawn", "dead"}
            or self.disposition in (Disposition.FILTERED, Disposition.LATE)
        )
