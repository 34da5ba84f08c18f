"""Reading payloads: strict JSON, exact numbers, bounded depth."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlation.event import EMPTY_PAYLOAD, Payload
from correlation.exact_reading import MAX_DEPTH, NotJson, read_json, read_members
from correlation.reason import Reason
from ingress.entry import Malformed
from ingress.payload import parse_payload

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def parsed(text: str) -> Payload:
    payload = parse_payload(text)
    assert isinstance(payload, Payload), payload
    return payload


def refused(text: str) -> Malformed:
    malformed = parse_payload(text)
    assert isinstance(malformed, Malformed), malformed
    return malformed


@pytest.mark.parametrize("text", ["", " ", "\r\n\t", "\ufeff"])
def test_blank_text_is_the_empty_payload(text: str) -> None:
    assert parse_payload(text) == EMPTY_PAYLOAD


@pytest.mark.parametrize(
    ("written", "exact"),
    [
        ("9007199254740993", 9007199254740993),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("1.0", Decimal("1.0")),
        ("0.1000000000000000055511151231257827", Decimal("0.1000000000000000055511151231257827")),
        ("1e400", Decimal("1e400")),
        ("-0", 0),
        ("9" * 5000, Decimal("9" * 5000)),
        ("-" + "9" * 5000, Decimal("-" + "9" * 5000)),
    ],
)
def test_numbers_stay_exact(written: str, exact: int | Decimal) -> None:
    payload = parsed(f'{{"number": {written}}}')

    assert payload.value["number"] == exact
    assert not isinstance(payload.value["number"], float)


def test_a_number_beyond_every_bound_spoils_only_itself() -> None:
    payload = parsed('{"vast": 1e99999999999999999999, "id": 7}')

    assert str(payload.value["vast"]) == "1e99999999999999999999"
    assert payload.value["id"] == 7


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_only_javascript_calls_a_number_is_refused(constant: str) -> None:
    malformed = refused(f'{{"number": {constant}}}')

    assert malformed.reason is Reason.INVALID_JSON
    assert constant in malformed.detail


@pytest.mark.parametrize("text", ["[]", "null", "1", '"text"', "true", "1.5"])
def test_only_an_object_is_a_payload(text: str) -> None:
    assert refused(text).reason is Reason.PAYLOAD_NOT_OBJECT


@pytest.mark.parametrize(
    "text",
    ["{", "}", "{]", '{"a":}', '{"a":1,}', "{'a':1}", '{"a":1} x', '{"a":"\n"}', "{1:2}", "x"],
)
def test_text_that_is_no_json_is_refused_with_the_place(text: str) -> None:
    malformed = refused(text)

    assert malformed.reason is Reason.INVALID_JSON
    assert "line" in malformed.detail


def test_a_raw_nul_is_refused_and_an_escaped_one_is_kept_as_written() -> None:
    written = '{"a":"\\u0000"}'

    assert refused('{"a":"\0"}').reason is Reason.NUL_CHARACTER
    assert parsed(written) == Payload(written, {"a": "\0"})


def test_an_escaped_lone_surrogate_is_kept_as_written_and_a_raw_one_refused() -> None:
    written = '{"a":"\\ud800"}'

    assert parsed(written).text.encode() == written.encode()
    assert refused('{"a":"\ud800"}').reason is Reason.NOT_UTF8


def test_the_last_of_equal_members_wins() -> None:
    assert parsed('{"a":1,"a":2}').value == {"a": 2}


def test_surrounding_white_space_and_byte_order_mark_are_left_out() -> None:
    assert parsed('\ufeff\n {"a" : 1}\n').text == '{"a" : 1}'


def nested(levels: int) -> str:
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (nested(MAX_DEPTH + 1), Reason.TOO_DEEP),
        (nested(100_000), Reason.TOO_DEEP),
        ("[" * 1_000_000, Reason.TOO_DEEP),
        ('{"a":' * 500_000, Reason.TOO_DEEP),
        ('{"a":"' + "[" * 200, Reason.INVALID_JSON),
    ],
    ids=["one level more", "very deep", "unclosed arrays", "unclosed objects", "open string"],
)
def test_depth_is_bounded(text: str, reason: Reason) -> None:
    assert refused(text).reason is reason


@pytest.mark.parametrize(
    "text",
    [
        nested(MAX_DEPTH),
        '{"a":[' + ",".join(["[{}]"] * 500) + "]}",
        '{"a":"' + "[{" * 500 + '"}',
        '{"a":"' + '\\"[' * 500 + '"}',
        '{"é":[' + ",".join(['["\\\\", "["]'] * 200) + "]}",
    ],
    ids=["the deepest", "wide", "brackets in text", "after escaped quotes", "not ascii"],
)
def test_many_brackets_alone_are_not_depth(text: str) -> None:
    assert parsed(text).text == text


@given(st.dictionaries(st.text(), JSON_VALUES))
def test_what_json_writes_is_read_back(value: dict[str, object]) -> None:
    assert parsed(json.dumps(value)).value == value


@given(st.text() | st.text(alphabet='{}[]",:0123456789eE.-\\u \n'))
def test_no_text_raises(text: str) -> None:
    answer = parse_payload(text)

    assert isinstance(answer, Payload | Malformed)


@given(st.dictionaries(st.text(), JSON_VALUES), st.sampled_from([None, 2]))
def test_members_keep_their_own_text(value: dict[str, object], indent: int | None) -> None:
    members = read_members(json.dumps(value, indent=indent))

    assert {name: member.value for name, member in members.items()} == value
    assert {name: json.loads(member.text) for name, member in members.items()} == value


@given(st.text(alphabet='{}[]",:1ab \n', max_size=12))
def test_an_object_is_read_by_its_members_exactly_when_it_is_read_whole(text: str) -> None:
    def answer(read: object) -> object:
        try:
            value = read(text)  # type: ignore[operator]
        except NotJson:
            return NotJson
        return list(value) if isinstance(value, dict) else NotJson

    assert answer(read_members) == answer(read_json)


def typed(value: object) -> object:
    """A decoded value with its types, so that 1 differs from 1.0 and from true."""
    if isinstance(value, dict):
        return {name: typed(each) for name, each in value.items()}
    if isinstance(value, list):
        return [typed(each) for each in value]
    return type(value), str(value)


def by_the_standard_library(text: str) -> object:
    def refuse(constant: str) -> object:
        raise ValueError(constant)

    try:
        return typed(json.loads(text, parse_float=Decimal, parse_constant=refuse))
    except ValueError:
        return NotJson


def by_us(text: str) -> object:
    try:
        return typed(read_json(text))
    except NotJson:
        return NotJson


NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True
)
ODD_JSON = st.text(
    alphabet='{}[]",:01289eE+-.\\utrfnlasd \t\n\r\x0b\x1f\x7f\u00e9\u2028', max_size=16
)


@given(NUMBERS | ODD_JSON)
def test_the_fast_decoder_reads_what_the_standard_one_reads_and_nothing_else(text: str) -> None:
    assert by_us(text) == by_the_standard_library(text)


@given(st.dictionaries(st.text(max_size=3), JSON_VALUES), st.data())
def test_spoiled_json_is_read_as_the_standard_library_reads_it(
    value: dict[str, object], data: st.DataObject
) -> None:
    written = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
    place = data.draw(st.integers(0, len(written)))
    spoiled = written[:place] + data.draw(ODD_JSON) + written[place + 1 :]

    assert by_us(spoiled) == by_the_standard_library(spoiled)
