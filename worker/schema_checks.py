"""Between decoding and recording: an event whose payload its schema refuses, or frowns upon."""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from correlation.reason import Outcome, Reason
from correlation.resolution import Resolution, Resolved, Unresolved
from ingress.schemas import PayloadSchemas
from routing.incoming import IncomingEvent, RejectedEntry


def checked(incoming: IncomingEvent, schemas: PayloadSchemas) -> IncomingEvent | RejectedEntry:
    """The event as it is, with a note for its audit row, or as the rejected entry that it is."""
    fault = schemas.fault_of(incoming.event)
    if fault is None:
        return incoming
    if not fault.enforced:
        return replace(incoming, resolution=_noted(incoming.resolution, fault.detail))
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
