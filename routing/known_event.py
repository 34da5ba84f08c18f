"""An event that was recorded before: is what came under its id the same event again?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from correlation.exact_equality import equal_json
from correlation.exact_reading import NotJson, read_stored
from correlation.reason import Outcome, Reason
from correlation.resolution import ENVELOPE_KEY, Resolved
from routing.columns import content_digest
from routing.incoming import IncomingEvent, RecordedEvent


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """An event's row as it stands."""

    digest: bytes
    payload: str
    name: str
    envelope_key: str | None
    outcome: Outcome
    reason: Reason | None
    waits: int
    recorded_now: bool
    """True when the transaction that reads the row inserted it."""

    def same_as(self, incoming: IncomingEvent) -> bool:
        """Equal bytes, or equal content in other words (white space, member order, 1 for 1.0)."""
        if self.digest == content_digest(incoming.event):
            return True
        return (
            self.name == incoming.event.name
            and self.envelope_key == _envelope_key(incoming)
            and _same_json(self.payload, incoming.event.payload.text)
        )

    def recorded(self, *, duplicate: bool) -> RecordedEvent:
        """How the event ended, when it was recorded."""
        return RecordedEvent(self.outcome, self.reason, self.waits, duplicate)


def read_known_event(row: tuple[Any, ...]) -> KnownEvent:
    """Read a row of the statement KNOWN_EVENTS."""
    _, _, digest, payload, name, key_detail, key, outcome, reason, waits, recorded_now = row
    return KnownEvent(
        digest=bytes(digest),
        payload=payload,
        name=name,
        envelope_key=key if key_detail == ENVELOPE_KEY else None,
        outcome=Outcome(outcome),
        reason=Reason(reason) if reason else None,
        waits=waits,
        recorded_now=recorded_now,
    )


def _envelope_key(incoming: IncomingEvent) -> str | None:
    resolution = incoming.resolution
    if isinstance(resolution, Resolved) and resolution.detail == ENVELOPE_KEY:
        return resolution.key
    return None


def _same_json(one: str, other: str) -> bool:
    try:
        return equal_json(read_stored(one), read_stored(other))
    except NotJson:
        # What an older release stored under other bounds is compared by its text alone.
        return False
