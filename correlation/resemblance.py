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
from typing import Final, TypeVar

from .key import CanonicalKey, canonical_key

LONGEST_AFFIX: Final = 3
"""By how many characters one key may be longer than another that it still resembles."""
SHORTEST_STEM: Final = 3
MOST_AFFIXED: Final = 3
"""Of keys numbered one after the other many are longer by a digit: more say nothing more."""

MOST_ALIKE: Final = 50
"""Of keys that fold alike so many are compared, the first ones."""

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
    for rank, (resemblance, fold) in enumerate(_COMPARISONS):
        folded = fold(one)
        if folded is not None and folded != "" and folded == fold(other):
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
    return Lookalikes(others).closest(key, count)


class Lookalikes:
    """Keys among which those that resemble another are found without comparing it with each.

    Every key is folded once, as each comparison folds it; those that fold alike lie together.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._alike: dict[tuple[int, object], list[str]] = {}
        self._longer: dict[str, list[str]] = {}
        self._whole: dict[str, list[str]] = {}
        self.compared = 0
        """How many pairs of keys were compared."""
        for key in dict.fromkeys(keys):
            self._add(key)

    def closest(
        self, key: str, count: int, usable: Callable[[str], bool] = lambda _: True
    ) -> Sequence[tuple[str, Resemblance]]:
        """As `closest`, of those keys that are `usable`."""
        candidates = [other for other in self._candidates(key) if usable(other)]
        self.compared += len(candidates)
        found = sorted(
            ((like, other) for other in candidates if (like := likeness(key, other)) is not None),
            key=lambda pair: (pair[0].rank, pair[0].extra, len(pair[1]), pair[1]),
        )
        if found and found[0][0].resemblance is Resemblance.AFFIX:
            least = found[0][0].extra
            found = [(like, other) for like, other in found if like.extra == least][:MOST_AFFIXED]
        else:
            found = [pair for pair in found if pair[0].resemblance is not Resemblance.AFFIX]
        return [(other, like.resemblance) for like, other in found[:count]]

    def _add(self, key: str) -> None:
        for rank, fold in enumerate(_FOLDS):
            folded = fold(key)
            if folded is not None and folded != "":
                _append(self._alike, (rank, folded), key)
        lower = key.casefold()
        _append(self._whole, lower, key)
        for part in _shortened(lower):
            _append(self._longer, part, key)

    def _candidates(self, key: str) -> Sequence[str]:
        lower = key.casefold()
        found = dict.fromkeys(self._longer.get(lower, ()))
        for part in _shortened(lower):
            found |= dict.fromkeys(self._whole.get(part, ()))
        for rank, fold in enumerate(_FOLDS):
            found |= dict.fromkeys(self._alike.get((rank, fold(key)), ()))
        return list(found)


Place = TypeVar("Place")


def _append(places: dict[Place, list[str]], place: Place, key: str) -> None:
    there = places.setdefault(place, [])
    if len(there) < MOST_ALIKE:
        there.append(key)


def _shortened(text: str) -> set[str]:
    lengths = range(1, min(LONGEST_AFFIX, len(text) - SHORTEST_STEM) + 1)
    return {text[extra:] for extra in lengths} | {text[:-extra] for extra in lengths}


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


_COMPARISONS: Final[Sequence[tuple[Resemblance, Callable[[str], object]]]] = (
    (Resemblance.CASE, str.casefold),
    (Resemblance.ZERO_PADDING, lambda key: _without_padding(key.casefold())),
    (Resemblance.NUMBER_FORMAT, _number),
    (Resemblance.UNICODE_FORM, _compatible),
    (Resemblance.PUNCTUATION, _words),
    (Resemblance.LOOK_ALIKE, _look),
)
"""How a key is folded for each comparison: keys that fold alike, and to something, are alike."""
_FOLDS: Final = tuple(fold for _, fold in _COMPARISONS)


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
