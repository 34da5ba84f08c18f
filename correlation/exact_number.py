"""Numbers of JSON as exact as they were written, whatever their size.

`int` and `Decimal` hold nearly all of them. A `Decimal` ends at exponents of about 10^18, while
JSON has no bound: what lies beyond is an `OutsizeNumber`, which keeps its text and can be compared.
Nothing here ever writes out an exponent, so that 1e99999999999999999999 costs what its text costs.
"""

from __future__ import annotations

import math
import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, MIN_ETINY, Context, Decimal, InvalidOperation
from typing import Final, TypeAlias

# JSON's own grammar of a number; its digits may be millions, and each part is read once.
_NUMBER: Final = re.compile(r"(-?)([0-9]++)(?:\.([0-9]++))?(?:[eE]([+-]?[0-9]++))?")
# Exact: the traps turn whatever would be rounded into an error, and sums of integers never are.
_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)

_LARGEST: Final = Decimal(f"1e{MAX_EMAX}")
_SMALLEST: Final = Decimal(f"1e{MIN_ETINY}")


class OutsizeNumber:
    """A number that no `Decimal` can hold, with the text that it was read from.

    Two are equal when the numbers are, however they are written; none equals an `int` or a
    `Decimal`, because those that do are read as such.
    """

    __slots__ = ("_exponent", "_significant", "text")

    def __init__(self, text: str, significant: str, exponent: Decimal) -> None:
        """Of `significant` digits, signed and without zeros at either end, times 10^exponent."""
        self.text = text
        self._significant = significant
        self._exponent = exponent

    @property
    def nearest(self) -> Decimal:
        """The nearest number that a `Decimal` can hold, for those who only compare sizes."""
        number = _LARGEST if self._exponent > 0 else _SMALLEST
        return number.copy_negate() if self._significant.startswith("-") else number

    def __eq__(self, other: object) -> bool:
        """Equal as numbers."""
        if not isinstance(other, OutsizeNumber):
            return NotImplemented
        return self._significant == other._significant and self._exponent == other._exponent

    def __hash__(self) -> int:
        """Equal numbers have equal hashes."""
        return hash((self._significant, self._exponent))

    def __repr__(self) -> str:
        """As it was written."""
        return self.text


ExactNumber: TypeAlias = int | Decimal | OutsizeNumber


def exact_number(text: str) -> Decimal | OutsizeNumber:
    """Read a number that JSON's grammar allows; never raises for one, and never rounds it."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return _outsize(text)


def exact_integer(text: str) -> int | Decimal:
    """The same for an integer; one of more digits than Python converts becomes a `Decimal`."""
    try:
        return int(text)
    except ValueError:
        return Decimal(text)


def number_text(number: float | Decimal | OutsizeNumber) -> str | None:
    """The number in JSON, digit for digit; None for what is no number (NaN and the infinities)."""
    if isinstance(number, OutsizeNumber):
        return number.text
    if isinstance(number, Decimal):
        return str(number) if number.is_finite() else None
    if isinstance(number, int):
        return _integer_text(number)
    return float.__repr__(number) if math.isfinite(number) else None


def _integer_text(number: int) -> str:
    try:
        return int.__repr__(number)
    except ValueError:
        # More digits than Python writes out; a Decimal holds as many as there are, exactly.
        return str(Decimal(number))


def _outsize(text: str) -> Decimal | OutsizeNumber:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError("no number as JSON has them")
    sign, whole, fraction, exponent = found.groups(default="")
    digits = f"{whole}{fraction}".lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return Decimal(f"{sign}0")
    moved = len(digits) - len(significant) - len(fraction)
    normal = _EXACT.add(Decimal(exponent or 0), moved)
    try:
        return Decimal(f"{sign}{significant}e{normal:f}")
    except InvalidOperation:
        return OutsizeNumber(text, f"{sign}{significant}", normal)
