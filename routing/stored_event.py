"""An event as the audit keeps it, brought back into the form that resolving takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from correlation.event import Event, EventContext, EventId, EventName, JsonScalar, Payload, TenantId
from correlation.exact_reading import read_stored
from correlation.reason import Reason
from correlation.resolution import ENVELOPE_KEY, Resolution, Resolved, Unresolved, resolve
from correlation.rules import Rules
from routing.audit_records import EventRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """What resolving an event again needs, and what was recorded of the first time."""

    tenant: str
    event_id: str
    name: str
    outcome: str
    reason: str | None
    detail: str | None
    keys: tuple[str, ...]
    key_detail: str | None
    rules_version: str
    payload: str
    received_at: datetime
    context: Mapping[str, Any]

    @classmethod
    def of_record(cls, record: EventRecord) -> StoredEvent:
        """From the audit's own record."""
        return cls(
            tenant=record.tenant,
            event_id=record.event_id,
            name=record.name,
            outcome=record.outcome.value,
            reason=record.reason,
            detail=record.detail,
            keys=record.keys,
            key_detail=record.key_detail,
            rules_version=record.rules_version,
            payload=record.payload,
            received_at=record.received_at,
            context=record.context,
        )

    def event(self) -> Event:
        """The event; its payload was checked and bounded when it came in."""
        value = read_stored(self.payload)
        known = EventContext.__dataclass_fields__.keys()
        context = EventContext(**{n: str(v) for n, v in self.context.items() if n in known})
        return Event(
            TenantId(self.tenant),
            EventId(self.event_id),
            EventName(self.name),
            Payload(self.payload, value),
            explicit_key=self._explicit_key(),
            context=context,
        )

    def resolved_by(self, rules: Rules) -> Resolution:
        """How the event resolves under these rules.

        An envelope key that was refused is not kept; its refusal, which no rule changes, is.
        """
        refused = self.detail is not None and self.detail.startswith(f"{ENVELOPE_KEY}: ")
        if refused and not self.keys:
            # Bound by hand, the event has lost the word; what it says is still in the detail.
            reason = Reason(self.reason) if self.reason else Reason.NO_VALUE
            return Unresolved(reason, self.detail or "")
        return resolve(self.event(), rules)

    def _explicit_key(self) -> JsonScalar:
        return self.keys[0] if self.keys and self.key_detail == ENVELOPE_KEY else None


def keys_of_resolution(resolution: Resolution) -> Sequence[str]:
    """The keys, the primary one first; none of an unresolved event."""
    return resolution.keys if isinstance(resolution, Resolved) else ()
