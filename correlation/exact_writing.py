"""The one writer of JSON: whatever `exact_reading` reads comes out as the same value.

Numbers are written digit for digit, text as it is; what has no UTF-8 form (half a surrogate pair)
is written as its escape, so that the text can always be encoded. NaN and the infinities, which
only a float of our own could be, become null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, Final, NoReturn

from .exact_number import OutsizeNumber, number_text

MAX_DEPTH: Final = 100
"""Levels of what people state themselves: a constant, a form, an answer."""


def exact_json(value: Any) -> str:
    """JSON text of plain values, for storing and sending. Raises TypeError for anything else."""
    return _text(value, _SPACED)


def write_json(value: Any, plain: Callable[[Any], Any]) -> str:
    """JSON text without blanks; `plain` makes of any other value one that JSON has."""
    return _text(value, _Style(",", ":", plain))


def line_of_json(value: Any, plain: Callable[[Any], Any]) -> str:
    """The same with blanks, for people to read."""
    return _text(value, _Style(", ", ": ", plain))


def text_json(text: str) -> str:
    """A text as JSON."""
    written = encode_basestring(text)
    if not written.isascii() and _is_broken(written):
        return encode_basestring_ascii(text)
    return written


def json_fault(value: Any, depth: int = 0) -> str | None:
    """Why a value cannot stand in JSON that Postgres and Temporal are to carry; None: it can."""
    if depth > MAX_DEPTH:
        return "is nested too deeply"
    match value:
        case bool() | None:
            return None
        case int() | Decimal() | float() | OutsizeNumber():
            return "is not a finite number" if number_text(value) is None else None
        case str():
            unusable = any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)
            return "holds a NUL character or half a surrogate pair" if unusable else None
        case list() | tuple():
            return next(filter(None, (json_fault(one, depth + 1) for one in value)), None)
        case Mapping():
            return _fault_of_members(value, depth)
        case _:
            return f"is of the type {type(value).__name__}, which JSON does not have"


def _fault_of_members(value: Mapping[Any, Any], depth: int) -> str | None:
    for name, part in value.items():
        if not isinstance(name, str):
            return "has a member whose name is no text"
        if fault := json_fault(name) or json_fault(part, depth + 1):
            return fault
    return None


@dataclass(frozen=True, slots=True)
class _Style:
    comma: str
    colon: str
    plain: Callable[[Any], Any]


def _no_form(value: Any) -> NoReturn:
    raise TypeError(f"{type(value).__name__} has no JSON form")


_SPACED: Final = _Style(", ", ": ", _no_form)


def _text(value: Any, style: _Style) -> str:
    pieces: list[str] = []
    _write(value, style, pieces.append)
    return "".join(pieces)


def _write(value: Any, style: _Style, add: Callable[[str], object]) -> None:
    # One frame for each level: what was read within its bound is written within Python's.
    match value:
        case str():
            add(text_json(value))
        case None:
            add("null")
        case bool():
            add("true" if value else "false")
        case int() | Decimal() | OutsizeNumber() | float():
            add(number_text(value) or "null")
        case Mapping():
            before = "{"
            for name, part in value.items():
                add(f"{before}{text_json(str(name))}{style.colon}")
                _write(part, style, add)
                before = style.comma
            add("}" if value else "{}")
        case list() | tuple():
            before = "["
            for part in value:
                add(before)
                _write(part, style, add)
                before = style.comma
            add("]" if value else "[]")
        case _:
            _write(style.plain(value), style, add)


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
