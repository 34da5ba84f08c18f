"""Two correlation keys that are not the same, and look as if they were meant to be.

Pure: which keys resemble one another and how, and which spellings of a key are worth a probe.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final

from .key import CanonicalKey, canonical_key

LONGEST_AFFIX: Final = 3
"""By how many characters one key may be longer than another that it still resembles."""
SHORTEST_STEM: Final = 3
MOST_AFFIXED: Final = 3
"""Of keys numbered one after the other many are longer by a digit: more say nothing more."""

_ZEROS: Final = re.compile(r"(?<!\d)0+(?=\d)")
_NO_WORD: Final = re.compile(r"[\W_]+")
_LOOK_ALIKES: Final = str.maketrans("OoIl|Ss", "0011155")
_HUGE: Final = 64


class Resemblance(StrEnum):
    """How two keys differ, the most telling first."""

    CASE = "case"
    ZERO_PADDING = "zero_padding"
    NUMBER_FORMAT = "number_format"
    UNICODE_FORM = "unicode_form"
    PUNCTUATION = "punctuation"
    LOOK_ALIKE = "look_alike"
    """A letter stands for a digit or the other way round."""
    AFFIX = "affix"
    """One is the other with a few characters more before or behind."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How much alike two keys are; the least is the most alike."""

    rank: int
    extra: int
    resemblance: Resemblance


def likeness(one: str, other: str) -> Likeness | None:
    """How two different keys resemble one another; None when they do not, or are the same."""
    if one == other:
        return None
    for rank, (resemblance, alike) in enumerate(_COMPARISONS):
        if alike(one, other):
            return Likeness(rank, 0, resemblance)
    extra = _affix(one, other)
    if extra is None:
        return None
    return Likeness(len(_COMPARISONS), extra, Resemblance.AFFIX)


def closest(key: str, others: Iterable[str], count: int) -> Sequence[tuple[str, Resemblance]]:
    """The keys that resemble `key`, the most alike first.

    Those that are merely longer or shorter count only where no other is more alike, and then only
    the few that are so by the least.
    """
    found = sorted(
        ((like, other) for other in set(others) if (like := likeness(key, other)) is not None),
        key=lambda pair: (pair[0].rank, pair[0].extra, len(pair[1]), pair[1]),
    )
    if found and found[0][0].resemblance is Resemblance.AFFIX:
        least = found[0][0].extra
        found = [(like, other) for like, other in found if like.extra == least][:MOST_AFFIXED]
    else:
        found = [pair for pair in found if pair[0].resemblance is not Resemblance.AFFIX]
    return [(other, like.resemblance) for like, other in found[:count]]


def spellings(key: str) -> Sequence[str]:
    """Other spellings of a key, in canonical form, that are worth looking up; at most a dozen."""
    number = _number(key)
    candidates = [
        key.lower(),
        key.upper(),
        key.title(),
        _without_padding(key),
        unicodedata.normalize("NFKC", key),
        _NO_WORD.sub("", key),
        _NO_WORD.sub("-", key),
        _NO_WORD.sub("_", key),
        key.replace(" ", ""),
        "" if number is None else _plain(number),
        "" if number is None else f"{_plain(number)}.0",
        key.translate(_LOOK_ALIKES),
    ]
    readings = (canonical_key(candidate) for candidate in candidates)
    usable = (reading.key for reading in readings if isinstance(reading, CanonicalKey))
    return [found for found in dict.fromkeys(usable) if found != key]


def _same(fold: Callable[[str], object]) -> Callable[[str, str], bool]:
    def alike(one: str, other: str) -> bool:
        folded = fold(one)
        return folded is not None and folded != "" and folded == fold(other)

    return alike


def _without_padding(key: str) -> str:
    return _ZEROS.sub("", key)


def _number(key: str) -> Decimal | None:
    if len(key) > _HUGE or not key.isascii():
        return None
    try:
        number = Decimal(key.replace(",", ".") if key.count(",") == 1 else key)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) <= _HUGE else None


def _plain(number: Decimal) -> str:
    reading = canonical_key(number)
    return reading.key if isinstance(reading, CanonicalKey) else ""


def _compatible(key: str) -> str:
    return unicodedata.normalize("NFKC", key).casefold()


def _words(key: str) -> str:
    return _NO_WORD.sub("", _compatible(key))


def _look(key: str) -> str:
    return _words(key.translate(_LOOK_ALIKES))


_COMPARISONS: Final[Sequence[tuple[Resemblance, Callable[[str, str], bool]]]] = (
    (Resemblance.CASE, _same(str.casefold)),
    (Resemblance.ZERO_PADDING, _same(lambda key: _without_padding(key.casefold()))),
    (Resemblance.NUMBER_FORMAT, _same(_number)),
    (Resemblance.UNICODE_FORM, _same(_compatible)),
    (Resemblance.PUNCTUATION, _same(_words)),
    (Resemblance.LOOK_ALIKE, _same(_look)),
)


def _affix(one: str, other: str) -> int | None:
    shorter, longer = sorted((one.casefold(), other.casefold()), key=len)
    extra = len(longer) - len(shorter)
    if not 0 < extra <= LONGEST_AFFIX or len(shorter) < SHORTEST_STEM:
        return None
    if longer.startswith(shorter):
        seam = longer[len(shorter) - 1 : len(shorter) + 1]
    elif longer.endswith(shorter):
        seam = longer[extra - 1 : extra + 1]
    else:
        return None
    # Two digits more make another number; one may have slipped in or got lost.
    return None if seam.isdigit() and extra > 1 else extra
