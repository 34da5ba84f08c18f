"""CloudEvents 1.0 in a stream entry: one JSON text, or one field per attribute.

Structured form: the field `cloudevent` holds the event in the CloudEvents JSON format. Binary
form: each attribute stands in a field `ce_<attribute>`, the payload in `data`. Attribute names are
lower case, exactly as the specification has them; media types compare without regard to case.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from correlation.event import (
    EMPTY_PAYLOAD,
    Event,
    EventContext,
    EventId,
    EventName,
    JsonScalar,
    Payload,
    TenantId,
)
from correlation.exact_number import OutsizeNumber
from correlation.exact_reading import NotJson, read_members
from correlation.reason import Reason
from ingress.attributes import (
    context_from,
    event_id_from,
    event_name_from,
    tenant_from,
    timestamp_from,
    trace_from,
)
from ingress.native import Fields, shown_name, text_of
from ingress.payload import BYTE_ORDER_MARK, read_payload
from ingress.refusal import Refusal, quoted

STRUCTURED_FIELD: Final = b"cloudevent"
BINARY_FIELDS: Final = frozenset({b"ce_specversion", b"ce_id", b"ce_source", b"ce_type"})
TRACE_CONTEXT: Final = frozenset({"traceparent", "tracestate"})
_PREFIX: Final = b"ce_"


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """The attributes of a CloudEvent, and its data in whichever of the three ways it came.

    An attribute that is null or an empty string is left out.
    """

    attributes: Mapping[str, Any]
    data: str | None = None
    """The data's JSON text."""
    data_base64: Any = None


def structured(fields: Fields) -> CloudEvent:
    """Read the attributes of the structured form; raises `Refusal`."""
    text = text_of(fields, STRUCTURED_FIELD).lstrip(BYTE_ORDER_MARK)
    try:
        members = read_members(text)
    except NotJson as error:
        raise Refusal(error.reason, f"the cloudevent: {error.detail}") from None
    attributes = {
        name: member.value for name, member in members.items() if member.value not in (None, "")
    }
    data = members["data"].text if attributes.pop("data", None) is not None else None
    return CloudEvent(attributes, data, attributes.pop("data_base64", None))


def binary(fields: Fields) -> CloudEvent:
    """Read the attributes of the binary form; raises `Refusal`."""
    attributes: dict[str, Any] = {}
    for field, value in fields.items():
        if field.startswith(_PREFIX) and value:
            name = shown_name(field).removeprefix("ce_")
            if name in TRACE_CONTEXT:
                attributes[name] = value.decode("utf-8", "replace")
            else:
                attributes[name] = text_of(fields, field)
    if b"content-type" in fields:
        attributes.setdefault("datacontenttype", text_of(fields, b"content-type"))
    return CloudEvent(attributes, text_of(fields, b"data") or None)


def read_cloudevent(cloudevent: CloudEvent) -> Event:
    """Make an event of a CloudEvent; raises `Refusal`."""
    attributes = cloudevent.attributes
    version = attributes.get("specversion")
    if version != "1.0":
        detail = f"specversion is {quoted(version)}; only '1.0' is understood"
        raise Refusal(Reason.INVALID_CLOUDEVENT, detail)
    return Event(
        tenant=tenant(attributes),
        event_id=event_id(attributes),
        name=event_name(attributes),
        payload=_payload(cloudevent),
        explicit_key=_explicit_key(attributes),
        occurred_at=timestamp_from(_text(attributes, "time"), "time"),
        context=EventContext(
            payload_schema_ref=context_from(_text(attributes, "dataschema"), "dataschema"),
            traceparent=trace_from(attributes.get("traceparent")),
            tracestate=trace_from(attributes.get("tracestate")),
        ),
    )


def tenant(attributes: Mapping[str, Any]) -> TenantId:
    """Read the extension `tenantid`; an integer, which JSON may carry, stands for its digits.

    Raises `Refusal`.
    """
    value = attributes.get("tenantid")
    text = str(value) if type(value) is int else _text(attributes, "tenantid")
    return TenantId(tenant_from(text, "tenantid"))


def event_id(attributes: Mapping[str, Any]) -> EventId:
    """`source|id`, the pair that identifies a CloudEvent.

    A `|` cannot stand in a URI reference; where a source has one all the same it is
    percent-encoded, so that different pairs never give the same identity. Raises `Refusal`.
    """
    source = _text(attributes, "source").strip()
    identifier = _text(attributes, "id").strip()
    if not source:
        raise Refusal(Reason.MISSING_EVENT_ID, "source is missing or blank")
    if not identifier:
        raise Refusal(Reason.MISSING_EVENT_ID, "id is missing or blank")
    return EventId(event_id_from(f"{source.replace('|', '%7C')}|{identifier}", "source|id"))


def event_name(attributes: Mapping[str, Any]) -> EventName:
    """The event's name, which CloudEvents calls its type; raises `Refusal`."""
    return EventName(event_name_from(_text(attributes, "type"), "type"))


def _text(attributes: Mapping[str, Any], name: str) -> str:
    value = attributes.get(name, "")
    if not isinstance(value, str):
        raise Refusal(Reason.INVALID_CLOUDEVENT, f"{name} must be a string")
    return value


def _explicit_key(attributes: Mapping[str, Any]) -> JsonScalar:
    """The extension `correlationkey`; one that is no scalar is as good as absent."""
    value = attributes.get("correlationkey")
    return value if isinstance(value, str | int | Decimal | OutsizeNumber) else None


def _payload(cloudevent: CloudEvent) -> Payload:
    if cloudevent.data is None and cloudevent.data_base64 is None:
        return EMPTY_PAYLOAD
    if cloudevent.data is not None and cloudevent.data_base64 is not None:
        raise Refusal(Reason.INVALID_CLOUDEVENT, "data and data_base64 exclude one another")
    _check_content_type(cloudevent.attributes)
    if cloudevent.data is not None:
        return read_payload(cloudevent.data)
    return read_payload(_decoded(cloudevent.data_base64))


def _check_content_type(attributes: Mapping[str, Any]) -> None:
    content_type = _text(attributes, "datacontenttype") or "application/json"
    subtype = content_type.partition(";")[0].strip().lower().partition("/")[2]
    if subtype != "json" and not subtype.endswith("+json"):
        detail = f"datacontenttype is {quoted(content_type)}; only JSON is understood"
        raise Refusal(Reason.INVALID_CLOUDEVENT, detail)


def _decoded(data_base64: object) -> str:
    if not isinstance(data_base64, str):
        raise Refusal(Reason.INVALID_CLOUDEVENT, "data_base64 must be a string")
    try:
        return b64decode(data_base64, validate=True).decode()
    except UnicodeDecodeError as error:
        detail = f"data_base64 does not hold UTF-8 (byte {error.start})"
        raise Refusal(Reason.NOT_UTF8, detail) from None
    except (binascii.Error, ValueError) as error:
        detail = f"data_base64 is not base64: {quoted(str(error))}"
        raise Refusal(Reason.INVALID_CLOUDEVENT, detail) from None
