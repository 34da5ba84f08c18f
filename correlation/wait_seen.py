"""A wait as explaining finds it, and what it tells about an event that nearly met it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


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
    times_out_at: datetime | None = None
    """When the workflow itself gives up, where it said so; `expires_at` is some time later."""
    detail: str | None = None
    """Of the reason, in free text: of a wait that was closed by hand, who closed it and why."""

    @property
    def until(self) -> datetime | None:
        """How long the wait lasts, as its workflow sees it."""
        return self.times_out_at or self.expires_at

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
