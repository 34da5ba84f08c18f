"""What a trigger makes of an event: the workflow's input, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from .event import Event
from .exact_equality import equal_json
from .exact_writing import exact_json
from .path import ABSENT, Absent, DerivationPath, read_all, read_one
from .reason import Reason
from .trigger_input import (
    Constant,
    EventField,
    FromEvent,
    FromPath,
    InputMapping,
    Members,
    Source,
)
from .triggers import Condition

MAX_PLACES: Final = 10_000
"""Places of a payload that one branching path may lead through."""


@dataclass(frozen=True, slots=True)
class Launching:
    """The trigger launches a workflow."""

    input_text: str | None
    """The workflow's argument as JSON; None stands for the whole event."""


@dataclass(frozen=True, slots=True)
class NotLaunching:
    """The trigger was considered and launches nothing."""

    reason: Reason
    detail: str


Decision: TypeAlias = Launching | NotLaunching


def decide(
    event: Event, key: str | None, mapping: InputMapping, where: Sequence[Condition]
) -> Decision:
    """Whether an event meets a trigger's conditions and, if so, the input it gives."""
    for condition in where:
        found = _found(condition.path, event.payload.value)
        if isinstance(found, Absent):
            return _refused(f"{condition.path.text}: nothing stands there")
        if not any(equal_json(one, accepted) for one in found for accepted in condition.accepted):
            return _refused(f"{condition.path.text}: none of the accepted values stands there")
    if mapping.source is None:
        return Launching(None)
    made = _value(mapping.source, event, key)
    return Launching(exact_json(None if made is ABSENT else made))


def _refused(detail: str) -> NotLaunching:
    return NotLaunching(Reason.FILTER_REFUSED, detail)


def _value(source: Source, event: Event, key: str | None) -> Any | Absent:
    match source:
        case Constant(value):
            return value
        case FromEvent(field=field):
            return _field(field, event, key)
        case Members(members):
            values = {name: _value(part, event, key) for name, part in members.items()}
            return {name: value for name, value in values.items() if value is not ABSENT}
        case FromPath(path, default):
            found = _found(path, event.payload.value)
            if isinstance(found, Absent):
                return default
            return list(found) if path.branches else found[0]


def _field(field: EventField, event: Event, key: str | None) -> str | None:
    match field:
        case EventField.ID:
            return event.event_id
        case EventField.NAME:
            return event.name
        case EventField.TENANT:
            return event.tenant
        case EventField.KEY:
            return key
        case EventField.OCCURRED_AT:
            return None if event.occurred_at is None else event.occurred_at.isoformat()


def _found(path: DerivationPath, payload: Mapping[str, Any]) -> Sequence[Any] | Absent:
    """What stands at a path; ABSENT also where the path leads through too many places."""
    if not path.branches:
        one = read_one(path, payload)
        return ABSENT if one is ABSENT else [one]
    several = read_all(path, payload, MAX_PLACES)
    return ABSENT if several is None or not several[0] else several[0]
