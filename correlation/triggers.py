"""Triggers: which workflow an event of a name starts, with which input, and when.

A trigger's input is made of paths into the payload, of the event's own fields and of constants;
its conditions (`where`) are paths with the values that are accepted there. Both are compiled once
and then only walked, as derivation paths are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from pointsman.contract import MAX_EVENT_NAME_BYTES, MAX_TENANT_BYTES

from .event import EventName, JsonScalar, TenantId
from .exact_number import OutsizeNumber
from .path import DerivationPath, PathError, check_spelling
from .trigger_input import (
    MAX_MEMBERS,
    Fault,
    InputMapping,
    checked,
    compile_input,
    input_definition,
    path_of,
)

MAX_TEMPORAL_NAME_BYTES: Final = 1000
"""Temporal's default limit for workflow types and task queues."""
MAX_DIGITS: Final = 1000
"""Of a number that stands in a definition, exponent included."""
_TRIGGER_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_KNOWN: Final = (
    "tenant",
    "event",
    "workflow",
    "task_queue",
    "input",
    "where",
    "only_without_wait",
    "enabled",
    "namespace",
)


class TriggersError(ValueError):
    """Triggers that cannot be used: every fault with its trigger, field and fix.

    `source` says where they came from (a file), if that is known.
    """

    def __init__(self, errors: Sequence[str], *, source: str | None = None) -> None:
        self.errors: tuple[str, ...] = tuple(errors)
        self.source = source
        heading = f"{source}: " if source else ""
        super().__init__(heading + "; ".join(self.errors))


@dataclass(frozen=True, slots=True)
class Condition:
    """A path at which one of the accepted values has to stand."""

    path: DerivationPath
    accepted: tuple[JsonScalar | float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """An event of this name starts a workflow of this type."""

    tenant: TenantId
    trigger_id: str
    event_name: EventName
    workflow_type: str
    task_queue: str
    input: InputMapping = field(default_factory=InputMapping)
    where: tuple[Condition, ...] = ()
    only_without_wait: bool = False
    """Start or resume: it launches only when no wait took the event as it came."""
    enabled: bool = True
    namespace: str | None = None
    """Temporal namespace to launch in; None: the first one that is served."""


def compile_triggers(document: object) -> tuple[Trigger, ...]:
    """Compile a file's `{tenant?, triggers: {id: definition}}`; raises TriggersError.

    The file's `tenant` stands for every trigger that names none of its own.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("triggers"), Mapping):
        raise TriggersError(
            ["the file needs a table `triggers` with one entry per trigger: [triggers.onboarding]"]
        )
    faults = [
        f"{name}: unknown; the file holds `tenant` and `triggers` only"
        for name in document
        if name not in {"tenant", "triggers"}
    ]
    triggers: list[Trigger] = []
    for trigger_id, definition in document["triggers"].items():
        try:
            triggers.append(compile_trigger(trigger_id, definition, document.get("tenant")))
        except TriggersError as error:
            faults.extend(f"{trigger_id}: {fault}" for fault in error.errors)
    if faults:
        raise TriggersError(faults)
    return tuple(triggers)


def compile_trigger(
    trigger_id: object, definition: object, tenant: object = None, *, stored: bool = False
) -> Trigger:
    """Compile one definition; raises TriggersError whose errors begin with the field.

    One that is `stored` was checked by the release that stored it, and stays in force.
    """
    faults: list[str] = []
    if not isinstance(trigger_id, str) or not _TRIGGER_ID.fullmatch(trigger_id):
        faults.append(
            "id: must be 1 to 100 ASCII letters, digits, '.', '_' and '-', beginning with a "
            "letter or digit; rename the trigger"
        )
    if not isinstance(definition, Mapping):
        raise TriggersError([*faults, "must be a table with event, workflow and task_queue"])
    known = ", ".join(_KNOWN)
    faults += [
        f"{name!s:.80}: unknown; known are {known}" for name in definition if name not in _KNOWN
    ]
    read = _Reader({"tenant": tenant, **definition}, faults)
    mapping, wrong = compile_input(definition.get("input"))
    faults += wrong
    trigger = Trigger(
        tenant=TenantId(read.text("tenant", MAX_TENANT_BYTES)),
        trigger_id=str(trigger_id),
        event_name=EventName(read.text("event", MAX_EVENT_NAME_BYTES)),
        workflow_type=read.text("workflow", MAX_TEMPORAL_NAME_BYTES),
        task_queue=read.text("task_queue", MAX_TEMPORAL_NAME_BYTES),
        input=mapping,
        where=tuple(condition for _, condition in read.members("where", _condition)),
        only_without_wait=read.flag("only_without_wait", default=False),
        enabled=read.flag("enabled", default=True),
        namespace=read.optional_text("namespace", MAX_TEMPORAL_NAME_BYTES),
    )
    if not stored:
        faults += [*_unstorable(trigger), *_misspelt(trigger)]
    if faults:
        raise TriggersError(faults)
    return trigger


def _unstorable(trigger: Trigger) -> Iterator[str]:
    """Numbers that a definition cannot hold: it is kept as jsonb, which writes exponents out."""
    fault = f"a number has more than {MAX_DIGITS} digits; write it as a text in quotes"
    definition = input_definition(trigger.input)
    if isinstance(definition, dict):
        for name, source in definition.items():
            if _is_outsize(source):
                yield f"input.{name:.200}: {fault}"
    for condition in trigger.where:
        if _is_outsize(condition.accepted):
            yield f"where.{condition.path.text:.200}: {fault}"


def definition_of(trigger: Trigger) -> dict[str, Any]:
    """The definition that compiles to the trigger, without its id and tenant."""
    return {
        "event": trigger.event_name,
        "workflow": trigger.workflow_type,
        "task_queue": trigger.task_queue,
        "input": input_definition(trigger.input),
        "where": where_definition(trigger.where),
        "only_without_wait": trigger.only_without_wait,
        "enabled": trigger.enabled,
        **({"namespace": trigger.namespace} if trigger.namespace is not None else {}),
    }


def where_definition(where: Sequence[Condition]) -> dict[str, list[Any]]:
    """The conditions as they were written."""
    return {condition.path.text: list(condition.accepted) for condition in where}


class _Reader:
    """Reads a definition's fields and collects what is wrong with them."""

    def __init__(self, definition: Mapping[str, Any], faults: list[str]) -> None:
        self._definition = definition
        self._faults = faults

    def text(self, name: str, longest: int) -> str:
        value = self._definition.get(name)
        if value is None:
            self._faults.append(f"{name}: missing; add it")
        elif not isinstance(value, str) or not value.strip():
            self._faults.append(f"{name}: must be a text that is not blank")
        elif any(ord(c) < 0x20 or ord(c) == 0x7F or "\ud800" <= c <= "\udfff" for c in value):
            self._faults.append(f"{name}: holds a control character or half a surrogate pair")
        elif len(value.strip().encode()) > longest:
            self._faults.append(f"{name}: is longer than {longest} bytes of UTF-8; shorten it")
        else:
            return value.strip()
        return ""

    def optional_text(self, name: str, longest: int) -> str | None:
        return None if self._definition.get(name) is None else self.text(name, longest)

    def flag(self, name: str, *, default: bool) -> bool:
        value = self._definition.get(name, default)
        if not isinstance(value, bool):
            self._faults.append(f"{name}: must be true or false, without quotes")
            return default
        return value

    def members(self, name: str, compiled: Callable[[str, Any], Any]) -> Iterator[tuple[str, Any]]:
        table = self._definition.get(name)
        if table is None or table == {}:
            return
        if not isinstance(table, Mapping) or not all(isinstance(key, str) for key in table):
            self._faults.append(f"{name}: must be a table; leave it out to do without")
            return
        if len(table) > MAX_MEMBERS:
            self._faults.append(f"{name}: holds more than {MAX_MEMBERS} members")
            return
        for member, value in table.items():
            try:
                yield member, compiled(member, value)
            except Fault as fault:
                self._faults.append(f"{name}.{member:.200}: {fault}")


def _condition(member: str, value: Any) -> Condition:
    accepted = value if isinstance(value, list | tuple) else [value]
    if not accepted:
        raise Fault("accepts nothing: list at least one value")
    for one in accepted:
        if not isinstance(checked(one), str | int | float | Decimal | OutsizeNumber | None):
            raise Fault("compares with texts, numbers, true, false and null only")
    return Condition(path_of(member), tuple(accepted))


def _misspelt(trigger: Trigger) -> Iterator[str]:
    """Paths in a notation that is not read."""
    definition = input_definition(trigger.input)
    members = definition if isinstance(definition, dict) else {}
    paths = {f"input.{name:.200}": source.get("path") for name, source in members.items()}
    paths |= {f"where.{each.path.text:.200}": each.path.text for each in trigger.where}
    for place, path in paths.items():
        if isinstance(path, str) and not path.startswith("$"):
            try:
                check_spelling(path)
            except PathError as error:
                yield f"{place}: {error}"


def _is_outsize(value: Any) -> bool:
    match value:
        case OutsizeNumber():
            return True
        case Decimal():
            return abs(value.adjusted()) > MAX_DIGITS
        case int():
            return not -(10**MAX_DIGITS) < value < 10**MAX_DIGITS
        case list() | tuple():
            return any(map(_is_outsize, value))
        case Mapping():
            return any(map(_is_outsize, value.values()))
        case _:
            return False
