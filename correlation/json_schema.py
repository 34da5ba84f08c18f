"""JSON Schemas that others wrote: compiled without fetching anything, and what does not fit them.

Patterns take linear time, and no fault quotes a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

LONGEST_FAULT = 300


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
        return "$" + "".join(steps)


def compiled_schema(schema: Any) -> jsonschema_rs.Validator:
    """Compile a decoded schema; raises SchemaUnusable."""
    try:
        return jsonschema_rs.validator_for(
            schema,
            retriever=_refuse,
            mask="the value",
            pattern_options=jsonschema_rs.RegexOptions(),
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise SchemaUnusable(_first_line(error)) from None


def schema_faults(validator: jsonschema_rs.Validator, value: Any) -> Iterator[Misfit]:
    """What in a value does not fit; never raises for JSON values."""
    for error in validator.iter_errors(value):
        missing = getattr(error.kind, "property", None)
        yield Misfit(tuple(error.instance_path), _first_line(error), missing)


def _refuse(uri: str) -> Any:
    raise ValueError(f"schemas are not fetched; copy {uri} into the schema")


def _first_line(error: Exception) -> str:
    text = error.message if isinstance(error, jsonschema_rs.ValidationError) else str(error)
    return text.splitlines()[0][:LONGEST_FAULT] if text else type(error).__name__
