"""How answers look, for the OpenAPI document. The routes write them from the audit's records."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from correlation.reason import Outcome
from routing.reach import EventState


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FaultShown(_Answer):
    """One thing wrong with a request."""

    field: str
    problem: str
    fix: str


class ProblemShown(BaseModel):
    """RFC 9457. Some problems tell more, such as the event's id and reason."""

    type: str
    title: str
    status: int
    detail: str
    fix: str
    errors: list[FaultShown]
    request_id: str


class WaitMet(_Answer):
    """A wait that an event met."""

    wait_id: str
    workflow_id: str


class LaunchConsidered(_Answer):
    """What a trigger makes of the event."""

    trigger_id: str
    workflow_id: str
    workflow_type: str
    status: str = Field(description="`pending`, `launched`, `dead` or `skipped`.")
    reason: str | None


class EventAnswer(_Answer):
    """How one posted event ended."""

    status: int = Field(description="As if it had been posted alone.")
    entry_id: str
    tenant: str | None
    event_id: str | None
    outcome: Outcome | None
    reason: str | None
    detail: str | None
    keys: list[str] = Field(description="Correlation keys, the primary one first.")
    waits: list[WaitMet]
    launches: list[LaunchConsidered] = Field(description="What its triggers make of it.")
    duplicate: bool = Field(description="It was recorded before; nothing new was matched.")
    field: str | None = Field(default=None, description="What is wrong, where something is.")
    fix: str | None = None


class BatchAnswer(_Answer):
    """How the events of a batch ended, in their order."""

    results: list[EventAnswer]
    outcomes: dict[str, int]


class EventLineShown(_Answer):
    """One event, or an entry that became none."""

    source: str
    tenant: str
    event_id: str | None
    name: str | None
    outcome: Outcome
    reason: str | None
    detail: str | None
    key: str | None
    matched: int = Field(description="Waits that it met.")
    delivered: int = Field(description="Signals that Temporal took, whatever came of them.")
    received_at: datetime
    stream: str
    entry_id: str
    pending: int
    accepted: int
    filtered: int
    late: int
    withdrawn: int
    dead: int
    launched: int = Field(description="Workflows that it started.")
    launches_pending: int
    launches_dead: int
    states: list[EventState] = Field(description="What came of it, in words.")


class EventPage(_Answer):
    """Events, the newest first."""

    events: list[EventLineShown]
    next: str | None = Field(description="Cursor of the next page; null after the last.")


class SummaryShown(_Answer):
    """Counts within one span of time."""

    since: datetime
    name: str | None
    outcome: Outcome
    reason: str | None
    count: int


class StateCountShown(_Answer):
    """How many events of one name were in one state within one span of time."""

    since: datetime
    name: str | None
    state: EventState
    count: int


class Summary(_Answer):
    """Counts over time."""

    since: datetime
    until: datetime
    bucket: str
    counts: list[SummaryShown]
    states: list[StateCountShown] = Field(description="An event may be in several states.")


class ActionShown(_Answer):
    """Something that somebody did by hand."""

    action_id: str
    actor: str
    action: str
    target_kind: str
    target_id: str
    reason: str | None
    detail: dict[str, Any]
    at: datetime


class Story(_Answer):
    """The whole story of one event or rejected entry."""

    tenant: str
    sentences: list[str] = Field(description="In plain words: whom it woke and, if nobody, why.")
    event: dict[str, Any] | None
    deliveries: list[dict[str, Any]]
    launches: list[dict[str, Any]]
    rejected: list[dict[str, Any]]
    actions: list[ActionShown]
    stages: list[dict[str, Any]] = Field(description="Seconds spent on each stage of the way.")


class WaitShown(_Answer):
    """One registered wait."""

    tenant: str
    wait_id: str
    name: str
    correlation_key: str
    workflow_id: str
    run_id: str | None
    kind: str
    cardinality: str
    filter: str | None
    lookback: float = Field(description="Seconds.")
    status: str
    disposition: str | None
    reason: str | None
    registered_at: datetime
    expires_at: datetime | None = Field(description="When it is retired, closed or not.")
    closed_at: datetime | None
    times_out_at: datetime | None = Field(description="When the workflow itself gives up.")
    detail: str | None = Field(description="Of `reason`; who closed it by hand, and why.")


class WaitPage(_Answer):
    """Waits."""

    waits: list[WaitShown]
    next: str | None


class DeliveryShown(_Answer):
    """One match on its way to Temporal, or there."""

    tenant: str
    event_id: str
    wait_id: str
    workflow_id: str
    run_id: str | None
    signal_name: str
    correlation_key: str
    cardinality: str
    status: str
    looked_back: bool
    attempts: int
    reason: str | None
    detail: str | None
    disposition: str | None
    created_at: datetime
    due_at: datetime
    delivered_at: datetime | None
    disposed_at: datetime | None


class DeliveryPage(_Answer):
    """Deliveries, the newest first."""

    deliveries: list[DeliveryShown]
    next: str | None


class WaitStory(_Answer):
    """A wait with what it was signalled with, the newest hundred."""

    wait: WaitShown
    deliveries: list[DeliveryShown]
    actions: list[ActionShown] = Field(description="What people did to it by hand, newest first.")


class WaitClosed(_Answer):
    """A wait that an operator closed."""

    tenant: str
    wait_id: str
    status: str
    action_id: str


class LetterShown(_Answer):
    """A dead letter."""

    letter_id: str
    stream: str
    entry_id: str
    tenant: str | None
    event_id: str | None
    name: str | None
    reason: str
    detail: str
    fields: Any


class LetterPage(_Answer):
    """Dead letters, the newest first."""

    letters: list[LetterShown]
    next: str | None


class Requeued(_Answer):
    """An entry that is in its stream again."""

    letter_id: str
    entry_id: str
    action_id: str


_DESCRIPTIONS: Final = {
    401: "The token is missing, unknown, revoked or expired.",
    403: "The token lacks the scope, or is not bound to the tenant.",
    404: "There is no such thing, or it is another tenant's.",
    409: "It contradicts what is recorded.",
    410: "Nobody waits for it any more.",
    413: "Too large.",
    415: "The content type is not understood.",
    422: "Something in the request is wrong; `errors` names each field and its fix.",
    429: "Too many requests; Retry-After says when to go on.",
    503: "A server behind is away; Retry-After says when to try again.",
}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {
        "description": description,
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemShown"}}
        },
    }
    for status, description in _DESCRIPTIONS.items()
}


def documented(
    model: type[BaseModel], description: str = "The answer.", *problems: int
) -> dict[int | str, dict[str, Any]]:
    """The responses of a route: what it answers with, and the problems that may arise."""
    return {
        200: {"model": model, "description": description},
        **{status: PROBLEMS[status] for status in problems},
    }


READING: Final = (401, 403, 422, 429, 503)
"""Problems of every route that reads a list."""
ONE: Final = (401, 403, 404, 409, 422, 429, 503)
"""Problems of every route about one object."""
