"""A domain event as its publisher states it, and its fields on the stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID, uuid4

from pointsman.contract import (
    MAX_EVENT_ID_BYTES,
    MAX_EVENT_NAME_BYTES,
    MAX_TENANT_BYTES,
    is_reserved_id,
)
from pointsman.correlation.exact_number import OutsizeNumber, number_text
from pointsman.keys import Key, key_text

DELETE_CHARACTER: Final = 0x7F
MAX_CONTEXT_BYTES: Final = 4096
MAX_DEPTH: Final = 128
MAX_ENTRY_BYTES: Final = 1024 * 1024
"""What the service takes unless it is set up otherwise: names and values of an entry together."""


class PublishError(ValueError):
    """An event that cannot be published as it is; nothing was sent. Names the field and the fix."""

    def __init__(self, field_name: str, problem: str) -> None:
        super().__init__(f"{field_name}: {problem}")
        self.field = field_name


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainEvent:
    """Something that happened to a tenant's business, stated once.

    `payload` is a JSON object; dates, UUIDs and enums in it become text, and `Decimal` a number
    with exactly its digits. `event_id` identifies the event within the tenant: publishing it again
    changes nothing, so set it to what your own outbox or database knows the event by.
    """

    name: str
    tenant: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    event_id: str = field(default_factory=lambda: uuid4().hex)
    correlation_key: Key | None = None
    """Which business object it is about; None lets the service's rules find it in the payload."""
    timestamp: datetime | None = None
    """When it happened, time zone aware; None is the moment of publishing."""
    execution_id: str | None = None
    user_id: str | None = None
    from_state: str | None = None
    to_state: str | None = None
    payload_schema_ref: str | None = None
    traceparent: str | None = None
    """The W3C trace context of the publisher, so that a trace runs on into the workflow."""
    tracestate: str | None = None


def stream_fields(event: DomainEvent, *, now: Callable[[], datetime]) -> dict[str, str]:
    """The event as flat fields of a stream entry, in the native form of the contract.

    Raises PublishError for what the service would refuse or could not read.
    """
    fields = {
        "event_id": _event_id(event.event_id),
        "event_type": _name("name", event.name, MAX_EVENT_NAME_BYTES),
        "event_name": event.name,
        "tenant": _name("tenant", event.tenant, MAX_TENANT_BYTES),
        "timestamp": _moment(event.timestamp or now()),
        "payload_json": payload_json(event.payload),
        **_key_field(event),
        **_context_fields(event),
    }
    size = sum(len(name) + len(value.encode()) for name, value in fields.items())
    if size > MAX_ENTRY_BYTES:
        raise PublishError(
            "payload", f"makes the entry {size} bytes long; at most {MAX_ENTRY_BYTES} are taken"
        )
    return fields


def payload_json(payload: object) -> str:
    """The payload as strict JSON with exact numbers. Raises PublishError, naming the place."""
    if not isinstance(payload, Mapping):
        raise PublishError("payload", f"is a {type(payload).__name__}; give a mapping")
    return _json(payload, "payload", MAX_DEPTH)


def _json(value: Any, place: str, depth: int) -> str:
    if depth == 0 and isinstance(value, Mapping | list | tuple):
        raise PublishError("payload", f"is nested more than {MAX_DEPTH} levels deep; flatten it")
    match value:
        case Enum():
            return _json(value.value, place, depth)
        case bool() | None:
            return json.dumps(value)
        case int():
            return _digits(value, place)
        case str():
            return json.dumps(value)
        case float() | Decimal() | OutsizeNumber():
            return _number(value, place)
        case UUID() | date():
            return json.dumps(value.isoformat() if isinstance(value, date) else str(value))
        case Mapping():
            members = (_member(item, place, depth - 1) for item in value.items())
            return "{" + ",".join(members) + "}"
        case list() | tuple():
            items = (_json(item, f"{place}[{i}]", depth - 1) for i, item in enumerate(value))
            return "[" + ",".join(items) + "]"
        case _:
            raise PublishError(place, f"a {type(value).__name__} has no JSON form; convert it")


def _member(item: tuple[Any, Any], place: str, depth: int) -> str:
    name, value = item
    if not isinstance(name, str):
        raise PublishError(place, f"member name {name!r} is not text; make it a str")
    return f"{json.dumps(name)}:{_json(value, f'{place}.{name}', depth)}"


def _digits(value: int, place: str) -> str:
    try:
        return int.__repr__(value)
    except ValueError:
        raise PublishError(place, "an integer of that many digits; send it as text") from None


def _number(value: float | Decimal | OutsizeNumber, place: str) -> str:
    text = number_text(value)
    if text is None:
        raise PublishError(place, f"{value} is no JSON number; send null or text")
    return text


def _event_id(value: str) -> str:
    event_id = _name("event_id", value, MAX_EVENT_ID_BYTES)
    if is_reserved_id(event_id):
        raise PublishError("event_id", "is of the form that Pointsman gives itself; use another")
    return event_id


def _name(field_name: str, value: str, limit: int) -> str:
    text = _text(field_name, value, limit)
    if not text or text != text.strip():
        raise PublishError(field_name, "must not be blank or begin or end with white space")
    return text


def _text(field_name: str, value: object, limit: int) -> str:
    if not isinstance(value, str):
        raise PublishError(field_name, f"is a {type(value).__name__}; make it a str")
    if any(ord(character) < ord(" ") or ord(character) == DELETE_CHARACTER for character in value):
        raise PublishError(field_name, "contains control characters; remove them")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise PublishError(field_name, "holds characters that UTF-8 cannot encode") from None
    if size > limit:
        raise PublishError(field_name, f"is {size} bytes of UTF-8 long; shorten it to {limit}")
    return str(value)


def _moment(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise PublishError("timestamp", "has no time zone; use datetime.now(UTC) or .astimezone()")
    return moment.astimezone(UTC).isoformat()


def _key_field(event: DomainEvent) -> dict[str, str]:
    if event.correlation_key is None:
        return {}
    try:
        return {"workflow_correlation_key": key_text(event.correlation_key)}
    except ValueError as error:
        problem = str(error).removeprefix("key ")
        raise PublishError("correlation_key", problem) from None


def _context_fields(event: DomainEvent) -> dict[str, str]:
    values = {
        "execution_id": event.execution_id,
        "user_id": event.user_id,
        "from_state": event.from_state,
        "to_state": event.to_state,
        "payload_schema_ref": event.payload_schema_ref,
        "traceparent": event.traceparent,
        "tracestate": event.tracestate,
    }
    return {
        name: _text(name, value, MAX_CONTEXT_BYTES)
        for name, value in values.items()
        if value is not None
    }
