"""Whether two decoded values are the same JSON: 1 is 1.0 and 10e-1, and neither true nor "1"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeGuard

from .exact_number import ExactNumber, OutsizeNumber


def equal_json(one: Any, other: Any) -> bool:
    """Equal as JSON, exactly: the order of members does not count, the type of a scalar does.

    Numbers are compared without writing out an exponent. A float, which only what people configure
    can hold, counts as its shortest spelling.
    """
    waiting = [(one, other)]
    while waiting:
        value, its_like = waiting.pop()
        inner = _pairs(value, its_like)
        if inner is None:
            return False
        waiting += inner
    return True


def _pairs(one: Any, other: Any) -> Sequence[tuple[Any, Any]] | None:
    """What is left to compare of two values; None when they differ at once."""
    if isinstance(one, Mapping):
        if not isinstance(other, Mapping) or one.keys() != other.keys():
            return None
        return [(value, other[name]) for name, value in one.items()]
    if isinstance(one, list | tuple):
        if not isinstance(other, list | tuple) or len(one) != len(other):
            return None
        return list(zip(one, other, strict=True))
    if _is_number(one):
        equal = _is_number(other) and _exact(one) == _exact(other)
    else:
        equal = type(one) is type(other) and bool(one == other)
    return () if equal else None


def _is_number(value: object) -> TypeGuard[ExactNumber | float]:
    return isinstance(value, int | Decimal | float | OutsizeNumber) and not isinstance(value, bool)


def _exact(number: ExactNumber | float) -> ExactNumber:
    return Decimal(repr(number)) if isinstance(number, float) else number
