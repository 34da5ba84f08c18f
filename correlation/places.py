"""Every place that could have held an event's key, in the order of reading, and what stood there.

`correlation.resolution` decides; this tells the same story place by place. A test holds the two
together: the keys found here are those that it resolves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, assert_never

from .event import Event
from .key import CanonicalKey, CorrelationKey, NoValue, RefusedKey, canonical_key
from .path import ABSENT, DerivationPath, read_all, read_one
from .reason import Reason
from .resolution import ENVELOPE_KEY, MAX_PLACES_VISITED
from .rules import Rules

IN_PAYLOAD: Final = ("workflowCorrelationKey", "correlationKey")
MOST_KEYS_SHOWN: Final = 10
MOST_SCALARS: Final = 500
DEEPEST: Final = 12


@dataclass(frozen=True, slots=True)
class PlaceRead:
    """One place, and what was found there; never a value that is no key."""

    place: str
    """`event.workflow_correlation_key`, `payload.correlationKey`, `INVOICE_PAID: invoice.id`, …"""
    found: str
    """`key`, `nothing`, `blank`, a reason such as `not_scalar`, or `not_read`."""
    keys: tuple[CorrelationKey, ...] = ()
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value somewhere in a payload that could be a key."""

    path: str
    """As a derivation path would be written."""
    key: CorrelationKey


def places_of(event: Event, rules: Rules) -> tuple[PlaceRead, ...]:
    """All places; those behind the one that decided are `not_read`."""
    decided = False
    places: list[PlaceRead] = []
    for place, value in _explicit(event):
        if decided:
            places.append(PlaceRead(place, "not_read"))
            continue
        read = _read(place, [value])
        # A refused explicit key ends the search; one that is absent, blank or no scalar does not.
        decided = read.found not in {"nothing", "blank", Reason.NOT_SCALAR}
        places.append(read)
    for path in rules.paths_for(event.name):
        if decided:
            places.append(PlaceRead(path.label, "not_read"))
        else:
            places.append(_read_path(path, event.payload.value))
    return tuple(places)


def scalars_of(payload: Mapping[str, Any]) -> Iterator[Scalar]:
    """The values in a payload that could be keys, at most 500, with the path to each."""
    waiting: list[tuple[str, Any, int]] = [("$", payload, 0)]
    seen = 0
    while waiting and seen < MOST_SCALARS:
        path, value, depth = waiting.pop()
        if isinstance(value, Mapping):
            if depth < DEEPEST:
                members = [(f"{path}{_member(n)}", v, depth + 1) for n, v in value.items()]
                waiting.extend(reversed(members))
            continue
        if isinstance(value, list):
            if depth < DEEPEST:
                waiting.extend((f"{path}[*]", inner, depth + 1) for inner in value[:MOST_SCALARS])
            continue
        seen += 1
        reading = canonical_key(value)
        if isinstance(reading, CanonicalKey) and not isinstance(value, bool):
            yield Scalar(path, reading.key)


def _explicit(event: Event) -> Iterator[tuple[str, object]]:
    yield ENVELOPE_KEY, ABSENT if event.explicit_key is None else event.explicit_key
    for name in IN_PAYLOAD:
        yield f"payload.{name}", event.payload.value.get(name, ABSENT)


def _read_path(path: DerivationPath, payload: Mapping[str, Any]) -> PlaceRead:
    if not path.branches:
        return _read(path.label, [read_one(path, payload)])
    reached = read_all(path, payload, MAX_PLACES_VISITED)
    if reached is None:
        detail = f"leads through more than {MAX_PLACES_VISITED} places"
        return PlaceRead(path.label, Reason.TOO_MANY_KEYS, detail=detail)
    return _read(path.label, reached[0] or [ABSENT])


def _read(place: str, values: list[object]) -> PlaceRead:
    keys: dict[CorrelationKey, None] = {}
    refused: RefusedKey | None = None
    blank = False
    for value in values:
        if value is ABSENT:
            continue
        reading = canonical_key(value)
        match reading:
            case CanonicalKey():
                keys[reading.key] = None
            case NoValue():
                blank = True
            case RefusedKey():
                refused = refused or reading
            case _:
                assert_never(reading)
    detail = None if refused is None else refused.detail
    if keys:
        shown = tuple(keys)[:MOST_KEYS_SHOWN]
        more = f"{len(keys)} keys in all" if len(keys) > len(shown) else None
        return PlaceRead(place, "key", shown, more or detail)
    if refused is not None:
        return PlaceRead(place, refused.reason.value, detail=detail)
    return PlaceRead(place, "blank" if blank else "nothing")


def _member(name: str) -> str:
    if name.replace("_", "").isalnum() and name.isascii():
        return f".{name}"
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{escaped}']"
