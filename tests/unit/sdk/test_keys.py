"""Keys: whoever publishes and whoever waits come to the same text, or to the same refusal."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag, StrEnum
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlation.key import CanonicalKey, canonical_key
from pointsman.contract import MAX_LOOKBACK_SECONDS, RegisterWait
from pointsman.correlation.resolution import Resolved, resolve
from pointsman.correlation.rules import NO_RULES
from pointsman.domain_event import DomainEvent, PublishError, stream_fields
from pointsman.keys import key_text, wire_key
from pointsman.stated_event import stated_event
from pointsman.testing import InMemoryPointsman
from pointsman.testing.in_memory import InvalidWait
from pointsman.wait_refusals import refusal_of
from pointsman.wait_request import WaitFor, registration
from worker.activities import to_wait

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
HEXADECIMAL = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"


class Colour(Enum):
    RED = "red"
    SEVEN = 7
    UNKNOWN = None
    NESTED = UUID(int=7)


class Size(StrEnum):
    LARGE = "large"


class Level(IntEnum):
    HIGH = 3


class Rights(IntFlag):
    READ = 4


class Shouting(str):
    """Text whose `str()` is something else."""

    __slots__ = ()

    def __str__(self) -> str:
        return "LOUD"


def published(key: Any) -> str | None:
    """The key that the service finds in the published event; None: the publisher refuses."""
    event = DomainEvent(name="PAID", tenant="acme", correlation_key=key)
    try:
        fields = stream_fields(event, now=lambda: NOON)
    except PublishError:
        return None
    resolution = resolve(stated_event(fields), NO_RULES)
    assert isinstance(resolution, Resolved)
    return str(resolution.key)


def request(**changes: Any) -> dict[str, Any]:
    terms: dict[str, Any] = {"name": "PAID", "key": "7", "tenant": "acme", **changes}
    return registration(
        WaitFor(**terms),
        kind="event",
        wait_id="w",
        workflow_id="f",
        run_id="r",
        first_run_id="r",
        namespace="default",
        deadline=None,
    )


def awaited(key: Any) -> str | None:
    """The key that the service registers; None: the workflow refuses before it asks."""
    try:
        sent = request(key=key)
    except ValueError:
        return None
    if refusal_of(sent) is not None:
        return None
    arrived = json.loads(json.dumps(sent), parse_float=Decimal)
    return str(to_wait(RegisterWait.model_validate(arrived)).correlation_key)


def in_the_kit(key: Any) -> str | None:
    twin = InMemoryPointsman()
    try:
        twin.wait_for("PAID", key=key, tenant="acme")
    except InvalidWait:
        return None
    [wait] = twin.twin.waits.values()
    return wait.terms.correlation_key


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("INV-1", "INV-1"),
        (" INV-1\n", "INV-1"),
        ("I\u0308", "\u00cf"),
        (Shouting("low"), "low"),
        (HEXADECIMAL, HEXADECIMAL),
        (UUID(HEXADECIMAL), HEXADECIMAL.lower()),
        (42, "42"),
        (-7, "-7"),
        (2**53 + 1, "9007199254740993"),
        (10**63, "1" + 63 * "0"),
        (True, "true"),
        (False, "false"),
        (42.0, "42"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1e22, "10000000000000000000000"),
        (1e-7, "0.0000001"),
        (Decimal("1.50"), "1.5"),
        (Decimal("1E+3"), "1000"),
        (Colour.RED, "red"),
        (Colour.SEVEN, "7"),
        (Colour.NESTED, str(UUID(int=7))),
        (Size.LARGE, "large"),
        (Level.HIGH, "3"),
        (Rights.READ, "4"),
        (date(2026, 11, 30), "2026-11-30"),
    ],
)
def test_a_key_is_the_same_for_all_who_give_it(key: Any, text: str) -> None:
    assert key_text(key) == text
    assert (published(key), awaited(key), in_the_kit(key)) == (text, text, text)


@pytest.mark.parametrize(
    "key",
    [
        "",
        " \u00a0\ufeff",
        "a\x07b",
        "a\x85b",
        "\ud800",
        "x" * 513,
        "ß" * 257,
        10**64,
        1e300,
        float("nan"),
        float("-inf"),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("1E+999999"),
        Decimal("1E-999999"),
        Colour.UNKNOWN,
        NOON,
        time(12),
        Fraction(1, 2),
        b"INV-1",
        bytearray(b"INV-1"),
        1j,
        ("INV-1",),
        ["INV-1"],
        {"id": 1},
        object(),
    ],
    ids=lambda key: type(key).__name__,
)
def test_a_key_that_one_refuses_all_refuse(key: Any) -> None:
    with pytest.raises(ValueError, match=r"^key "):
        key_text(key)
    assert (published(key), awaited(key), in_the_kit(key)) == (None, None, None)


KEYS = st.one_of(
    st.text(max_size=20),
    st.text(alphabet="ab \t\n\x00\x85\xa0\ufeffé", max_size=8),
    st.text(min_size=500, max_size=520),
    st.integers(),
    st.integers(min_value=-(10**70), max_value=10**70),
    st.booleans(),
    st.floats(),
    st.decimals(),
    st.uuids(),
    st.dates(),
    st.datetimes(),
    st.fractions(),
    st.binary(max_size=4),
    st.sampled_from([*Colour, *Size, *Level, *Rights]),
)


@given(KEYS)
def test_every_key_ends_alike_on_both_sides(key: Any) -> None:
    assert published(key) == awaited(key) == in_the_kit(key)


@given(st.one_of(st.text(), st.integers(), st.booleans(), st.floats(), st.decimals()))
def test_the_service_makes_the_same_of_what_json_carries(key: Any) -> None:
    read = canonical_key(key)

    try:
        text = key_text(key)
    except ValueError:
        assert not isinstance(read, CanonicalKey)
    else:
        assert read == CanonicalKey(text)  # type: ignore[arg-type]
        assert canonical_key(wire_key(key)) == read


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lookback": 90}, "lookback is a int; give a timedelta"),
        ({"lookback": None}, "lookback is a NoneType"),
        ({"name": Colour.SEVEN}, "name is a Colour; give text"),
        ({"tenant": 7}, "tenant is a int; give text"),
    ],
)
def test_what_is_of_another_type_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        request(**changes)


def test_what_the_contract_does_not_allow_is_known_before_it_is_sent() -> None:
    longest = timedelta(seconds=MAX_LOOKBACK_SECONDS)

    assert refusal_of(request(lookback=longest)) is None
    assert str(refusal_of(request(lookback=timedelta.max))).startswith("lookback_seconds: ")
    assert str(refusal_of(request(lookback=-longest))).startswith("lookback_seconds: ")
    assert str(refusal_of(request(name="A" * 256))).startswith("event_name: ")
    assert str(refusal_of(request(tenant=" acme"))).startswith("tenant: ")
    assert str(refusal_of(request(cardinality="some"))).startswith("cardinality: ")
