"""Triggers as they may be shown: their constants may be secrets, as a payload's members may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from routing.triggers import TriggerLine
from worker.redaction import HIDDEN, Redaction

CONSTANTS: Final = frozenset({"value", "default"})


def without_secrets(line: TriggerLine, hiding: Redaction) -> TriggerLine:
    """The trigger without the constants of its input, and of its conditions, that are secret."""
    where = {
        path: [HIDDEN] if hiding.hides(path) else hiding.value(values)
        for path, values in line.where.items()
    }
    if not isinstance(line.input, Mapping):
        return replace(line, where=where)
    members = {name: _member(name, source, hiding) for name, source in line.input.items()}
    return replace(line, where=where, input=members)


def _member(name: str, source: Any, hiding: Redaction) -> Any:
    """Where the member's value comes from stays visible; the value itself does not."""
    if not isinstance(source, Mapping):
        return HIDDEN if hiding.hides(name) else hiding.value(source)
    if not hiding.hides(name):
        return hiding.value(source)
    return {part: HIDDEN if part in CONSTANTS else value for part, value in source.items()}


def is_hidden(value: Any) -> bool:
    """Whether what stands for a hidden constant stands in a definition, at any depth."""
    match value:
        case Mapping():
            return any(map(is_hidden, value.values()))
        case list() | tuple():
            return any(map(is_hidden, value))
        case _:
            return bool(value == HIDDEN)
