"""From an HTTP request to entries, as the stream would have brought them.

Four forms, told apart as the CloudEvents HTTP binding says: a JSON object in the native form (or
`{"events": [...]}` of them), a structured CloudEvent, a batch of those, and a binary CloudEvent
whose attributes stand in `ce-` headers. Each becomes the fields of a stream entry, so that
`ingress.envelope.decode` decides about all of them, and in one way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias
from urllib.parse import unquote_to_bytes

from correlation.exact_reading import Member, NotJson, kind_of, read_elements, read_members
from correlation.exact_writing import text_json
from correlation.key import CanonicalKey, canonical_key
from correlation.reason import Reason
from ingress.cloudevents import BINARY_FIELDS, STRUCTURED_FIELD
from ingress.entry import Malformed
from ingress.native import Fields
from ingress.payload import BYTE_ORDER_MARK
from ingress.refusal import Refusal
from ingress.spellings import meant_by

JSON: Final = "application/json"
STRUCTURED: Final = "application/cloudevents+json"
STRUCTURED_BATCH: Final = "application/cloudevents-batch+json"
UNDERSTOOD: Final = (JSON, STRUCTURED, STRUCTURED_BATCH)

NATIVE_TEXTS: Final = (
    "event_id",
    "event_type",
    "event_name",
    "tenant",
    "timestamp",
    "payload_json",
    "execution_id",
    "user_id",
    "from_state",
    "to_state",
    "payload_schema_ref",
    "traceparent",
    "tracestate",
)
KEY_FIELD: Final = "workflow_correlation_key"
_HEADER_PREFIX: Final = b"ce-"
_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)


class Form(Enum):
    """In which form a request brings its events."""

    NATIVE = auto()
    STRUCTURED = auto()
    STRUCTURED_BATCH = auto()
    BINARY = auto()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A body, or an element of a batch, that does not even give the fields of an entry."""

    malformed: Malformed
    raw: bytes


Item: TypeAlias = Fields | Unreadable


@dataclass(frozen=True, slots=True)
class Posted:
    """What a request brings: the entries in its own order."""

    items: Sequence[Item]
    batch: bool
    """True when an answer for each is expected, even if there is one only."""


def form_of(content_type: str, headers: Mapping[bytes, bytes]) -> Form | None:
    """The form of a request; None when its content type is none that is understood.

    `headers` have lower-case names.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == STRUCTURED:
        return Form.STRUCTURED
    if media_type == STRUCTURED_BATCH:
        return Form.STRUCTURED_BATCH
    if any(headers.get(name.replace(b"_", b"-", 1)) for name in BINARY_FIELDS):
        return Form.BINARY
    return Form.NATIVE if media_type == JSON else None


def read_posted(form: Form, headers: Mapping[bytes, bytes], body: bytes) -> Posted:
    """Take a request apart; whatever its bytes are, this answers and never raises."""
    match form:
        case Form.STRUCTURED:
            return Posted([{STRUCTURED_FIELD: body}], batch=False)
        case Form.BINARY:
            return Posted([_binary_fields(headers, body)], batch=False)
        case Form.STRUCTURED_BATCH:
            return _structured_batch(body)
        case Form.NATIVE:
            return _native(body)


def with_defaults(
    fields: Fields, *, tenant: str | None, event_id: str | None, traceparent: str | None
) -> Fields:
    """The fields with what the request says beside them, where they say nothing themselves.

    An id is given to native events only: the identity of a CloudEvent is its publisher's.
    """
    if fields.get(STRUCTURED_FIELD):
        return _with_tenant(fields, tenant) if tenant else fields
    if any(fields.get(name) for name in BINARY_FIELDS):
        return _completed(fields, {b"ce_tenantid": tenant, b"ce_traceparent": traceparent})
    defaults = {b"tenant": tenant, b"event_id": event_id, b"traceparent": traceparent}
    return _completed(fields, defaults)


def _completed(fields: Fields, defaults: Mapping[bytes, str | None]) -> Fields:
    missing = {
        name: text.encode()
        for name, text in defaults.items()
        if text is not None and not fields.get(name, b"").strip()
    }
    return {**fields, **missing} if missing else fields


def _with_tenant(fields: Fields, tenant: str) -> Fields:
    """A structured CloudEvent with a tenant, unless it names one; every other text is kept."""
    try:
        text = _text(fields[STRUCTURED_FIELD])
        members = read_members(text)
    except (Refusal, NotJson):
        return fields
    own = members.get("tenantid")
    if own is not None and own.value not in (None, ""):
        return fields
    texts = {name: member.text for name, member in members.items()}
    texts["tenantid"] = text_json(tenant)
    written = ",".join(f"{text_json(name)}:{text}" for name, text in texts.items())
    return {STRUCTURED_FIELD: f"{{{written}}}".encode()}


def _binary_fields(headers: Mapping[bytes, bytes], body: bytes) -> Fields:
    fields = {
        b"ce_" + name.removeprefix(_HEADER_PREFIX): unquote_to_bytes(_without_quotes(value))
        for name, value in headers.items()
        if name.startswith(_HEADER_PREFIX)
    }
    if content_type := headers.get(b"content-type"):
        fields[b"content-type"] = content_type
    return {**fields, b"data": body}


def _without_quotes(value: bytes) -> bytes:
    """A header's value, whose double quotes are the header's own (RFC 9110, section 5.6.4)."""
    if _QUOTED.fullmatch(value):
        return _QUOTED_PAIR.sub(rb"\1", value[1:-1])
    return value


def _structured_batch(body: bytes) -> Posted:
    try:
        elements = read_elements(_text(body))
    except (Refusal, NotJson) as refusal:
        return Posted([_unreadable(refusal, body)], batch=False)
    return Posted([{STRUCTURED_FIELD: element.text.encode()} for element in elements], batch=True)


def _native(body: bytes) -> Posted:
    try:
        members = read_members(_text(body))
        if "events" not in members:
            return Posted([_native_fields(members)], batch=False)
        events = members["events"]
        if not isinstance(events.value, list):
            detail = f"events must be an array, not {kind_of(events.value)}"
            raise Refusal(Reason.FIELD_INVALID, detail)
        elements = read_elements(events.text)
    except (Refusal, NotJson) as refusal:
        return Posted([_unreadable(refusal, body)], batch=False)
    return Posted([_native_item(element) for element in elements], batch=True)


def _native_item(element: Member) -> Item:
    try:
        return _native_fields(read_members(element.text))
    except (Refusal, NotJson) as refusal:
        return _unreadable(refusal, element.text.encode())


def _native_fields(members: Mapping[str, Member]) -> Fields:
    """The fields of a native entry; of a payload the very text is kept. Raises `Refusal`."""
    members = _respelt(members)
    fields: dict[bytes, bytes] = {}
    for name in NATIVE_TEXTS:
        if name in members and (text := _field_text(name, members[name].value)):
            fields[name.encode()] = text
    if (key := members.get(KEY_FIELD)) is not None and key.value is not None:
        fields[KEY_FIELD.encode()] = _key_text(key)
    payload = members.get("payload")
    if payload is not None and payload.value is not None:
        if b"payload_json" in fields:
            detail = "payload and payload_json exclude one another"
            raise Refusal(Reason.FIELD_INVALID, detail)
        fields[b"payload_json"] = payload.text.encode()
    # An entry without a single field is none; what is said of this one names what is missing.
    return fields or {b"tenant": b""}


def _respelt(members: Mapping[str, Member]) -> Mapping[str, Member]:
    """Members such as `workflowCorrelationKey` under the contract's names, which go first."""
    found = {
        meant.decode(): member
        for name, member in members.items()
        if name != "payload"
        and (meant := meant_by(name.encode("utf-8", "replace"))) is not None
        and meant.decode() not in members
    }
    return {**members, **found} if found else members


def _field_text(name: str, value: object) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, str):
        raise Refusal(Reason.FIELD_INVALID, f"{name} must be a string, not {kind_of(value)}")
    return _encoded(name, value)


def _key_text(key: Member) -> bytes:
    """The key as the text of a stream entry's field: a number in its canonical form."""
    if isinstance(key.value, str):
        return _encoded(KEY_FIELD, key.value)
    reading = canonical_key(key.value)
    if not isinstance(reading, CanonicalKey):
        detail = f"{KEY_FIELD} must be a string, a number or a boolean that can serve as a key"
        raise Refusal(Reason.FIELD_INVALID, detail)
    return reading.key.encode()


def _encoded(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        detail = f"{name} contains a lone surrogate at position {error.start}"
        raise Refusal(Reason.FIELD_INVALID, detail) from None


def _text(body: bytes) -> str:
    try:
        return body.decode().lstrip(BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        raise Refusal(Reason.NOT_UTF8, f"the body is not UTF-8 (byte {error.start})") from None


def _unreadable(refusal: Refusal | NotJson, raw: bytes) -> Unreadable:
    return Unreadable(Malformed(refusal.reason, refusal.detail), raw)
