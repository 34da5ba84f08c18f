"""The event that the service reads in a stream entry of the native form."""

from __future__ import annotations

from collections.abc import Mapping

from pointsman.correlation.event import Event, EventId, EventName, Payload, TenantId
from pointsman.correlation.exact_reading import read_json


def stated_event(fields: Mapping[str, str]) -> Event:
    """Read the fields that `stream_fields` writes: they are known to be sound."""
    text = fields.get("payload_json") or "{}"
    return Event(
        TenantId(fields["tenant"]),
        EventId(fields["event_id"]),
        EventName(fields["event_type"]),
        Payload(text, read_json(text)),
        explicit_key=fields.get("workflow_correlation_key"),
    )
