from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlation.key import CanonicalKey, canonical_key
from pointsman.contract import RegisterWait
from pointsman.keys import wire_key
from pointsman.received_event import ReceivedEvent
from pointsman.wait_request import WaitFor, deadline_after, registration

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def request(wait: WaitFor, deadline: datetime | None = None) -> dict[str, Any]:
    return registration(
        wait,
        kind="event",
        wait_id="w-1",
        workflow_id="wf-1",
        run_id="r-2",
        first_run_id="r-1",
        namespace="orders",
        deadline=deadline,
    )


def invoice(**changes: Any) -> WaitFor:
    return WaitFor(**{"name": "INVOICE_PAID", "key": "I-1", "tenant": "acme", **changes})


def test_a_registration_reads_as_the_contract_says() -> None:
    wait = invoice(lookback=timedelta(minutes=1), cardinality="exclusive")

    read = RegisterWait.model_validate(request(wait, deadline=NOON))

    assert (read.event_name, read.correlation_key, read.tenant) == ("INVOICE_PAID", "I-1", "acme")
    assert (read.wait_id, read.workflow_id, read.run_id) == ("w-1", "wf-1", "r-2")
    assert (read.namespace, read.first_run_id) == ("orders", "r-1")
    assert (read.lookback_seconds, read.cardinality) == (60.0, "exclusive")
    assert read.filter is None


def test_a_wait_outlives_its_deadline_by_an_hour() -> None:
    assert request(invoice(), deadline=NOON)["expires_at"] == "2026-11-21T13:00:00+00:00"
    assert request(invoice(), deadline=NOON)["times_out_at"] == "2026-11-21T12:00:00+00:00"
    assert request(invoice()).keys().isdisjoint({"expires_at", "times_out_at"})


def test_a_time_out_beyond_the_calendar_is_none() -> None:
    assert deadline_after(NOON, timedelta.max) is None
    assert deadline_after(NOON, None) is None
    assert deadline_after(NOON, timedelta(hours=1)) == NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("key", "wire"),
    [
        ("I-1", "I-1"),
        (42, 42),
        (0.5, 0.5),
        (True, True),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("42.00"), "42"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0E-9"), "0"),
        (Decimal("-12.50"), "-12.5"),
    ],
)
def test_a_key_travels_exactly(key: Any, wire: Any) -> None:
    assert wire_key(key) == wire
    assert type(wire_key(key)) is type(wire)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40))
def test_a_decimal_key_means_the_same_to_the_service_as_its_number(key: Decimal) -> None:
    number = canonical_key(key)

    try:
        wire = wire_key(key)
    except ValueError:
        assert not isinstance(number, CanonicalKey)
    else:
        assert canonical_key(wire) == number


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (float("nan"), "not a finite number"),
        (Decimal("Infinity"), "not a finite number"),
        (10**64, "more than 64 digits"),
        (Decimal("1E+999999"), "more than 64 digits"),
        (Decimal("1E-999999"), "more than 64 digits"),
        ("\ud800", "UTF-8 cannot encode"),
        (None, "NoneType"),
        (["I-1"], "list"),
    ],
)
def test_a_key_that_json_cannot_carry_is_refused_with_a_reason(key: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        wire_key(key)


def is_large(event: ReceivedEvent) -> bool:
    """The amount is over 100

    and more that nobody needs to see.
    """
    return bool(event.payload["amount"] > 100)


def is_small(event: ReceivedEvent) -> bool:
    return not is_large(event)


async def later(event: ReceivedEvent) -> bool:
    return True


def test_the_audit_is_told_in_words_what_a_filter_accepts() -> None:
    assert request(invoice(filter=is_large))["filter"] == "The amount is over 100"
    assert request(invoice(filter=is_small))["filter"] == "is_small"
    assert request(invoice(filter=lambda _: True))["filter"] == "<lambda>"
    assert request(invoice(filter=partial(is_large)))["filter"] == "partial"


def test_a_filter_that_would_have_to_be_awaited_is_refused() -> None:
    with pytest.raises(ValueError, match="plain function"):
        request(invoice(filter=later))
