from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlation.event import Event
from ingress.envelope import decode
from pointsman import DomainEvent, PublishError
from pointsman.domain_event import payload_json, stream_fields

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def fields(event: DomainEvent) -> dict[str, str]:
    return stream_fields(event, now=lambda: NOON)


def paid(**changes: Any) -> DomainEvent:
    return DomainEvent(**{"name": "INVOICE_PAID", "tenant": "acme", "event_id": "e-1", **changes})


def as_read_by_the_service(event: DomainEvent) -> Event:
    wire = {name.encode(): value.encode() for name, value in fields(event).items()}
    decoded = decode(wire)
    assert isinstance(decoded, Event), decoded
    return decoded


def test_an_event_has_the_fields_of_the_native_form() -> None:
    event = paid(payload={"amount": 12}, correlation_key="I-1", user_id="u-1", traceparent="00-a")

    assert fields(event) == {
        "event_id": "e-1",
        "event_type": "INVOICE_PAID",
        "event_name": "INVOICE_PAID",
        "tenant": "acme",
        "timestamp": "2026-11-21T12:00:00+00:00",
        "payload_json": '{"amount":12}',
        "workflow_correlation_key": "I-1",
        "user_id": "u-1",
        "traceparent": "00-a",
    }


def test_the_service_reads_what_was_published() -> None:
    event = paid(payload={"amount": Decimal("12.50")}, correlation_key=42, to_state="paid")

    read = as_read_by_the_service(event)

    assert (read.tenant, read.event_id, read.name) == ("acme", "e-1", "INVOICE_PAID")
    assert read.payload.value == {"amount": Decimal("12.50")}
    assert read.explicit_key == "42"
    assert read.occurred_at == NOON
    assert read.context.to_state == "paid"


def test_an_event_without_an_id_gets_one_and_keeps_it() -> None:
    event = DomainEvent(name="INVOICE_PAID", tenant="acme")

    assert fields(event)["event_id"] == fields(event)["event_id"]
    assert UUID(event.event_id).version == 4
    assert event.event_id != DomainEvent(name="INVOICE_PAID", tenant="acme").event_id


def test_a_timestamp_is_sent_in_utc() -> None:
    in_berlin = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))

    assert fields(paid(timestamp=in_berlin))["timestamp"] == "2026-07-01T10:00:00+00:00"


class Colour(StrEnum):
    RED = "red"


def test_numbers_are_exact_and_familiar_types_become_text() -> None:
    payload = {
        "price": Decimal("0.10"),
        "long": 2**53 + 1,
        "huge": 10**30,
        "ratio": 0.1,
        "on": date(2026, 11, 21),
        "at": NOON,
        "id": UUID(int=1),
        "colour": Colour.RED,
        "flags": (True, None),
        "text": 'ä"\n',
    }

    assert payload_json(payload) == (
        '{"price":0.10,"long":9007199254740993,"huge":1000000000000000000000000000000,'
        '"ratio":0.1,"on":"2026-11-21","at":"2026-11-21T12:00:00+00:00",'
        '"id":"00000000-0000-0000-0000-000000000001","colour":"red","flags":[true,null],'
        '"text":"\\u00e4\\"\\n"}'
    )


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.decimals(allow_nan=False, allow_infinity=False)
)
# Small on purpose: drawing large values costs seconds and finds nothing more.
NAMES = st.text(max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(NAMES, values, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_every_payload_reads_back_as_it_was(payload: dict[str, Any]) -> None:
    text = payload_json(payload)

    assert json.loads(text, parse_float=Decimal) == payload


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"name": " "}, "name", "blank"),
        ({"name": "A\nB"}, "name", "control characters"),
        ({"name": "A" * 256}, "name", "256 bytes"),
        ({"tenant": ""}, "tenant", "blank"),
        ({"tenant": 7}, "tenant", "make it a str"),
        ({"event_id": ""}, "event_id", "blank"),
        ({"event_id": "\ud800"}, "event_id", "UTF-8 cannot encode"),
        ({"timestamp": datetime(2026, 1, 1)}, "timestamp", "no time zone"),  # noqa: DTZ001 - the point
        ({"correlation_key": "  "}, "correlation_key", "blank"),
        ({"correlation_key": "k" * 513}, "correlation_key", "513 bytes"),
        ({"correlation_key": b"I-1"}, "correlation_key", "is of type bytes; give text"),
        ({"correlation_key": NOON}, "correlation_key", "is a datetime, which has several"),
        ({"correlation_key": Decimal("NaN")}, "correlation_key", "not a finite number"),
        ({"user_id": "u" * 4097}, "user_id", "4097 bytes"),
        ({"payload": "{}"}, "payload", "give a mapping"),
        ({"event_id": f"human-task-{UUID(int=4)}"}, "event_id", "use another"),
        ({"payload": {"a": [1, float("nan")]}}, "payload.a[1]", "no JSON number"),
        ({"payload": {"a": Decimal("Infinity")}}, "payload.a", "no JSON number"),
        ({"payload": {"a": {1: 2}}}, "payload.a", "member name 1"),
        ({"payload": {"a": object()}}, "payload.a", "object has no JSON form"),
        ({"payload": {"a": 10**5000}}, "payload.a", "send it as text"),
        ({"payload": {"a": "x" * 1024 * 1024}}, "payload", "at most 1048576"),
    ],
)
def test_a_wrong_field_is_named_before_anything_is_sent(
    changes: dict[str, Any], field: str, problem: str
) -> None:
    with pytest.raises(PublishError) as refused:
        fields(paid(**changes))

    assert refused.value.field == field
    assert problem in str(refused.value)


def nested(levels: int) -> dict[str, Any]:
    payload: dict[str, Any] = {}
    for _ in range(levels - 1):
        payload = {"a": payload}
    return payload


def test_a_payload_is_as_deep_as_the_service_takes_it() -> None:
    assert as_read_by_the_service(paid(payload=nested(128))).payload.value == nested(128)
    with pytest.raises(PublishError, match="more than 128 levels"):
        fields(paid(payload=nested(129)))


def test_a_payload_that_contains_itself_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = endless

    with pytest.raises(PublishError, match="more than 128 levels"):
        payload_json(endless)


@pytest.mark.parametrize(
    ("key", "text"),
    [(42, "42"), (Decimal("42.0"), "42"), (Decimal("-0"), "0"), (Decimal("1E-7"), "0.0000001")],
)
def test_a_numeric_key_is_sent_in_its_canonical_form(key: int | Decimal, text: str) -> None:
    assert fields(paid(correlation_key=key))["workflow_correlation_key"] == text
