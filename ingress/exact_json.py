"""Strict JSON with exact numbers and a bounded depth.

Two decoders that agree: msgspec's, four times as fast, reads what is well formed; whatever that one
refuses is read again by the standard one, which says what is wrong and where, and takes the few
things that JSON allows and msgspec does not (escaped lone surrogates, integers of more than 4300
digits). What the standard one lets through (NaN, infinities) or trips over (nesting) is dealt with
here. Every integer stays exact, every other number is a `Decimal`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from typing import Any, Final, NoReturn

import msgspec

from correlation.reason import Reason
from ingress.refusal import Refusal, quoted

MAX_DEPTH: Final = 128
"""Levels of objects and arrays; far below what the decoder's recursion could not bear."""

_WHITE_SPACE_RUN: Final = re.compile(r"[ \t\n\r]*+")
# Possessive, so that neither a long nor an unterminated string can make it backtrack.
_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
# Brackets become +1 and -1 when read as signed bytes; everything else is deleted.
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[{]}")


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an object or array: its value, and the very text it was read from."""

    value: Any
    text: str


def read_json(text: str) -> Any:
    """Decode one JSON value; numbers become `int` or `Decimal`, the last of equal members wins.

    A number with an exponent that `Decimal` cannot hold (beyond 10^18) becomes `Decimal("NaN")`,
    so that the event lives on and only a key made of that number is refused.

    Raises `Refusal` with INVALID_JSON, NUL_CHARACTER, NOT_UTF8 or TOO_DEEP.
    """
    _check(text)
    try:
        return _FASTEST.decode(text)
    except (msgspec.MsgspecError, ArithmeticError):
        value, end = _value_at(text, _skip(text, 0))
        _check_end(text, end)
        return value


def read_members(text: str) -> Mapping[str, Member]:
    """Decode a JSON object, keeping the original text of each of its members.

    Raises `Refusal` as `read_json` does; other JSON values are INVALID_JSON, too.
    """
    _check(text)
    members: dict[str, Member] = {}
    position = _expect(text, 0, "{")
    while not (text.startswith("}", position) and not members):
        name, members[name], position = _member_at(text, position)
        if text.startswith("}", position):
            break
        position = _expect(text, position, ",")
    _check_end(text, position + 1)
    return members


def read_elements(text: str) -> Sequence[Member]:
    """Decode a JSON array, keeping the original text of each of its elements.

    Raises `Refusal` as `read_json` does; other JSON values are INVALID_JSON, too.
    """
    _check(text)
    elements: list[Member] = []
    position = _expect(text, 0, "[")
    while not (text.startswith("]", position) and not elements):
        value, end = _value_at(text, position)
        elements.append(Member(value, text[position:end]))
        position = _skip(text, end)
        if text.startswith("]", position):
            break
        position = _expect(text, position, ",")
    _check_end(text, position + 1)
    return elements


def kind_of(value: object) -> str:
    """What JSON calls the kind of a decoded value."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | Decimal():
            return "a number"
        case list():
            return "an array"
        case _:
            return "an object"


def _member_at(text: str, position: int) -> tuple[str, Member, int]:
    name, end = _value_at(text, position)
    if not isinstance(name, str):
        raise _invalid(text, position, "a member's name must be a string")
    start = _expect(text, end, ":")
    value, end = _value_at(text, start)
    return name, Member(value, text[start:end]), _skip(text, end)


def _value_at(text: str, position: int) -> tuple[Any, int]:
    try:
        try:
            return _FAST.raw_decode(text, position)
        except json.JSONDecodeError:
            raise
        except (ValueError, ArithmeticError):
            return _UNBOUNDED.raw_decode(text, position)
    except json.JSONDecodeError as error:
        raise _invalid(text, error.pos, f"{error.msg[0].lower()}{error.msg[1:]}") from None


def _expect(text: str, position: int, character: str) -> int:
    found = _skip(text, position)
    if not text.startswith(character, found):
        raise _invalid(text, found, f"expecting '{character}'")
    return _skip(text, found + 1)


def _skip(text: str, position: int) -> int:
    if text[position : position + 1] > " ":
        return position
    found = _WHITE_SPACE_RUN.match(text, position)
    return found.end() if found else position


def _check_end(text: str, end: int) -> None:
    if end != len(text) and _skip(text, end) != len(text):
        raise _invalid(text, end, "more text follows the end of the value")


def _check(text: str) -> None:
    if "\0" in text:
        raise Refusal(Reason.NUL_CHARACTER, f"NUL character at position {text.index(chr(0))}")
    if not text.isascii():
        _check_encodable(text)
    if text.count("[") + text.count("{") > MAX_DEPTH:
        depth = _depth(text)
        if depth > MAX_DEPTH:
            raise Refusal(
                Reason.TOO_DEEP, f"nested {depth} levels deep; at most {MAX_DEPTH} are allowed"
            )


def _check_encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        detail = f"a lone surrogate at position {error.start} has no UTF-8 form"
        raise Refusal(Reason.NOT_UTF8, detail) from None


def _depth(text: str) -> int:
    brackets = _STRING.sub("", text).encode("utf-8", "replace").translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0)


def _invalid(text: str, position: int, complaint: str) -> Refusal:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return Refusal(Reason.INVALID_JSON, f"{complaint} (line {line}, column {column})")


def _refuse_constant(constant: str) -> NoReturn:
    raise Refusal(Reason.INVALID_JSON, f"{quoted(constant)} is not JSON")


def _unbounded_integer(digits: str) -> int | Decimal:
    try:
        return int(digits)
    except ValueError:
        return Decimal(digits)


def _unbounded_number(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:
        return Decimal("NaN")


_FASTEST: Final = msgspec.json.Decoder[Any](float_hook=Decimal)
# The decoder's own `int` is about twice as fast as any Python function put in its place.
_FAST: Final = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
_UNBOUNDED: Final = json.JSONDecoder(
    parse_float=_unbounded_number, parse_int=_unbounded_integer, parse_constant=_refuse_constant
)
