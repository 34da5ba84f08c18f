"""Decoding entries: native and CloudEvents, good and bad."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlation.event import EMPTY_PAYLOAD, Event, EventContext
from correlation.reason import Reason
from ingress.entry import Malformed
from ingress.envelope import decode, fields_from_raw, raw_bytes
from pointsman.contract import MAX_EVENT_ID_BYTES, MAX_EVENT_NAME_BYTES, MAX_TENANT_BYTES
from tests.unit.ingress.builders import binary_fields, native_fields, structured_fields

KNOWN_FIELDS = st.sampled_from(
    [*native_fields(), *binary_fields(), b"cloudevent", b"workflow_correlation_key", b"user_id"]
)
ANY_FIELDS = st.dictionaries(KNOWN_FIELDS | st.binary(max_size=8), st.binary(max_size=40))


def event(fields: dict[bytes, bytes]) -> Event:
    decoded = decode(fields)
    assert isinstance(decoded, Event), decoded
    return decoded


def malformed(fields: dict[bytes, bytes]) -> Malformed:
    decoded = decode(fields)
    assert isinstance(decoded, Malformed), decoded
    return decoded


def test_a_native_entry_is_decoded_whole() -> None:
    context = {
        "execution_id": "x-1",
        "user_id": "u-1",
        "from_state": "open",
        "to_state": "paid",
        "payload_schema_ref": "invoice/1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "a=b",
    }

    decoded = event(native_fields(workflow_correlation_key="INV-1", unknown=b"\xff", **context))

    assert (decoded.tenant, decoded.event_id, decoded.name) == ("acme", "e-1", "INVOICE_PAID")
    assert decoded.payload.text == '{"invoice":{"id":"INV-1"}}'
    assert decoded.payload.value == {"invoice": {"id": "INV-1"}}
    assert decoded.explicit_key == "INV-1"
    assert decoded.occurred_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert decoded.context == EventContext(**context)


@pytest.mark.parametrize("absent", ["", None])
def test_an_empty_field_is_an_absent_one(absent: str | None) -> None:
    decoded = event(
        native_fields(
            workflow_correlation_key=absent, timestamp=absent, payload_json=absent, user_id=absent
        )
    )

    assert decoded.explicit_key is None
    assert decoded.occurred_at is None
    assert decoded.payload == EMPTY_PAYLOAD
    assert decoded.context == EventContext()


@pytest.mark.parametrize("event_type", [None, "", "  "])
def test_a_blank_event_type_falls_back_to_the_event_name(event_type: str | None) -> None:
    assert event(native_fields(event_type=event_type)).name == "invoice.paid"


def test_identifying_fields_are_trimmed() -> None:
    decoded = event(native_fields(tenant=" acme\n", event_id="\te-1", event_type=" PAID\u00a0"))

    assert (decoded.tenant, decoded.event_id, decoded.name) == ("acme", "e-1", "PAID")


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("tenant", Reason.MISSING_TENANT),
        ("event_id", Reason.MISSING_EVENT_ID),
    ],
)
@pytest.mark.parametrize("value", [None, "", " \t"])
def test_an_identifying_field_must_not_be_blank(
    field: str, reason: Reason, value: str | None
) -> None:
    decoded = malformed(native_fields(**{field: value}))

    assert decoded.reason is reason
    assert field in decoded.detail


def test_an_event_without_any_name_is_malformed() -> None:
    decoded = malformed(native_fields(event_type=" ", event_name=None))

    assert decoded.reason is Reason.MISSING_EVENT_NAME
    assert (decoded.tenant, decoded.event_id, decoded.event_name) == ("acme", "e-1", None)


@pytest.mark.parametrize(
    ("field", "limit"),
    [
        ("tenant", MAX_TENANT_BYTES),
        ("event_id", MAX_EVENT_ID_BYTES),
        ("event_type", MAX_EVENT_NAME_BYTES),
    ],
)
def test_identifying_fields_are_bounded_in_bytes(field: str, limit: int) -> None:
    longest = "é" * (limit // 2) + "x" * (limit % 2)

    decoded = malformed(native_fields(**{field: f"{longest}x"}))

    assert isinstance(decode(native_fields(**{field: longest})), Event)
    assert decoded.reason is Reason.FIELD_TOO_LONG
    assert field in decoded.detail


def test_context_fields_are_bounded_too() -> None:
    assert malformed(native_fields(user_id="x" * 5000)).reason is Reason.FIELD_TOO_LONG


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\0b", Reason.NUL_CHARACTER),
        ("a\nb", Reason.FIELD_INVALID),
        ("a\x7fb", Reason.FIELD_INVALID),
        (b"a\xffb", Reason.NOT_UTF8),
    ],
)
@pytest.mark.parametrize("field", ["tenant", "event_id", "event_type"])
def test_control_characters_are_refused_naming_the_field(
    field: str, value: str | bytes, reason: Reason
) -> None:
    decoded = malformed(native_fields(**{field: value}))

    assert decoded.reason is reason
    assert field in decoded.detail


def test_a_nul_in_a_context_field_is_refused() -> None:
    decoded = malformed(native_fields(user_id="u\0"))

    assert decoded.reason is Reason.NUL_CHARACTER
    assert "user_id" in decoded.detail


def test_an_unusable_explicit_key_is_left_to_the_resolution() -> None:
    decoded = event(native_fields(workflow_correlation_key="\0" + "x" * 600))

    assert decoded.explicit_key == "\0" + "x" * 600


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-03-01T10:00:00Z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01t10:00:00z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01 12:00:00+02:00", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01T10:00:00.123456789Z", datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_time_stamps_are_read_as_utc(written: str, moment: datetime) -> None:
    occurred_at = event(native_fields(timestamp=written)).occurred_at

    assert occurred_at == moment
    assert occurred_at is not None
    assert occurred_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("2026-03-01T10:00:00", "offset"),
        ("2026-03-01", "offset"),
        ("yesterday", "RFC 3339"),
        ("1772359200", "RFC 3339"),
        ("2026-02-30T00:00:00Z", "RFC 3339"),
        ("x" * 500, "..."),
        ("\0", "x00"),
    ],
)
def test_an_invalid_time_stamp_is_refused_with_its_value(written: str, complaint: str) -> None:
    decoded = malformed(native_fields(timestamp=written))

    assert decoded.reason is Reason.INVALID_TIMESTAMP
    assert complaint in decoded.detail
    assert len(decoded.detail) < 200
    assert decoded.detail.isprintable()


def test_a_malformed_payload_leaves_the_identity_readable() -> None:
    decoded = malformed(native_fields(payload_json="{"))

    assert decoded.reason is Reason.INVALID_JSON
    assert (decoded.tenant, decoded.event_id) == ("acme", "e-1")
    assert decoded.event_name == "INVOICE_PAID"


def test_an_unusable_identity_is_not_passed_on() -> None:
    decoded = malformed(native_fields(tenant=b"\xff", event_id="e\0", event_type="x" * 300))

    assert (decoded.tenant, decoded.event_id, decoded.event_name) == (None, None, None)


def test_the_size_of_an_entry_is_bounded() -> None:
    fields = native_fields(padding="x" * 1000)

    decoded = decode(fields, max_bytes=1000)

    assert isinstance(decoded, Malformed)
    assert decoded.reason is Reason.ENTRY_TOO_LARGE
    assert decoded.event_id == "e-1"
    assert isinstance(decode(fields, max_bytes=2000), Event)


def test_an_oversized_cloudevent_is_refused_unread() -> None:
    decoded = decode(structured_fields(padding="x" * 1000), max_bytes=1000)

    assert isinstance(decoded, Malformed)
    assert (decoded.reason, decoded.event_id) == (Reason.ENTRY_TOO_LARGE, None)


def test_an_entry_without_fields_is_malformed() -> None:
    assert malformed({}).reason is Reason.EMPTY_ENTRY


@pytest.mark.parametrize(
    "fields",
    [
        structured_fields(correlationkey="INV-1", dataschema="s", traceparent="t", tracestate="r"),
        binary_fields(
            ce_correlationkey="INV-1", ce_dataschema="s", ce_traceparent="t", ce_tracestate="r"
        ),
    ],
    ids=["structured", "binary"],
)
def test_a_cloudevent_is_decoded_whole(fields: dict[bytes, bytes]) -> None:
    decoded = event(fields)

    assert (decoded.tenant, decoded.name) == ("acme", "INVOICE_PAID")
    assert decoded.event_id == "/billing|1"
    assert decoded.payload.value == {"invoice": {"id": "INV-1"}}
    assert decoded.explicit_key == "INV-1"
    assert decoded.occurred_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert decoded.context == EventContext(payload_schema_ref="s", traceparent="t", tracestate="r")


def test_the_data_of_a_structured_cloudevent_keeps_its_text() -> None:
    data = '{ "id": 12345678901234567890123, "sum": 1.10, "a": "\\u00e9" }'
    text = json.dumps(
        {"specversion": "1.0", "id": "1", "source": "s", "type": "T", "tenantid": "acme"}
    )

    decoded = event({b"cloudevent": f'{text[:-1]}, "data" : {data}}}'.encode()})

    assert decoded.payload.text == data
    assert decoded.payload.value["sum"] == Decimal("1.10")


def test_cloudevents_of_different_sources_never_share_an_identity() -> None:
    one = event(structured_fields(source="a|b", id="c"))
    other = event(structured_fields(source="a", id="b|c"))

    assert one.event_id == "a%7Cb|c"
    assert other.event_id == "a|b|c"


def test_base64_data_is_decoded() -> None:
    written = b64encode(b'{"a": 1.0}').decode()

    assert event(structured_fields(data=None, data_base64=written)).payload.text == '{"a": 1.0}'


@pytest.mark.parametrize("data", [None, {}])
def test_a_cloudevent_may_lack_data(data: object) -> None:
    assert event(structured_fields(data=data)).payload == EMPTY_PAYLOAD


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=utf-8", "text/json", "application/x+json"],
)
def test_json_content_types_are_understood(content_type: str) -> None:
    structured = event(structured_fields(datacontenttype=content_type))
    binary = event(binary_fields(**{"content-type": content_type}))

    assert structured.payload.value == binary.payload.value == {"invoice": {"id": "INV-1"}}


@pytest.mark.parametrize("key", [42, True, Decimal("4.0"), "x"])
def test_a_scalar_correlation_key_keeps_its_type(key: object) -> None:
    written = str(key) if isinstance(key, Decimal) else json.dumps(key)
    text = json.dumps(
        {"specversion": "1.0", "id": "1", "source": "s", "type": "T", "tenantid": "acme"}
    )

    decoded = event({b"cloudevent": f'{text[:-1]},"correlationkey":{written}}}'.encode()})

    assert decoded.explicit_key == key
    assert type(decoded.explicit_key) is type(key)


def test_a_correlation_key_that_is_no_scalar_is_as_good_as_absent() -> None:
    assert event(structured_fields(correlationkey={"a": 1})).explicit_key is None


def test_an_integer_may_name_the_tenant() -> None:
    assert event(structured_fields(tenantid=42)).tenant == "42"


@pytest.mark.parametrize(
    ("changes", "reason", "complaint"),
    [
        ({"specversion": "0.3"}, Reason.INVALID_CLOUDEVENT, "specversion"),
        ({"specversion": None}, Reason.INVALID_CLOUDEVENT, "specversion"),
        ({"id": ""}, Reason.MISSING_EVENT_ID, "id"),
        ({"source": " "}, Reason.MISSING_EVENT_ID, "source"),
        ({"id": 7}, Reason.INVALID_CLOUDEVENT, "id"),
        ({"id": "\ud800"}, Reason.FIELD_INVALID, "surrogate"),
        ({"id": "a\0b"}, Reason.NUL_CHARACTER, "source|id"),
        ({"type": None}, Reason.MISSING_EVENT_NAME, "type"),
        ({"tenantid": None}, Reason.MISSING_TENANT, "tenantid"),
        ({"tenantid": True}, Reason.INVALID_CLOUDEVENT, "tenantid"),
        ({"datacontenttype": "text/xml"}, Reason.INVALID_CLOUDEVENT, "text/xml"),
        ({"data": "text"}, Reason.PAYLOAD_NOT_OBJECT, "string"),
        ({"data": [1]}, Reason.PAYLOAD_NOT_OBJECT, "array"),
        ({"data_base64": "e30="}, Reason.INVALID_CLOUDEVENT, "exclude"),
        ({"data": None, "data_base64": "!"}, Reason.INVALID_CLOUDEVENT, "base64"),
        ({"data": None, "data_base64": "é"}, Reason.INVALID_CLOUDEVENT, "base64"),
        ({"data": None, "data_base64": "/w=="}, Reason.NOT_UTF8, "data_base64"),
        ({"data": None, "data_base64": 1}, Reason.INVALID_CLOUDEVENT, "data_base64"),
        ({"time": "noon"}, Reason.INVALID_TIMESTAMP, "noon"),
    ],
)
def test_a_cloudevent_that_breaks_a_rule_is_malformed(
    changes: dict[str, object], reason: Reason, complaint: str
) -> None:
    decoded = malformed(structured_fields(**changes))

    assert decoded.reason is reason
    assert complaint in decoded.detail


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b'{"data":}', b"{}x", b"null"])
def test_a_cloudevent_that_is_no_json_object_is_malformed(text: bytes) -> None:
    decoded = malformed({b"cloudevent": text, b"other": b"field"})

    assert decoded.event_id is None


def test_a_malformed_cloudevent_leaves_the_identity_readable() -> None:
    decoded = malformed(binary_fields(ce_specversion="2.0"))

    assert (decoded.tenant, decoded.event_id) == ("acme", "/billing|1")
    assert decoded.event_name == "INVOICE_PAID"


@given(ANY_FIELDS)
def test_no_entry_raises(fields: dict[bytes, bytes]) -> None:
    assert isinstance(decode(fields), Event | Malformed)


@given(st.dictionaries(st.sampled_from(list(native_fields())), st.binary(max_size=20)))
def test_whatever_is_malformed_is_printable_for_the_audit(changes: dict[bytes, bytes]) -> None:
    decoded = decode(native_fields() | changes)

    assert isinstance(decoded, Event) or decoded.detail.isprintable()


@given(ANY_FIELDS)
def test_raw_fields_are_read_back_without_loss(fields: dict[bytes, bytes]) -> None:
    raw = raw_bytes(fields)

    assert raw.isascii()
    assert list(fields_from_raw(raw).items()) == list(fields.items())


@pytest.mark.parametrize("raw", [b"", b"{}x", b"[1]", b'[["a"]]', b'[["a",{"hex":"00"}]]'])
def test_other_bytes_are_no_raw_fields(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        fields_from_raw(raw)
