"""The one reader of JSON: strict, with exact numbers and a bounded depth.

Two decoders that agree: msgspec's, four times as fast, reads what is well formed; whatever that one
refuses is read again by the standard one, which says what is wrong and where, and takes the few
things that JSON allows and msgspec does not (escaped lone surrogates, integers of more than 4300
digits, exponents beyond a `Decimal`'s). What the standard one lets through (NaN, infinities) or
trips over (nesting) is dealt with here. No number passes through a float. `exact_writing` writes
what this reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from typing import Any, Final, NoReturn

import msgspec

from .exact_number import OutsizeNumber, exact_integer, exact_number
from .reason import Reason

MAX_DEPTH: Final = 128
"""Levels of objects and arrays that the way in takes."""
STORED_DEPTH: Final = 256
"""Levels of what the product itself wrote around something that came in; the decoders bear it."""

_WHITE_SPACE_RUN: Final = re.compile(r"[ \t\n\r]*+")
# Possessive, so that neither a long nor an unterminated string can make it backtrack.
_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
# Brackets become +1 and -1 when read as signed bytes; everything else is deleted.
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[{]}")


class NotJson(ValueError):
    """A text is no JSON, or one that is not taken; says why and where, and quotes nothing of it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        """INVALID_JSON, NUL_CHARACTER, NOT_UTF8 or TOO_DEEP."""
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an object or array: its value, and the very text it was read from."""

    value: Any
    text: str


def read_json(text: str, *, max_depth: int = MAX_DEPTH) -> Any:
    """Decode one JSON value; of equal members the last one counts. Raises NotJson.

    Numbers become `int` or `Decimal`, and `OutsizeNumber` beyond what a `Decimal` can hold.
    """
    _check(text, max_depth)
    try:
        return _FASTEST.decode(text)
    except (msgspec.MsgspecError, ArithmeticError):
        value, end = _value_at(text, _skip(text, 0))
        _check_end(text, end)
        return value


def read_stored(text: str) -> Any:
    """Decode what the product wrote itself: as `read_json`, but deeper. Raises NotJson."""
    return read_json(text, max_depth=STORED_DEPTH)


def read_bytes(content: bytes, *, max_depth: int = STORED_DEPTH) -> Any:
    """Decode bytes, with or without a byte order mark, as `read_json` does. Raises NotJson."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotJson(Reason.NOT_UTF8, f"it is not UTF-8 (byte {error.start})") from None
    return read_json(text, max_depth=max_depth)


def read_members(text: str) -> Mapping[str, Member]:
    """Decode a JSON object, keeping the original text of each of its members.

    Raises NotJson as `read_json` does; other JSON values are INVALID_JSON, too.
    """
    _check(text, MAX_DEPTH)
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

    Raises NotJson as `read_json` does; other JSON values are INVALID_JSON, too.
    """
    _check(text, MAX_DEPTH)
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
        case int() | Decimal() | OutsizeNumber():
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
        except (json.JSONDecodeError, NotJson):
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


def _check(text: str, max_depth: int) -> None:
    if "\0" in text:
        raise NotJson(Reason.NUL_CHARACTER, f"NUL character at position {text.index(chr(0))}")
    if not text.isascii():
        _check_encodable(text)
    if text.count("[") + text.count("{") > max_depth:
        depth = _depth(text)
        if depth > max_depth:
            raise NotJson(
                Reason.TOO_DEEP, f"nested {depth} levels deep; at most {max_depth} are allowed"
            )


def _check_encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        detail = f"a lone surrogate at position {error.start} has no UTF-8 form"
        raise NotJson(Reason.NOT_UTF8, detail) from None


def _depth(text: str) -> int:
    brackets = _STRING.sub("", text).encode("utf-8", "replace").translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0)


def _invalid(text: str, position: int, complaint: str) -> NotJson:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return NotJson(Reason.INVALID_JSON, f"{complaint} (line {line}, column {column})")


def _refuse_constant(constant: str) -> NoReturn:
    raise NotJson(Reason.INVALID_JSON, f"{constant} is no JSON number")


_FASTEST: Final = msgspec.json.Decoder[Any](float_hook=Decimal)
# The decoder's own `int` is about twice as fast as any Python function put in its place.
_FAST: Final = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
_UNBOUNDED: Final = json.JSONDecoder(
    parse_float=exact_number, parse_int=exact_integer, parse_constant=_refuse_constant
)
