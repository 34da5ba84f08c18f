"""JSON of plain values with numbers as exact as they were read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

MAX_DEPTH: Final = 100


def exact_json(value: Any) -> str:
    """JSON text; Decimals are written digit for digit. Raises TypeError for anything else."""
    match value:
        case str() | bool() | float() | None:
            return json.dumps(value, ensure_ascii=False)
        case int():
            return str(value)
        case Decimal():
            return format(value)
        case Mapping():
            inner = (
                f"{json.dumps(str(name), ensure_ascii=False)}: {exact_json(part)}"
                for name, part in value.items()
            )
            return f"{{{', '.join(inner)}}}"
        case list() | tuple():
            return f"[{', '.join(map(exact_json, value))}]"
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form")


def read_exact(text: str) -> Any:
    """The value of a JSON text, never through a float. Raises ValueError."""
    return json.loads(text, parse_float=Decimal)


def json_fault(value: Any, depth: int = 0) -> str | None:
    """Why a value cannot stand in JSON that Postgres and Temporal are to carry; None: it can."""
    if depth > MAX_DEPTH:
        return "is nested too deeply"
    match value:
        case bool() | None:
            return None
        case int() | Decimal() | float():
            return None if math.isfinite(value) else "is not a finite number"
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
