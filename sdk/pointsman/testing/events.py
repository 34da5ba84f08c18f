"""Events for the twin: those a test states, and those recorded in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pointsman.correlation.event import Event, EventId, EventName, Payload, TenantId
from pointsman.correlation.exact_reading import NotJson, read_stored
from pointsman.correlation.exact_writing import exact_json
from pointsman.domain_event import DomainEvent, stream_fields
from pointsman.stated_event import stated_event


class UnreadableEvents(ValueError):
    """A file of recorded events that cannot be read; says which line, and what it should hold."""


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as a file holds it, ready to be resolved by rules."""

    place: str
    """File and line."""
    event: Event

    def __str__(self) -> str:
        """Names the test that is run for it."""
        return f"{self.event.name}-{self.event.event_id}"


def event_of(stated: DomainEvent) -> Event:
    """The event that the service reads when this one is published.

    Raises PublishError for what the publisher refuses.
    """
    return stated_event(stream_fields(stated, now=lambda: datetime.now(UTC)))


def event_of_entry(fields: Mapping[str, str]) -> Event:
    """The event in the fields of a stream entry: native, or a CloudEvent.

    What the service refuses for its form alone (a size, a time stamp) is not checked. Raises
    UnreadableEvents.
    """
    if "cloudevent" in fields:
        return _cloud_event(read_stored(fields["cloudevent"]))
    if "ce_type" in fields:
        attributes = {name.removeprefix("ce_"): value for name, value in fields.items()}
        return _cloud_event({**attributes, "data": read_stored(fields.get("data") or "{}")})
    name = fields.get("event_type") or fields.get("event_name")
    return _event(
        name=name,
        tenant=fields.get("tenant"),
        event_id=fields.get("event_id"),
        text=fields.get("payload_json") or "{}",
        key=fields.get("workflow_correlation_key") or None,
    )


def recorded_events(path: str | Path) -> list[RecordedEvent]:
    """The events of a JSON Lines file, in their order. Raises UnreadableEvents.

    A line is the fields of a stream entry, as they stand in Redis (or `{"entry": fields}`), a
    line of `GET /v1/events/export?payload=true`, or what `pointsman resolve --jsonl` reads:
    `{"event_name", "payload", "workflow_correlation_key"?}`.
    """
    found = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            event = _event_of_line(read_stored(line), f"line-{number}")
        except ValueError as error:
            raise UnreadableEvents(f"{place}: {error}") from error
        found.append(RecordedEvent(place, event))
    return found


def _event_of_line(value: Any, event_id: str) -> Event:
    if not isinstance(value, Mapping):
        raise UnreadableEvents("a line must hold one JSON object with an event")
    fields = value.get("entry", value)
    if not isinstance(fields, Mapping):
        raise UnreadableEvents("`entry` must be the object of the entry's fields")
    if "payload" not in fields:
        return event_of_entry(fields)
    payload = fields["payload"]
    return _event(
        name=fields.get("event_name") or fields.get("name"),
        tenant=fields.get("tenant") or "recorded",
        event_id=fields.get("event_id") or event_id,
        text=payload if isinstance(payload, str) else exact_json(payload),
        key=fields.get("workflow_correlation_key") or _named_key(fields),
    )


def _named_key(exported: Mapping[str, Any]) -> Any:
    """Of an exported event the key that its publisher named, and not what rules found then."""
    return exported.get("key") if exported.get("source") == "explicit" else None


def _cloud_event(value: Any) -> Event:
    if "data_base64" in value:
        raise UnreadableEvents("data_base64 is not read here: write the JSON as `data`")
    source = str(value.get("source", "")).strip().replace("|", "%7C")
    return _event(
        name=value.get("type"),
        tenant=value.get("tenantid"),
        event_id=f"{source}|{value.get('id', '')}",
        text=exact_json(value.get("data") or {}),
        key=value.get("correlationkey"),
    )


def _event(*, name: Any, tenant: Any, event_id: Any, text: str, key: Any) -> Event:
    for what, value in (("event name", name), ("tenant", tenant), ("event id", event_id)):
        if not isinstance(value, str) or not value.strip():
            raise UnreadableEvents(f"the event has no {what}")
    try:
        value = read_stored(text)
    except NotJson as error:
        raise UnreadableEvents(f"the payload is no JSON: {error.detail}") from None
    if not isinstance(value, Mapping):
        raise UnreadableEvents("the payload is no JSON object")
    return Event(
        TenantId(tenant), EventId(event_id), EventName(name), Payload(text, value), explicit_key=key
    )
