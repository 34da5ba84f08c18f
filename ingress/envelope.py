"""From the fields of a stream entry to an event, whichever envelope they are.

An entry with the field `cloudevent` is a structured CloudEvent; one with any of the required
attributes as a `ce_` field is a binary CloudEvent; every other entry is native.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, Final, TypeVar

from correlation.event import Event
from correlation.exact_reading import read_bytes
from correlation.reason import Reason
from ingress import cloudevents, native
from ingress.cloudevents import BINARY_FIELDS, STRUCTURED_FIELD
from ingress.entry import Malformed, size_of
from ingress.native import Fields
from ingress.refusal import Refusal
from ingress.spellings import in_quotes, without_quotes

DEFAULT_MAX_BYTES: Final = 1024 * 1024

Source = TypeVar("Source")


def decode(
    fields: Fields, *, max_bytes: int = DEFAULT_MAX_BYTES, size: int | None = None
) -> Event | Malformed:
    """Decode an entry; whatever its bytes are, this answers and never raises.

    `max_bytes` bounds names and values together, whose `size` a caller may know. A `Malformed`
    carries the tenant, the event id and the event's name where they can be read and are usable in
    themselves.
    """
    if not fields:
        return Malformed(Reason.EMPTY_ENTRY, "the entry has no fields")
    if size is None:
        size = size_of(fields)
    try:
        if size > max_bytes:
            detail = f"the entry is {size} bytes long; at most {max_bytes} are allowed"
            raise Refusal(Reason.ENTRY_TOO_LARGE, detail)
        if fields.get(b"tenant", b"").startswith(b'"'):
            fields = without_quotes(fields)
        return _read(fields)
    except Refusal as refusal:
        if size > max_bytes or not in_quotes(fields):
            return _malformed(refusal, fields, readable=size <= max_bytes)
        return _decoded_without_quotes(fields)


def _decoded_without_quotes(fields: Fields) -> Event | Malformed:
    plain = without_quotes(fields)
    try:
        return _read(plain)
    except Refusal as refusal:
        return _malformed(refusal, plain, readable=True)


def _read(fields: Fields) -> Event:
    if fields.get(STRUCTURED_FIELD):
        return cloudevents.read_cloudevent(cloudevents.structured(fields))
    if _is_binary(fields):
        return cloudevents.read_cloudevent(cloudevents.binary(fields))
    return native.read_native(fields)


def raw_bytes(fields: Fields) -> bytes:
    """Write an entry's fields down without loss, for the audit of an entry that is no event.

    ASCII JSON: an array of `[name, value]` pairs in the entry's order, each of the two a string
    where it is UTF-8 and `{"base64": "..."}` where it is not. `fields_from_raw` is the inverse.
    """
    pairs = [[_written(name), _written(value)] for name, value in fields.items()]
    return json.dumps(pairs, separators=(",", ":")).encode()


def fields_from_raw(raw: bytes) -> dict[bytes, bytes]:
    """Read back what `raw_bytes` wrote; raises `ValueError` for anything else."""
    match read_bytes(raw):
        case [*pairs] if all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            return {_read_back(name): _read_back(value) for name, value in pairs}
        case _:
            raise ValueError("these are not the raw fields of an entry")


def _is_binary(fields: Fields) -> bool:
    return not BINARY_FIELDS.isdisjoint(fields) and any(map(fields.get, BINARY_FIELDS))


def _malformed(refusal: Refusal, fields: Fields, *, readable: bool) -> Malformed:
    tenant, event_id, event_name = _identity(fields, readable=readable)
    return Malformed(refusal.reason, refusal.detail, tenant, event_id, event_name)


def _identity(fields: Fields, *, readable: bool) -> tuple[str | None, str | None, str | None]:
    if fields.get(STRUCTURED_FIELD):
        # Parsing a text that is refused for its size is just what the bound is to prevent.
        whole = {STRUCTURED_FIELD: _as_utf8(fields[STRUCTURED_FIELD])}
        cloudevent = _usable(cloudevents.structured, whole) if readable else None
        return _cloudevent_identity(cloudevent)
    if _is_binary(fields):
        # One value that is not UTF-8 takes nothing from the others.
        readable_ones = {name: value for name, value in fields.items() if _as_utf8(value) == value}
        return _cloudevent_identity(_usable(cloudevents.binary, readable_ones))
    return (
        _usable(native.tenant, fields),
        _usable(native.event_id, fields),
        _usable(native.event_name, fields),
    )


def _cloudevent_identity(
    cloudevent: cloudevents.CloudEvent | None,
) -> tuple[str | None, str | None, str | None]:
    attributes = {
        name: value
        for name, value in (cloudevent.attributes if cloudevent else {}).items()
        if not (isinstance(value, str) and "\ufffd" in value)
    }
    return (
        _usable(cloudevents.tenant, attributes),
        _usable(cloudevents.event_id, attributes),
        _usable(cloudevents.event_name, attributes),
    )


Read = TypeVar("Read")


def _usable(read: Callable[[Source], Read], source: Source) -> Read | None:
    try:
        return read(source)
    except Refusal:
        return None


def _as_utf8(value: bytes) -> bytes:
    return value.decode("utf-8", "replace").encode()


def _written(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(value).decode()}


def _read_back(written: Any) -> bytes:
    match written:
        case str():
            return written.encode()
        case {"base64": str(text)}:
            return b64decode(text, validate=True)
        case _:
            raise ValueError("these are not the raw fields of an entry")
