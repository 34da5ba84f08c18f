"""JSON Schemas that others wrote: compiled without fetching anything, and what does not fit them.

Patterns take linear time, and no fault quotes a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any, Final

import jsonschema_rs

from .exact_number import OutsizeNumber
from .schema_weight import PatternTooCostly, check_patterns, pattern_options

LONGEST_FAULT: Final = 300
LONG: Final = 1000
"""Digits of an integer, far below those that Python refuses to write out."""

_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


class SchemaUnusable(ValueError):
    """It is no JSON Schema, or one that would have to be fetched; says why."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """One place where a value is not what its schema asks for."""

    path: tuple[str | int, ...]
    problem: str
    missing: str | None = None
    """The member that should stand there and does not."""

    @property
    def place(self) -> str:
        """The path as a text: `$`, `$.lines[0].id`."""
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        # Postgres stores no NUL, and a member's name may hold one.
        return f"${''.join(steps)}".replace("\0", "\\0")


def compiled_schema(schema: Any, *, formats: bool | None = None) -> jsonschema_rs.Validator:
    """Compile a decoded schema; raises SchemaUnusable, also when its patterns are too large.

    `formats` says whether a date or an e-mail address has to be one; None leaves it to the draft.
    """
    checkable = _checkable(schema)
    try:
        check_patterns(checkable)
        return jsonschema_rs.validator_for(
            checkable,
            retriever=_refuse,
            validate_formats=formats,
            mask="the value",
            pattern_options=pattern_options(),
        )
    except PatternTooCostly as error:
        raise SchemaUnusable(str(error)) from None
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise SchemaUnusable(_first_line(error)) from None


def schema_faults(validator: jsonschema_rs.Validator, value: Any) -> Iterator[Misfit]:
    """What in a value does not fit; never raises for what `exact_reading` reads.

    The library finds every fault before it hands over the first: see `judging` for the bounds.
    """
    if fits(validator, value):
        return
    for error in validator.iter_errors(_checkable(value)):
        yield _misfit(error)


def first_fault(validator: jsonschema_rs.Validator, value: Any) -> Misfit | None:
    """The first place that does not fit; the others are not looked for."""
    try:
        validator.validate(_checkable(value))
    except jsonschema_rs.ValidationError as error:
        return _misfit(error)
    return None


def _misfit(error: jsonschema_rs.ValidationError) -> Misfit:
    missing = getattr(error.kind, "property", None)
    return Misfit(tuple(error.instance_path), _first_line(error), missing)


def fits(validator: jsonschema_rs.Validator, value: Any) -> bool:
    """Whether a value fits; False also where the library cannot take it as it is."""
    try:
        return validator.is_valid(value)
    except ValueError:
        return False


def _checkable(value: Any) -> Any:
    """The value with stand-ins for what the library cannot take, and nothing else changed.

    Half a surrogate pair becomes a question mark. An integer of more digits than Python writes out
    gains a fraction of zero, which makes no other number of it. A number beyond a `Decimal` is
    judged as the nearest one within.
    """
    match value:
        case str():
            return value if value.isascii() else value.encode("utf-8", "replace").decode()
        case OutsizeNumber():
            return value.nearest
        case Decimal() if value.adjusted() >= LONG and value.as_tuple().exponent == 0:
            return _EXACT.quantize(value, Decimal("0.1"))
        case Mapping():
            return {_checkable(name): _checkable(part) for name, part in value.items()}
        case list() | tuple():
            return [_checkable(part) for part in value]
        case _:
            return value


def _refuse(uri: str) -> Any:
    raise ValueError(f"schemas are not fetched; copy {uri} into the schema")


def _first_line(error: Exception) -> str:
    text = error.message if isinstance(error, jsonschema_rs.ValidationError) else str(error)
    lines = text.replace("\0", "\\0").splitlines()
    return lines[0][:LONGEST_FAULT] if lines else type(error).__name__
