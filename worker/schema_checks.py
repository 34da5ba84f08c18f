"""Between decoding and recording: an event whose payload its schema refuses, or frowns upon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from msgspec.structs import replace

from correlation.reason import Outcome
from correlation.resolution import Resolution, Resolved, Unresolved
from ingress.schemas import Judgement, Mode, PayloadSchemas, Unjudged
from routing.incoming import IncomingEvent, RejectedEntry


@dataclass(frozen=True, slots=True)
class UnjudgedEvent:
    """An event whose payload a worker has to judge."""

    incoming: IncomingEvent
    unjudged: Unjudged


def checked(
    incoming: IncomingEvent, schemas: PayloadSchemas
) -> IncomingEvent | RejectedEntry | UnjudgedEvent:
    """The event as it is, with a note for its audit row, or as the rejected entry that it is.

    Unjudged when that would keep everything else waiting.
    """
    judgement = schemas.judgement_of(incoming.event)
    if judgement is None:
        return incoming
    if isinstance(judgement, Unjudged):
        return UnjudgedEvent(incoming, judgement)
    return after_judgement(incoming, judgement)


def after_judgement(incoming: IncomingEvent, judgement: Judgement) -> IncomingEvent | RejectedEntry:
    """The event with its note, or as the rejected entry that it is."""
    fault = judgement.fault
    if fault is None:
        return replace(incoming, judged_by=judgement.judged_by)
    if not fault.enforced:
        return replace(
            incoming,
            resolution=_noted(incoming.resolution, fault.detail),
            judged_by=judgement.judged_by,
            launches_held=fault.detail if fault.mode is Mode.ENFORCE_LAUNCHES else None,
        )
    return RejectedEntry(
        origin=incoming.origin,
        outcome=Outcome.REJECTED,
        reason=fault.reason,
        detail=fault.detail,
        raw=incoming.raw(),
        tenant=incoming.event.tenant,
        event_id=incoming.event.event_id,
        event_name=incoming.event.name,
    )


def _noted(resolution: Resolution, note: str) -> Resolution:
    match resolution:
        case Resolved():
            return replace(resolution, notes=(*resolution.notes, note))
        case Unresolved():
            return Unresolved(resolution.reason, f"{resolution.detail}; {note}")
        case _:
            assert_never(resolution)
