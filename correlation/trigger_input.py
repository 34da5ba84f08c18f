r"""The input of a trigger's workflow: an object made of paths, event fields and constants.

Members may be nested, and a dotted name (`ticket.id`) stands for a member within a member; a dot
that belongs to the name is written `\.`. The text `$` is the whole payload, as a member's value
or in the place of the whole input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from .exact_writing import json_fault
from .path import ABSENT, Absent, DerivationPath, PathError, compile_path

MAX_MEMBERS: Final = 256
MAX_DEPTH: Final = 16
WHOLE: Final = "$"
_LEAF_NAMES: Final = frozenset({"path", "event", "value"})
_DOT: Final = re.compile(r"\\[\\.]|\.")
_HINT: Final = (
    'write {path = "…"}, {event = "…"}, {value = …}, a path that begins with "$", or a table'
)
_NO_TABLE: Final = f'input: must be a table, or "{WHOLE}" for the whole payload'


class EventField(StrEnum):
    """What of an event besides its payload an input may hold."""

    ID = "id"
    NAME = "name"
    TENANT = "tenant"
    KEY = "key"
    """The primary correlation key; null while the event is unresolved."""
    OCCURRED_AT = "occurred_at"


@dataclass(frozen=True, slots=True)
class FromPath:
    """What stands at a path of the payload; a list when the path branches."""

    path: DerivationPath
    default: Any | Absent = ABSENT
    """Stands in where nothing does; without it the member is left out."""


@dataclass(frozen=True, slots=True)
class FromEvent:
    """One of the event's own fields."""

    field: EventField


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same JSON value."""

    value: Any


@dataclass(frozen=True, slots=True)
class Members:
    """An object, by its members."""

    members: Mapping[str, Source]


Source: TypeAlias = FromPath | FromEvent | Constant | Members


@dataclass(frozen=True, slots=True)
class InputMapping:
    """How the workflow's one argument is made; without a source it is the whole event."""

    source: Members | FromPath | None = None


class Fault(ValueError):
    """What is wrong with one member, and the fix; `place` names the member within its table."""

    def __init__(self, problem: str, place: str = "") -> None:
        super().__init__(problem)
        self.place = place


def compile_input(definition: Any) -> tuple[InputMapping, list[str]]:
    """The mapping, and every fault with its place below `input`."""
    if definition is None or definition == {}:
        return InputMapping(), []
    if isinstance(definition, str):
        return _whole(definition)
    if not isinstance(definition, Mapping):
        return InputMapping(), [_NO_TABLE]
    reader = _InputReader()
    tree = reader.read(definition, "input", 1)
    return InputMapping(_frozen(tree)), reader.faults


def _whole(text: str) -> tuple[InputMapping, list[str]]:
    if not text.strip().startswith(WHOLE):
        return InputMapping(), [_NO_TABLE]
    try:
        return InputMapping(FromPath(_root_path(text))), []
    except Fault as fault:
        return InputMapping(), [f"input: {fault}"]


def input_definition(mapping: InputMapping) -> dict[str, dict[str, Any]] | str:
    """The mapping as it can be written: flat, with dotted names."""
    match mapping.source:
        case None:
            return {}
        case FromPath(path):
            return path.text
        case Members() as members:
            return dict(_flat(members, ""))


def checked(value: Any) -> Any:
    """A constant; raises Fault."""
    if fault := json_fault(value):
        raise Fault(f"the value {fault}; write another (a time as a text in quotes)")
    return value


def path_of(text: object) -> DerivationPath:
    """A path, in whatever spelling a stored definition may have it; raises Fault."""
    if not isinstance(text, str):
        raise Fault("a path must be a text; put it in quotes")
    try:
        return compile_path(text, rule="trigger", stored=True)
    except PathError as error:
        raise Fault(f"{text!r:.200}: {error}") from None


def _root_path(text: str) -> DerivationPath:
    if text.strip() == WHOLE:
        return DerivationPath("trigger", WHOLE, ())
    if not text.strip().startswith(WHOLE):
        raise Fault(_HINT)
    return path_of(text)


_Tree: TypeAlias = "dict[str, FromPath | FromEvent | Constant | _Tree]"


class _InputReader:
    """Reads members into a tree, and collects what is wrong with them."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._count = 0

    def read(self, table: Mapping[Any, Any], place: str, depth: int) -> _Tree:
        tree: _Tree = {}
        for name, value in table.items():
            self._count += 1
            if self._count == MAX_MEMBERS + 1:
                self.faults.append(f"input: holds more than {MAX_MEMBERS} members")
            if self._count > MAX_MEMBERS:
                break
            try:
                steps = _steps(name)
                if depth + len(steps) > MAX_DEPTH:
                    raise Fault(f"is nested more than {MAX_DEPTH} levels deep; flatten it")
                source = self._source(value, f"{place}.{name:.200}", depth + len(steps))
                _put(tree, steps, source)
            except Fault as fault:
                self.faults.append(f"{place}.{name!s:.200}: {fault}")
        return tree

    def _source(
        self, value: Any, place: str, depth: int
    ) -> FromPath | FromEvent | Constant | _Tree:
        if isinstance(value, str):
            return FromPath(_root_path(value))
        if not isinstance(value, Mapping):
            raise Fault(_HINT)
        if not value or _is_leaf(value):
            return _leaf(value)
        return self.read(value, place, depth)


def _is_leaf(value: Mapping[Any, Any]) -> bool:
    """Whether the table says where a value comes from. `value` always does; `path` and `event` do
    not when a table stands there, which is then a member of that name.
    """
    named = _LEAF_NAMES & value.keys()
    return "value" in named or any(not isinstance(value[name], Mapping) for name in named)


def _leaf(value: Mapping[Any, Any]) -> FromPath | FromEvent | Constant:
    match dict(value):
        case {"path": path, **rest} if set(rest) <= {"default"}:
            default = rest.get("default", ABSENT)
            at = _root_path(path) if path == WHOLE else path_of(path)
            return FromPath(at, default if default is ABSENT else checked(default))
        case {"event": name, **rest} if not rest:
            if name not in [one.value for one in EventField]:
                raise Fault(f"event must be one of {', '.join(EventField)}")
            return FromEvent(EventField(name))
        case {"value": constant, **rest} if not rest:
            return Constant(checked(constant))
        case _:
            raise Fault(
                "needs exactly one of path (with or without default), event and value; a member "
                "that has one of these names is written with a dot before it (a.value)"
            )


def _steps(name: object) -> list[str]:
    """The members that a dotted name leads through."""
    if not isinstance(name, str):
        raise Fault("a member's name must be a text; put it in quotes")
    if fault := json_fault(name):
        raise Fault(f"the member's name {fault}; change it")
    steps, start = [""], 0
    for found in _DOT.finditer(name):
        steps[-1] += name[start : found.start()]
        start = found.end()
        if found.group() == ".":
            steps.append("")
        else:
            steps[-1] += found.group()[1]
    steps[-1] += name[start:]
    if len(steps) > 1 and not all(steps):
        raise Fault(
            'a name between two dots is empty; a dot that belongs to a name is written "\\\\."'
        )
    return steps


def _put(tree: _Tree, steps: list[str], source: FromPath | FromEvent | Constant | _Tree) -> None:
    *above, last = steps
    for step in above:
        below = tree.setdefault(step, {})
        if not isinstance(below, dict):
            raise Fault(f"{step!r} is given a value of its own already; take one of them out")
        tree = below
    known = tree.setdefault(last, source)
    if known is source:
        return
    if not isinstance(known, dict) or not isinstance(source, dict):
        raise Fault("is given twice; take one of them out")
    for name, part in source.items():
        _put(known, [name], part)


def _frozen(tree: _Tree) -> Members:
    return Members(
        {
            name: _frozen(source) if isinstance(source, dict) else source
            for name, source in tree.items()
        }
    )


def _flat(members: Members, before: str) -> list[tuple[str, dict[str, Any]]]:
    written: list[tuple[str, dict[str, Any]]] = []
    for name, source in members.members.items():
        place = before + name.replace("\\", "\\\\").replace(".", "\\.")
        if isinstance(source, Members):
            written += _flat(source, f"{place}.")
        else:
            written.append((place, _written(source)))
    return written


def _written(source: FromPath | FromEvent | Constant) -> dict[str, Any]:
    match source:
        case FromPath(path, default):
            written: dict[str, Any] = {"path": path.text}
            return written if isinstance(default, Absent) else {**written, "default": default}
        case FromEvent(field=event_field):
            return {"event": event_field.value}
        case Constant(value):
            return {"value": value}
