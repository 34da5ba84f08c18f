"""How much work a JSON Schema makes, known before anything is compiled or judged by it.

The weight counts a schema's parts with every reference replaced by what it refers to; a value of
so many bytes costs at most its size times the weight. A schema that comes back to itself, or refers
to elsewhere, has no weight: what it costs depends on the value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

import jsonschema_rs

HEAVIEST: Final = 20_000
"""Heavier schemas count as this heavy."""
LARGEST_PATTERN: Final = 512 * 1024
"""Bytes of one compiled pattern; `.{1,255}` takes half of it."""
LARGEST_CACHE: Final = 1024 * 1024
"""Bytes that one pattern may use while it matches."""
LIGHT_PATTERN: Final = 64 * 1024
MOST_LARGE_PATTERNS: Final = 4
MOST_PATTERNS: Final = 100

_OF_SCHEMAS: Final = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
)
_ASIDE: Final = frozenset({"$defs", "definitions"})
"""Their members cost where they are referred to."""
_DATA: Final = frozenset({"const", "default", "enum", "examples"})
_ELSEWHERE: Final = frozenset({"$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$anchor", "$id"})
_WEIGHTS: Final = {"pattern": 20, "patternProperties": 20, "uniqueItems": 40, "format": 5}
"""Keywords that take longer than a comparison, by measurement."""


class PatternTooCostly(ValueError):
    """A pattern is too large when compiled, or there are too many; names the place."""


def weight_of(schema: Any) -> int | None:
    """The weight; None when what it costs depends on the value."""
    return _weight(schema, schema, {}, ())


def check_patterns(schema: Any) -> None:
    """Raise PatternTooCostly unless the patterns stay small when they are compiled.

    Each is compiled alone, within a limit of its size: what is refused costs what is allowed.
    """
    large = 0
    for number, (place, pattern) in enumerate(patterns_in(schema), start=1):
        if number > MOST_PATTERNS:
            raise PatternTooCostly(f"{place}: there are more than {MOST_PATTERNS} patterns")
        if _compiles(pattern, LIGHT_PATTERN):
            continue
        if not _compiles(pattern, LARGEST_PATTERN):
            raise PatternTooCostly(
                f"{place}: the pattern cannot be compiled, or is larger than {LARGEST_PATTERN} "
                "bytes when it is; use fewer repetitions such as {200}, and maxLength for lengths"
            )
        large += 1
        if large > MOST_LARGE_PATTERNS:
            raise PatternTooCostly(
                f"{place}: more than {MOST_LARGE_PATTERNS} patterns are larger than "
                f"{LIGHT_PATTERN} bytes when they are compiled"
            )


def pattern_options() -> jsonschema_rs.RegexOptions:
    """Patterns in linear time, and within their limits."""
    return jsonschema_rs.RegexOptions(size_limit=LARGEST_PATTERN, dfa_size_limit=LARGEST_CACHE)


def patterns_in(schema: Any) -> Iterator[tuple[str, str]]:
    """Every pattern with its place (`$.properties.name.pattern`), each text once."""
    seen: set[str] = set()
    parts: list[tuple[str, Any]] = [("$", schema)]
    while parts:
        place, part = parts.pop()
        if not isinstance(part, Mapping):
            continue
        for name, value in part.items():
            here = f"{place}.{name:.60}"
            if name == "pattern" and isinstance(value, str) and value not in seen:
                seen.add(value)
                yield here, value
            if name == "patternProperties" and isinstance(value, Mapping):
                for pattern in value:
                    if pattern not in seen:
                        seen.add(pattern)
                        yield f"{here}[{pattern!r:.60}]", pattern
        parts += _parts(place, part)


def _compiles(pattern: str, size: int) -> bool:
    options = jsonschema_rs.RegexOptions(size_limit=size, dfa_size_limit=LARGEST_CACHE)
    try:
        jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=options, mask="-")
    except (jsonschema_rs.ValidationError, ValueError):
        return False
    return True


def _weight(
    root: Any, part: Any, known: dict[str, int | None], within: tuple[str, ...]
) -> int | None:
    if not isinstance(part, Mapping):
        return 1
    if _ELSEWHERE & part.keys() and (part is not root or part.keys() & (_ELSEWHERE - {"$id"})):
        return None
    weight = 1 + sum(_WEIGHTS.get(name, 1) for name in part)
    if part.get("format") == "regex":
        return None  # what stands in the value would be compiled
    for name in ("enum", "required"):
        named = part.get(name)
        weight += len(named) // 8 if isinstance(named, list | tuple) else 0
    named = part.get("patternProperties")
    weight += 20 * len(named) if isinstance(named, Mapping) else 0
    used = {name: value for name, value in part.items() if name not in _ASIDE}
    for _, below in _parts("", used):
        below_weight = _weight(root, below, known, within)
        if below_weight is None:
            return None
        weight += below_weight
    reference = part.get("$ref")
    if isinstance(reference, str):
        target_weight = _weight_of_target(root, reference, known, within)
        if target_weight is None:
            return None
        weight += target_weight
    return min(weight, HEAVIEST)


def _weight_of_target(
    root: Any, reference: str, known: dict[str, int | None], within: tuple[str, ...]
) -> int | None:
    if reference in within or not reference.startswith("#/"):
        return None
    if reference not in known:
        target = _target(root, reference)
        known[reference] = _weight(root, target, known, (*within, reference))
    return known[reference]


def _parts(place: str, part: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in part.items():
        here = f"{place}.{name:.60}"
        if name in _DATA:
            continue
        if name in _OF_SCHEMAS and isinstance(value, Mapping):
            yield from ((f"{here}.{below:.60}", schema) for below, schema in value.items())
        elif isinstance(value, Mapping):
            yield here, value
        elif isinstance(value, list | tuple):
            yield from ((f"{here}[{number}]", schema) for number, schema in enumerate(value))


def _target(root: Any, reference: str) -> Any:
    place = root
    for step in reference[2:].split("/"):
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(place, Mapping):
            place = place.get(name)
        elif isinstance(place, list) and name.isascii() and name.isdigit():
            place = place[int(name)] if int(name) < len(place) else None
        else:
            return None
    return place
