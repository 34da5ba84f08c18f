"""Small doors: what is spelt otherwise is read as it is meant, or kept, and never dropped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from correlation.event import Event
from correlation.reason import Reason
from ingress.entry import Malformed
from ingress.envelope import decode
from ingress.intake import Form, read_posted
from tests.unit.ingress.builders import as_bytes, binary_fields, native_fields, structured_fields


def event(fields: dict[bytes, bytes]) -> Event:
    decoded = decode(fields)
    assert isinstance(decoded, Event), decoded
    return decoded


def malformed(fields: dict[bytes, bytes]) -> Malformed:
    decoded = decode(fields)
    assert isinstance(decoded, Malformed), decoded
    return decoded


@pytest.mark.parametrize("name", ["payload", "payloadJson", "PAYLOAD", "payload-json"])
def test_a_payload_under_another_name_is_the_payload(name: str) -> None:
    fields = native_fields(payload_json=None, **{name: '{"a": 1}'})

    assert event(fields).payload.value == {"a": 1}


def test_a_payload_under_another_name_that_is_no_object_is_refused() -> None:
    assert malformed(native_fields(payload_json=None, payload="[1]")).reason is (
        Reason.PAYLOAD_NOT_OBJECT
    )


def test_the_contracts_own_name_goes_first() -> None:
    assert event(native_fields(payload_json='{"a": 1}', payload="x")).payload.value == {"a": 1}


@pytest.mark.parametrize("name", ["workflowCorrelationKey", "correlationKey", "correlation_key"])
def test_a_key_under_another_name_is_the_key(name: str) -> None:
    assert event(native_fields(**{name: "k-7"})).explicit_key == "k-7"


@pytest.mark.parametrize("name", ["workflowCorrelationKey", "correlationKey", "correlation_key"])
@pytest.mark.parametrize(("key", "text"), [("k-7", "k-7"), (7.0, "7")])
def test_a_posted_key_under_another_name_is_the_key(name: str, key: object, text: str) -> None:
    body = {"tenant": "acme", "eventId": "e", "eventType": "A", name: key}

    [item] = read_posted(Form.NATIVE, {}, json.dumps(body).encode()).items

    assert isinstance(item, dict)
    assert event(item).explicit_key == text


@pytest.mark.parametrize("names_too", [False, True])
def test_values_in_the_quotes_of_a_json_serializer_are_read_as_what_they_are(
    *, names_too: bool
) -> None:
    plain = native_fields(workflow_correlation_key="k-7")
    quoted = {
        json.dumps(name.decode()).encode() if names_too else name: json.dumps(
            value.decode()
        ).encode()
        for name, value in plain.items()
    }

    assert decode(quoted) == decode(plain)


@pytest.mark.parametrize("fields", [binary_fields(), structured_fields()])
def test_cloudevents_in_quotes_are_read_as_what_they_are(fields: dict[bytes, bytes]) -> None:
    quoted = {name: json.dumps(value.decode()).encode() for name, value in fields.items()}

    assert decode(quoted) == decode(fields)


@pytest.mark.parametrize("tenant", ['"', '"a', '"a"b"', '"\\"a\\""', '"\\ud800"'])
def test_quotes_that_are_no_json_harm_nothing(tenant: str) -> None:
    assert isinstance(decode(native_fields(tenant=tenant, event_id='"')), Event | Malformed)
    assert isinstance(decode(native_fields(tenant=tenant, event_id=None)), Event | Malformed)


BAD_TRACE: dict[str, str | bytes] = {
    "long": "0" * 5000,
    "NUL": "00-\0",
    "Latin-1": b"\xe9",
}


@pytest.mark.parametrize("trace", BAD_TRACE.values(), ids=BAD_TRACE)
@pytest.mark.parametrize("name", ["traceparent", "tracestate"])
def test_a_trace_context_that_cannot_be_kept_costs_no_event(name: str, trace: str | bytes) -> None:
    native = event(native_fields(**{name: trace}))
    binary = event(binary_fields(**{f"ce_{name}": trace}))

    kept = {getattr(native.context, name), getattr(binary.context, name)}
    assert all(value is None or len(value) < 10 for value in kept)


def test_a_trace_context_of_another_type_costs_no_event() -> None:
    assert event(structured_fields(traceparent=7)).context.traceparent is None


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00", "9999-12-31T23:59:59.9999999Z"],
)
def test_a_time_that_was_never_set_costs_no_event(moment: str) -> None:
    assert event(native_fields(timestamp=moment)).occurred_at is None
    assert event(structured_fields(time=moment)).occurred_at is None


@pytest.mark.parametrize("spoiled", ["ce_subject", "ce_time", "data"])
def test_a_binary_cloudevent_with_one_unreadable_field_keeps_its_identity(spoiled: str) -> None:
    found = malformed(binary_fields(**{spoiled: b"caf\xe9"}))

    assert found.reason is Reason.NOT_UTF8
    assert (found.tenant, found.event_id, found.event_name) == (
        "acme",
        "/billing|1",
        "INVOICE_PAID",
    )


def test_a_structured_cloudevent_with_one_unreadable_text_keeps_its_identity() -> None:
    [(name, text)] = structured_fields(subject="x").items()

    found = malformed({name: text.replace(b'"x"', b'"\xe9"')})

    assert (found.reason, found.tenant, found.event_id) == (Reason.NOT_UTF8, "acme", "/billing|1")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b'"INVOICE_PAID"', "INVOICE_PAID"),
        (b'"a \\"b\\" \\\\"', 'a "b" \\'),
        (b"Euro%20%E2%82%AC", "Euro \u20ac"),
        (b'"Euro%20%E2%82%AC"', "Euro \u20ac"),
        (b'"unclosed', '"unclosed'),
        (b"%22quoted%22", '"quoted"'),
    ],
)
def test_a_header_is_unquoted_and_then_percent_decoded_once(value: bytes, text: str) -> None:
    headers = {b"ce-specversion": b"1.0", b"ce-id": b"1", b"ce-source": b"/s", b"ce-type": value}

    [item] = read_posted(Form.BINARY, {**headers, b"ce-tenantid": b"acme"}, b"{}").items

    assert isinstance(item, dict)
    assert event(item).name == text


@pytest.mark.parametrize("version", [1.0, 1, None, [1.0], {"a": 1.5}])
def test_a_detail_shows_values_as_json_has_them(version: Any) -> None:
    written = json.dumps({**json.loads(structured_fields()[b"cloudevent"]), "specversion": version})

    assert "Decimal" not in malformed(as_bytes({"cloudevent": written})).detail
