"""Between decoding and recording: an event whose payload its schema refuses, or frowns upon."""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from correlation.reason import Outcome, Reason
from correlation.resolution import Resolution, Resolved, Unresolved
from ingress.schemas import Mode, PayloadSchemas
from routing.incoming import IncomingEvent, RejectedEntry


def checked(incoming: IncomingEvent, schemas: PayloadSchemas) -> IncomingEvent | RejectedEntry:
    """The event as it is, with a note for its audit row, or as the rejected entry that it is."""
    judgement = schemas.judgement_of(incoming.event)
    if judgement is None:
        return incoming
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
        reason=Reason.SCHEMA_INVALID,
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
