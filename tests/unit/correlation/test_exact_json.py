"""The one reader and the one writer: total, exact, and never through a float."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlation.exact_equality import equal_json
from correlation.exact_number import OutsizeNumber, exact_number
from correlation.exact_reading import MAX_DEPTH, NotJson, read_bytes, read_json, read_stored
from correlation.exact_writing import exact_json, json_fault, line_of_json, write_json
from correlation.json_schema import compiled_schema, schema_faults
from correlation.key import RefusedKey, canonical_key
from correlation.reason import Reason
from ingress.entry import Malformed
from ingress.payload import parse_payload

VAST = "1e99999999999999999999"
LONG = "9" * 5000
SPELLINGS = {
    "vast": (VAST, "1E+99999999999999999999", "10e99999999999999999998"),
    "vast with a fraction": ("1.50e99999999999999999999", "0.15e100000000000000000000"),
    "vanishing": ("1e-99999999999999999999", "0.1e-99999999999999999998"),
    "negative": (f"-{VAST}", "-100e99999999999999999997"),
    "an exponent of a million digits": ("1e" + "9" * 1_000_000, "10e" + "9" * 999_999 + "8"),
    "beyond the float": ("1e400", "10e399", "1" + "0" * 400, "1" + "0" * 400 + ".0"),
    "at the edge of Decimal": ("1e999999999999999999", "0.1e1000000000000000000"),
    "a zero": ("0", "-0", "0.0", "-0.00", "0e5", "0e99999999999999999999"),
    "five thousand digits": ("9" * 5000, "9" * 5000 + ".0", "9" * 5000 + "e0"),
    "one": ("1", "1.0", "10e-1", "0.1E1", "1e00000000000000000000000000"),
}
OTHERS = [VAST, f"-{VAST}", "1e-99999999999999999999", "1e400", "0", LONG, "1", "true", '"1"']

NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,25})?", fullmatch=True
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS.map(read_json) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("number", SPELLINGS)
def test_every_spelling_of_a_number_is_the_same_number(number: str) -> None:
    first, *others = map(read_json, SPELLINGS[number])

    assert all(equal_json(first, other) and equal_json(other, first) for other in others)
    assert all(equal_json({"a": [first]}, {"a": [other]}) for other in others)


@pytest.mark.parametrize("one", OTHERS, ids=range(len(OTHERS)))
def test_different_numbers_and_types_differ(one: str) -> None:
    alike = [other for other in OTHERS if equal_json(read_json(one), read_json(other))]

    assert alike == [one]


@given(NUMBERS)
def test_a_number_is_written_as_the_same_number(text: str) -> None:
    number = read_json(text)

    assert equal_json(read_json(exact_json(number)), number)
    assert "inf" not in exact_json(number).lower()


@given(st.integers(1, 999), st.integers(-5, 5), st.integers(0, 40))
def test_moving_the_point_changes_no_vast_number(digits: int, more: int, zeros: int) -> None:
    exponent = 10**25 + more

    one = exact_number(f"{digits}e{exponent}")
    other = exact_number(f"{digits}{'0' * zeros}e{exponent - zeros}")

    assert isinstance(one, OutsizeNumber)
    assert one == other
    assert hash(one) == hash(other)
    assert one != exact_number(f"{digits}e{exponent + 1}")


@given(VALUES)
def test_what_is_read_is_written_and_read_again_as_the_same(value: Any) -> None:
    for text in (exact_json(value), write_json(value, str), line_of_json(value, str)):
        assert equal_json(read_bytes(text.encode()), value)


@given(st.text(alphabet='{}[]",:0129eE+-.\\utrfnlasdINy \t\n', max_size=30))
def test_whatever_the_way_in_takes_everything_else_takes(text: str) -> None:
    payload = parse_payload(f'{{"a":{text}}}')
    if isinstance(payload, Malformed):
        return

    assert equal_json(read_stored(payload.text), payload.value)
    assert equal_json(read_stored(exact_json(payload.value)), payload.value)
    json_fault(payload.value)
    canonical_key(payload.value["a"])


def test_the_deepest_payload_is_written_and_compared() -> None:
    text = '{"a":' * (MAX_DEPTH - 1) + "[]" + "}" * (MAX_DEPTH - 1)

    wrapped = exact_json({"input": {"whole": read_json(text)}})

    assert equal_json(read_stored(wrapped), {"input": {"whole": read_json(text)}})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("-Infinity")])
def test_what_is_no_number_never_leaves(number: object) -> None:
    assert exact_json({"a": number}) == '{"a": null}'
    assert json_fault(number) == "is not a finite number"


@pytest.mark.parametrize(
    "number",
    [10**400, Decimal("1e400"), read_json(VAST), 10**5000],
    ids=["long", "beyond the float", "vast", "of five thousand digits"],
)
def test_a_large_number_is_no_fault(number: object) -> None:
    assert json_fault({"a": [number]}) is None
    assert equal_json(read_json(exact_json(number)), read_json(exact_json(number)))


def test_half_a_surrogate_pair_is_written_as_its_escape() -> None:
    value = read_json('{"\\ud800": "\\udfff", "ü": "ü"}')

    assert json.loads(write_json(value, str).encode()) == value


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff", Reason.NOT_UTF8),
        (b"[" * 100_000, Reason.TOO_DEEP),
        (b'{"a": NaN}', Reason.INVALID_JSON),
        (b"[1, Infinity]", Reason.INVALID_JSON),
        (b'"\0"', Reason.NUL_CHARACTER),
    ],
)
def test_bytes_that_are_no_json_are_refused_by_name(content: bytes, reason: Reason) -> None:
    with pytest.raises(NotJson) as refused:
        read_bytes(content)

    assert refused.value.reason is reason


def test_an_outsize_number_is_no_key_and_says_why() -> None:
    reading = canonical_key(read_json(VAST))

    assert isinstance(reading, RefusedKey)
    assert reading.reason is Reason.NUMBER_UNUSABLE


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({"type": "number", "minimum": 5}, VAST, True),
        ({"type": "integer", "maximum": 5}, VAST, False),
        ({"type": "number", "maximum": 5}, f"-{VAST}", True),
        ({"type": "integer"}, "1e-99999999999999999999", False),
        ({"maximum": 5}, LONG, False),
        ({"type": "integer"}, LONG, True),
        ({"const": 7}, LONG, False),
        ({"type": "string"}, '"\\ud800"', True),
        ({"type": "object", "additionalProperties": False}, '{"\\ud800": 1}', False),
        ({"additionalProperties": {"type": "string"}}, '{"\\u0000": 1}', False),
    ],
    ids=range(10),
)
def test_a_schema_judges_whatever_is_read(schema: object, value: str, *, fits: bool) -> None:
    faults = list(schema_faults(compiled_schema(schema), read_json(value)))

    assert (faults == []) is fits
    assert all("\0" not in f"{fault.place}{fault.problem}" for fault in faults)
