from __future__ import annotations

import json
import sys
import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given

from correlation.key import (
    TRIMMED,
    CanonicalKey,
    NoValue,
    RefusedKey,
    canonical_key,
    lock_hash,
)
from correlation.reason import Reason
from tests.unit.correlation.builders import (
    decimals,
    decoded,
    every_case,
    json_values,
    texts,
    wait_keys,
)


def key_of(value: object) -> str:
    reading = canonical_key(value)
    assert isinstance(reading, CanonicalKey), reading
    return reading.key


def refusal_of(value: object) -> Reason:
    reading = canonical_key(value)
    assert isinstance(reading, RefusedKey), reading
    assert reading.detail
    return reading.reason


@pytest.mark.parametrize("value", [42, "42", Decimal(42), Decimal("42.0"), Decimal("4.2E+1"), 42.0])
def test_numeric_key_equals_its_text(value: object) -> None:
    assert key_of(value) == "42"


@pytest.mark.parametrize(
    ("number", "key"),
    [
        ("1.0", "1"),
        ("1e2", "100"),
        ("1.50", "1.5"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("0e400", "0"),
        ("-12.340", "-12.34"),
        ("1e-7", "0.0000001"),
        ("9007199254740993", "9007199254740993"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("1e63", "1" + "0" * 63),
        ("1e-63", "0." + "0" * 62 + "1"),
        ("-" + "9" * 64, "-" + "9" * 64),
        ("1." + "0" * 100_000, "1"),
    ],
)
def test_a_json_number_gives_its_exact_shortest_decimal(number: str, key: str) -> None:
    assert key_of(decoded(number)) == key


@pytest.mark.parametrize(
    "number", ["1e64", "1e-64", "1e400", "-1e-999999999", "9" * 65, "1." + "1" * 64, "1e999999999"]
)
def test_a_number_of_more_than_64_digits_is_refused(number: str) -> None:
    assert refusal_of(decoded(number)) is Reason.NUMBER_UNUSABLE


@pytest.mark.parametrize(
    "value",
    [float("inf"), float("-inf"), float("nan"), *map(Decimal, ("NaN", "sNaN", "-Infinity"))],
)
def test_a_number_that_is_not_finite_is_refused(value: object) -> None:
    assert refusal_of(value) is Reason.NUMBER_UNUSABLE


@pytest.mark.parametrize(
    ("value", "key"), [(0.1, "0.1"), (1e22, "1" + "0" * 22), (1e-7, "0.0000001")]
)
def test_a_float_counts_as_its_shortest_decimal(value: float, key: str) -> None:
    assert key_of(value) == key


@pytest.mark.parametrize("text", ["42.0", "1e3", "007", "+1", "INV 1", "inv-1", "-", "null"])
def test_text_is_not_read_as_a_number(text: str) -> None:
    assert key_of(text) == text


def test_booleans_are_words() -> None:
    assert (key_of(True), key_of(False)) == ("true", "false")


@pytest.mark.parametrize("space", TRIMMED)
def test_white_space_around_a_text_does_not_count(space: str) -> None:
    assert key_of(f"{space} {space}INV 1{space}") == "INV 1"


def test_the_trimmed_characters_are_those_that_unicode_calls_white_space() -> None:
    # Python's own notion adds the four separators U+001C to U+001F to Unicode's property.
    spaces = {chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()}

    assert set(TRIMMED) == spaces - set("\x1c\x1d\x1e\x1f") | {"\ufeff"}


@pytest.mark.parametrize("value", [None, "", " ", "\t\r\n", "\u00a0", "\ufeff", "\u3000 \u2003"])
def test_null_and_blank_are_no_value(value: object) -> None:
    assert canonical_key(value) == NoValue()


def test_two_spellings_of_one_letter_are_one_key() -> None:
    assert key_of("Mu\u0308ller") == key_of("M\u00fcller") == "M\u00fcller"


def test_upper_and_lower_case_are_different_keys() -> None:
    assert key_of("inv-1") != key_of("INV-1")


@pytest.mark.parametrize("value", [{}, {"id": 1}, [], ["INV-1"], (1,), b"INV-1", object()])
def test_what_is_not_a_scalar_is_refused_as_such(value: object) -> None:
    assert refusal_of(value) is Reason.NOT_SCALAR


@pytest.mark.parametrize(
    "text", ["a" * 512, "\u00fc" * 256, "u\u0308" * 256, " " * 9999 + "a" * 512]
)
def test_a_text_of_512_bytes_is_a_key(text: str) -> None:
    assert len(key_of(text).encode()) == 512


@pytest.mark.parametrize(
    "text", ["a" * 513, "\u00fc" * 257, "u\u0308" * 257, "a" * 10_000_000, "\u1fb7" * 171]
)
def test_a_text_of_more_than_512_bytes_is_refused(text: str) -> None:
    assert refusal_of(text) is Reason.KEY_TOO_LONG


@pytest.mark.parametrize(
    "character",
    ["\0", "\t", "\n", "\x1b", "\x1c", "\x7f", "\x80", "\x9f", chr(0xD800), chr(0xDFFF)],
)
def test_a_control_character_within_a_text_is_refused(character: str) -> None:
    assert refusal_of(f"INV{character}1") is Reason.CONTROL_CHARACTERS
    assert refusal_of(f"M\u00fc{character}1") is Reason.CONTROL_CHARACTERS


def test_a_refusal_does_not_quote_the_value() -> None:
    for value in ("secret\x00", "secret" * 100, {"secret": "secret"}, ["secret"]):
        reading = canonical_key(value)

        assert isinstance(reading, RefusedKey)
        assert "secret" not in reading.detail


@given(json_values)
@every_case
def test_a_key_is_its_own_canonical_form(value: object) -> None:
    reading = canonical_key(value)

    if isinstance(reading, CanonicalKey):
        assert canonical_key(reading.key) == reading


@given(json_values)
@every_case
def test_every_key_is_normal_printable_text_within_its_limit(value: object) -> None:
    reading = canonical_key(value)

    if isinstance(reading, CanonicalKey):
        key = reading.key
        assert 1 <= len(key.encode("utf-8")) <= 512
        assert unicodedata.is_normalized("NFC", key)
        assert key == key.strip(TRIMMED)
        assert not any(unicodedata.category(character) == "Cc" for character in key)


@given(wait_keys)
@every_case
def test_a_wait_and_an_event_of_one_value_have_one_key(value: object) -> None:
    through_the_payload = decoded(json.dumps(value))
    through_a_data_converter = json.loads(json.dumps(value))

    wait = canonical_key(through_a_data_converter)

    assert wait == canonical_key(through_the_payload)
    assert wait == canonical_key(value)


@given(decimals)
@every_case
def test_every_spelling_of_a_number_has_one_key(number: Decimal) -> None:
    spellings = [str(number), f"{number:e}", f"{number:E}"]

    readings = [canonical_key(decoded(spelling)) for spelling in spellings]

    assert readings == [canonical_key(number)] * len(spellings)


@given(texts)
@every_case
def test_every_normal_form_of_a_text_has_one_key(text: str) -> None:
    forms = [text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)]

    readings = [canonical_key(form) for form in forms]

    assert len({type(reading) for reading in readings}) == 1
    assert len({r.key for r in readings if isinstance(r, CanonicalKey)}) <= 1


def test_a_lock_hash_is_the_same_in_every_release() -> None:
    assert lock_hash("acme", "INVOICE_PAID", "INV-1") == -2612593570271762717
    assert lock_hash("acme", "INVOICE_PAID", "INV-2") != lock_hash("acme", "INVOICE_PAID", "INV-1")
    assert lock_hash("acme", "INVOICE_PAID", "INV-1") == -2612593570271762717


def test_a_lock_hash_fits_a_signed_64_bit_column() -> None:
    hashes = [lock_hash("acme", "INVOICE_PAID", str(number)) for number in range(1000)]

    assert all(-(2**63) <= value < 2**63 for value in hashes)
    assert any(value < 0 for value in hashes)
    assert len(set(hashes)) == 1000


def test_parts_of_a_lock_hash_do_not_run_together() -> None:
    triples = [("a", "b", "c"), ("ab", "", "c"), ("", "ab", "c"), ("a", "bc", ""), ("a", "", "bc")]

    assert len({lock_hash(*triple) for triple in triples}) == len(triples)
