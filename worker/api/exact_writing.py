"""Writing JSON without losing anything: numbers as exact as they were read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any


def write_json(value: Any) -> str:
    """JSON text of plain values, mappings, sequences and dataclasses.

    Decimals are written digit for digit, moments as RFC 3339 in UTC, durations in seconds. Nesting
    is bounded by what the payload's reader lets through.
    """
    match value:
        case None | bool():
            return json.dumps(value)
        case Enum():
            return write_json(value.value)
        case str() | int():
            return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
        case Decimal():
            return format(value) if value.is_finite() else "null"
        case float():
            return json.dumps(value)
        case datetime():
            return json.dumps(rfc3339(value))
        case timedelta():
            return json.dumps(value.total_seconds())
        case Mapping():
            inner = (f"{json.dumps(str(name))}:{write_json(part)}" for name, part in value.items())
            return f"{{{','.join(inner)}}}"
        case list() | tuple() | set() | frozenset():
            return f"[{','.join(map(write_json, value))}]"
        case _ if is_dataclass(value):
            return write_json(as_mapping(value))
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form")


def as_mapping(record: Any) -> dict[str, Any]:
    """A dataclass instance as name → value, one level deep."""
    return {part.name: getattr(record, part.name) for part in fields(record)}


def rfc3339(moment: datetime) -> str:
    """A moment in UTC, to the microsecond."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
