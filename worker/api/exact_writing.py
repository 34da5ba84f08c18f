"""What the API's records look like in JSON; the writing itself is `correlation.exact_writing`'s."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from correlation import exact_writing


def write_json(value: Any) -> str:
    """JSON text of plain values, mappings, sequences and dataclasses.

    Numbers are written digit for digit, moments as RFC 3339 in UTC, durations in seconds.
    """
    return exact_writing.write_json(value, _plain)


def as_mapping(record: Any) -> dict[str, Any]:
    """A dataclass instance as name → value, one level deep."""
    return {part.name: getattr(record, part.name) for part in fields(record)}


def rfc3339(moment: datetime) -> str:
    """A moment in UTC, to the microsecond."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    match value:
        case Enum():
            return value.value
        case datetime():
            return rfc3339(value)
        case timedelta():
            return value.total_seconds()
        case set() | frozenset():
            return list(value)
        case _ if is_dataclass(value):
            return as_mapping(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form")
