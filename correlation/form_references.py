"""References within a task's form: followed, and kept from growing it without bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

MOST_PARTS: Final = 5_000
"""Schemas that a form may have when every reference is replaced by what it refers to."""

_OF_SCHEMAS: Final = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
)
"""Keywords whose members are schemas, whatever their names."""
_DATA: Final = frozenset({"const", "default", "enum", "examples"})
_ELSEWHERE: Final = frozenset({"$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$anchor"})


class ReferenceUnusable(ValueError):
    """A reference that is not followed; says why, and the fix."""


def check_references(form: Mapping[str, Any]) -> None:
    """Raise ReferenceUnusable unless every reference leads within the form, and to an end."""
    sizes: dict[str, int] = {}
    if _size(form, form, sizes, ()) > MOST_PARTS:
        raise ReferenceUnusable(
            f"the form's references make more than {MOST_PARTS} parts of it: use fewer"
        )


def followed(form: Mapping[str, Any], part: Any) -> Mapping[str, Any]:
    """A part with what it refers to; members beside the reference come first."""
    seen: set[str] = set()
    while isinstance(part, Mapping) and isinstance(reference := part.get("$ref"), str):
        if reference in seen:
            return {}
        seen.add(reference)
        beside = {name: value for name, value in part.items() if name != "$ref"}
        target = _target(form, reference)
        part = {**target, **beside} if isinstance(target, Mapping) else beside
    return part if isinstance(part, Mapping) else {}


def _size(
    form: Mapping[str, Any], part: Any, sizes: dict[str, int], within: tuple[str, ...]
) -> int:
    if not isinstance(part, Mapping):
        return 1
    if strange := sorted(_ELSEWHERE & part.keys()):
        raise ReferenceUnusable(
            f"the form holds a reference ({strange[0]}) that leads elsewhere: write "
            '"$ref": "#/$defs/…"'
        )
    size = 1 + sum(_size(form, below, sizes, within) for below in _parts(part))
    reference = part.get("$ref")
    if isinstance(reference, str):
        size += _size_of_target(form, reference, sizes, within)
    return min(size, MOST_PARTS + 1)


def _size_of_target(
    form: Mapping[str, Any], reference: str, sizes: dict[str, int], within: tuple[str, ...]
) -> int:
    if "$id" in form:
        raise ReferenceUnusable("the form holds a reference beside an $id: take the $id out")
    if reference in within:
        raise ReferenceUnusable(f"the reference {reference!r:.100} leads back to itself")
    if reference not in sizes:
        target = _target(form, reference)
        sizes[reference] = _size(form, target, sizes, (*within, reference))
    return sizes[reference]


def _parts(part: Mapping[str, Any]) -> Iterator[Any]:
    for name, value in part.items():
        if name in _OF_SCHEMAS and isinstance(value, Mapping):
            yield from value.values()
        elif name in _DATA:
            continue
        elif isinstance(value, Mapping):
            yield value
        elif isinstance(value, list | tuple):
            yield from value


def _target(form: Mapping[str, Any], reference: str) -> Any:
    if not reference.startswith("#/"):
        raise ReferenceUnusable(
            f"the form holds a reference ($ref) to {reference!r:.100}: only places within the form "
            'can be referred to, such as "#/$defs/Colour"'
        )
    place: Any = form
    for step in reference[2:].split("/"):
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(place, Mapping) and name in place:
            place = place[name]
        elif isinstance(place, list) and name.isascii() and name.isdigit():
            place = place[int(name)] if int(name) < len(place) else None
        else:
            place = None
        if place is None:
            raise ReferenceUnusable(f"the reference {reference!r:.100} leads nowhere in the form")
    return place
