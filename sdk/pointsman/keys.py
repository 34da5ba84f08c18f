"""Correlation keys as Python holds them: one function for whoever publishes and whoever waits.

Without any import but the standard library's: workflow code loads this in Temporal's sandbox.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Final, TypeAlias
from uuid import UUID

MAX_KEY_BYTES: Final = 512
MAX_KEY_DIGITS: Final = 64
# Unicode's White_Space property (PropList.txt; NBSP is among it) and the byte order mark. Python's
# own `str.strip()` would also take U+001C to U+001F, which are control characters.
KEY_TRIMMED: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""Taken off both ends of a key."""
KEY_UNUSABLE_CHARACTER: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What a key must not hold: control characters, and halves of surrogate pairs."""

Key: TypeAlias = str | int | float | bool | Decimal | UUID | date | Enum
"""A correlation key; numbers equal their exact shortest decimal text (42, 42.0 and "42").

An enum's member counts as its value, a UUID as its text in lower case, a date as `2026-11-30`. A
`datetime` is refused: the same moment has several spellings, so give the text that is meant.
"""

WANTED: Final = "give text, a number, a boolean, a UUID, a date, or a member of an enum of these"
_EXACT_IN_JSON: Final = 2**53


def key_text(key: object) -> str:
    """The key in canonical form, as the service compares it; ValueError says why there is none.

    The service makes the same of what JSON carries (`correlation.key`).
    """
    plain = plain_key(key)
    if isinstance(plain, str):
        return _trimmed(plain)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, int):
        return _digits(plain)
    return _decimal(plain)


def wire_key(key: object) -> str | int | float | bool:
    """The key as it travels in JSON, exactly. Raises ValueError on what JSON cannot carry.

    Text goes as it was given: the service brings it into its canonical form.
    """
    plain = plain_key(key)
    if isinstance(plain, str):
        return _encodable(plain)
    text = key_text(plain)
    if isinstance(plain, int) and abs(plain) > _EXACT_IN_JSON:
        return text
    return text if isinstance(plain, Decimal) else plain


def plain_key(key: object) -> str | int | float | bool | Decimal:
    """The text, number or boolean that the key stands for. Raises ValueError."""
    seen = 0
    while isinstance(key, Enum) and seen < 2:
        key, seen = key.value, seen + 1
    match key:
        case bool():
            return key
        case str():
            return str.__str__(key)
        case int():
            return int(key)
        case float():
            return float(key)
        case Decimal():
            return key
        case UUID():
            return str(key)
        case datetime():
            raise ValueError("key is a datetime, which has several spellings; give text")
        case date():
            return key.isoformat()
        case _:
            raise ValueError(f"key is of type {type(key).__name__}; {WANTED}")


def _trimmed(text: str) -> str:
    _encodable(text)
    text = text.strip(KEY_TRIMMED)
    if not text:
        raise ValueError("key is blank; give the business key that the event carries")
    if bad := KEY_UNUSABLE_CHARACTER.search(text):
        raise ValueError(f"key holds the control character U+{ord(bad.group()):04X}; take it out")
    # Normalising joins at most four code points, so what is longer than this stays too long.
    normal = text if len(text) > 4 * MAX_KEY_BYTES else unicodedata.normalize("NFC", text)
    size = len(normal.encode())
    if size > MAX_KEY_BYTES:
        raise ValueError(f"key is {size} bytes of UTF-8 long; at most {MAX_KEY_BYTES} are allowed")
    return normal


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("key holds characters that UTF-8 cannot encode") from None
    return text


def _digits(number: int) -> str:
    if abs(number) >= 10**MAX_KEY_DIGITS:
        raise _too_many()
    return int.__repr__(number)


def _decimal(number: float | Decimal) -> str:
    """Plain notation without trailing zeros."""
    if isinstance(number, Decimal):
        exact, finite = number, number.is_finite()
    else:
        exact, finite = Decimal(float.__repr__(float(number))), math.isfinite(number)
    if not finite:
        raise ValueError(f"key {number} is not a finite number")
    if not exact:
        return "0"
    # Looking at the exponent first keeps 1e400 and 1e-999999 from ever being written out.
    if not -MAX_KEY_DIGITS < exact.adjusted() < MAX_KEY_DIGITS:
        raise _too_many()
    text = format(exact, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    if sum(character.isdigit() for character in text) > MAX_KEY_DIGITS:
        raise _too_many()
    return text


def _too_many() -> ValueError:
    return ValueError(f"key has more than {MAX_KEY_DIGITS} digits; give it as text")
