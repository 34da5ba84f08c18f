"""Correlation keys and their canonical form.

One function serves both sides: what an event carries and what a wait is registered under go
through `canonical_key`, so that two spellings of one business key are one text.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from typing import Final, NewType, TypeAlias

import msgspec

from pointsman.keys import (
    KEY_TRIMMED,
    KEY_UNUSABLE_CHARACTER,
    MAX_KEY_BYTES,
    MAX_KEY_DIGITS,
)

from .exact_number import OutsizeNumber
from .reason import Reason

CorrelationKey = NewType("CorrelationKey", str)
"""A key in canonical form: NFC text without white space around it, 1 to 512 bytes of UTF-8."""

TRIMMED: Final = KEY_TRIMMED
_UNUSABLE_CHARACTER: Final = KEY_UNUSABLE_CHARACTER

# Normalising to NFC joins at most four code points into one (UAX #15), so that any longer text
# stays over the limit and need not be normalised at all.
_LONGEST_TRIMMED: Final = 4 * MAX_KEY_BYTES

_SMALLEST_REFUSED: Final = 10**MAX_KEY_DIGITS

_SIGNED: Final = Struct(">q")


class CanonicalKey(msgspec.Struct, frozen=True, gc=False):
    """A usable key."""

    key: CorrelationKey


@dataclass(frozen=True, slots=True)
class NoValue:
    """Null or blank: there is no key here, and the search goes on elsewhere."""


@dataclass(frozen=True, slots=True)
class RefusedKey:
    """Something stands here that cannot be a key; `detail` says what, never quoting it."""

    reason: Reason
    detail: str


KeyReading: TypeAlias = CanonicalKey | NoValue | RefusedKey

_NO_VALUE: Final = NoValue()


def canonical_key(value: object) -> KeyReading:
    """Read any decoded JSON value as a key. Never raises; idempotent on what it yields.

    Text is trimmed, brought to NFC and otherwise left alone: `"1e3"` and `"42.0"` stay as they
    are. A number becomes its shortest plain decimal, so that `42`, `42.0` and the text `"42"` are
    one key. A float, which only a wait's data converter can bring, counts as the shortest decimal
    that reads back as the same float.
    """
    if isinstance(value, str):
        return _read_text(value)
    if value is None:
        return _NO_VALUE
    if isinstance(value, bool):
        return CanonicalKey(CorrelationKey("true" if value else "false"))
    if isinstance(value, int):
        return _read_integer(value)
    if isinstance(value, Decimal):
        return _read_decimal(value)
    if isinstance(value, float):
        return _read_float(value)
    if isinstance(value, OutsizeNumber):
        return _too_many_digits()
    return RefusedKey(Reason.NOT_SCALAR, _describe_kind(value))


def _read_text(value: str) -> KeyReading:
    text = value.strip(TRIMMED)
    # Printable ASCII is its own NFC and holds no control character: the common case ends here.
    if text.isascii() and text.isprintable() and 0 < len(text) <= MAX_KEY_BYTES:
        return CanonicalKey(CorrelationKey(text))
    if not text:
        return _NO_VALUE
    if len(text) > _LONGEST_TRIMMED:
        return _too_long(f"a text of {len(text)} characters")
    if bad := _UNUSABLE_CHARACTER.search(text):
        code = f"U+{ord(bad.group()):04X} at position {bad.start()}"
        return RefusedKey(Reason.CONTROL_CHARACTERS, f"a text with a control character ({code})")
    normal = unicodedata.normalize("NFC", text)
    size = len(normal.encode())
    if size > MAX_KEY_BYTES:
        return _too_long(f"a text of {size} bytes of UTF-8")
    return CanonicalKey(CorrelationKey(normal))


def _read_integer(value: int) -> KeyReading:
    if -_SMALLEST_REFUSED < value < _SMALLEST_REFUSED:
        return CanonicalKey(CorrelationKey(str(int(value))))
    return _too_many_digits()


def _read_decimal(value: Decimal) -> KeyReading:
    if not value.is_finite():
        return RefusedKey(Reason.NUMBER_UNUSABLE, "a number that is not finite")
    if not value:
        return CanonicalKey(CorrelationKey("0"))
    # Looking at the exponent first keeps 1e400 and 1e-999999 from ever being written out.
    if not -MAX_KEY_DIGITS < value.adjusted() < MAX_KEY_DIGITS:
        return _too_many_digits()
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if len(text) > MAX_KEY_DIGITS and sum(map(str.isdigit, text)) > MAX_KEY_DIGITS:
        return _too_many_digits()
    return CanonicalKey(CorrelationKey(text))


def _read_float(value: float) -> KeyReading:
    if not math.isfinite(value):
        return RefusedKey(Reason.NUMBER_UNUSABLE, "a number that is not finite")
    return _read_decimal(Decimal(float.__repr__(value)))


def _too_long(what: str) -> RefusedKey:
    return RefusedKey(Reason.KEY_TOO_LONG, f"{what}; at most {MAX_KEY_BYTES} bytes are allowed")


def _too_many_digits() -> RefusedKey:
    return RefusedKey(Reason.NUMBER_UNUSABLE, f"a number of more than {MAX_KEY_DIGITS} digits")


def _describe_kind(value: object) -> str:
    if isinstance(value, Mapping):
        return "an object, which is no key"
    if isinstance(value, list | tuple):
        return "an array, which is no key"
    return f"a value of type {type(value).__name__}, which is no key"


def lock_hash(tenant: str, event_name: str, key: str) -> int:
    """The signed 64-bit number whose advisory lock stands for (tenant, event name, key).

    The lengths go before the parts, so that no two triples run together. Different triples may
    still share a number: whoever holds the lock compares the triple itself. The value is the same
    in every process and release, because all consumers of one database must agree on it.
    """
    digest = _begun(tenant, event_name).copy()
    digest.update(key.encode("utf-8", "surrogatepass"))
    return int(_SIGNED.unpack(digest.digest())[0])


# To go on from what is common to many keys takes half of the time that a new digest does.
@lru_cache(maxsize=4096)
def _begun(tenant: str, event_name: str) -> blake2b:
    before = f"{len(tenant)}:{tenant}{len(event_name)}:{event_name}"
    return blake2b(before.encode("utf-8", "surrogatepass"), digest_size=8)
