"""The native envelope: flat text fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from correlation.event import NO_CONTEXT, Event, EventContext, EventId, EventName, TenantId
from correlation.reason import Reason
from ingress.attributes import (
    context_from,
    event_id_from,
    event_name_from,
    tenant_from,
    timestamp_from,
    trace_from,
)
from ingress.payload import read_payload
from ingress.refusal import Refusal
from ingress.spellings import KNOWN, respelt

Fields = Mapping[bytes, bytes]

REMEMBERED: Final = 1024
"""How many tenants, and how many names, are remembered as well formed."""

_CONTEXT_FIELDS: Final = frozenset(
    field.name.encode() for field in dataclasses.fields(EventContext)
)


def read_native(fields: Fields) -> Event:
    """Decode an entry of flat fields; an empty field is absent, an unknown one is ignored.

    `payload`, and names such as `eventId`, are read as what they mean.

    Raises `Refusal`.
    """
    if not KNOWN.issuperset(fields):
        fields = respelt(fields)
    return Event(
        tenant(fields),
        event_id(fields),
        event_name(fields),
        read_payload(text_of(fields, b"payload_json")),
        text_of(fields, b"workflow_correlation_key") or None,
        timestamp_from(text_of(fields, b"timestamp"), "timestamp"),
        _context_of(fields),
    )


def tenant(fields: Fields) -> TenantId:
    """The tenant; raises `Refusal`."""
    return _tenant(fields.get(b"tenant", b""))


def event_id(fields: Fields) -> EventId:
    """The event's id; raises `Refusal`."""
    return EventId(event_id_from(text_of(fields, b"event_id"), "event_id"))


def event_name(fields: Fields) -> EventName:
    """The name that is matched: `event_type`, or `event_name` where that is blank.

    Raises `Refusal`.
    """
    name = fields.get(b"event_type", b"")
    if name and not _decoded(name, b"event_type").isspace():
        return _event_name(name, b"event_type", "event_type")
    return _event_name(fields.get(b"event_name", b""), b"event_name", "event_type or event_name")


def text_of(fields: Fields, name: bytes) -> str:
    """A field's text, empty when absent; raises `Refusal` when it is not UTF-8."""
    return _decoded(fields.get(name, b""), name)


def _decoded(value: bytes, name: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        detail = f"{shown_name(name)} is not UTF-8 (byte {error.start})"
        raise Refusal(Reason.NOT_UTF8, detail) from None


# Few tenants and names make up nearly all entries: those that passed need no second look, and the
# events of a batch share one text of each.
@lru_cache(maxsize=REMEMBERED)
def _tenant(value: bytes) -> TenantId:
    return TenantId(tenant_from(_decoded(value, b"tenant"), "tenant"))


@lru_cache(maxsize=REMEMBERED)
def _event_name(value: bytes, field: bytes, shown: str) -> EventName:
    return EventName(event_name_from(_decoded(value, field), shown))


def shown_name(name: bytes) -> str:
    """A field's name as a detail may show it: printable ASCII only."""
    return ascii(name.decode(errors="backslashreplace"))[1:-1]


def _context_of(fields: Fields) -> EventContext:
    # Most entries have none of these fields, and hundreds are decoded at a time.
    if _CONTEXT_FIELDS.isdisjoint(fields):
        return NO_CONTEXT
    return EventContext(
        execution_id=_context(fields, b"execution_id"),
        user_id=_context(fields, b"user_id"),
        from_state=_context(fields, b"from_state"),
        to_state=_context(fields, b"to_state"),
        payload_schema_ref=_context(fields, b"payload_schema_ref"),
        traceparent=_trace(fields, b"traceparent"),
        tracestate=_trace(fields, b"tracestate"),
    )


def _trace(fields: Fields, name: bytes) -> str | None:
    return trace_from(fields.get(name, b"").decode("utf-8", "replace"))


def _context(fields: Fields, name: bytes) -> str | None:
    return context_from(text_of(fields, name), name.decode()) if fields.get(name) else None
