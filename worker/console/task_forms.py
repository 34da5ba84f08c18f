"""A person's form from a task's JSON Schema, and the answer from what was filled in.

Members of plain types become fields, also where they may be null or refer to a part of the form;
anything else is asked for as JSON, and so is the whole answer where the form says nothing of its
members.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from correlation.exact_number import OutsizeNumber
from correlation.exact_reading import NotJson, read_json, read_stored
from correlation.exact_writing import exact_json
from worker.console.form_parts import Part, part_of

MOST_FIELDS: Final = 40
LONG_TEXT: Final = 200
PREFIX: Final = "answer."
WHOLE: Final = "answer"

Kind: TypeAlias = Literal[
    "text", "long", "number", "date", "datetime", "time", "email", "url", "choice", "json"
]
_WORDLESS: Final = frozenset({"type", "title", "description", "additionalProperties", "properties"})
"""A form of nothing else asks for no more than that the task is done."""
_TRUTH: Final = (("true", "yes"), ("false", "no"))
_WITHOUT_ZONE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)
_FORMATS: Final[Mapping[str, Kind]] = {
    "date": "date",
    "date-time": "datetime",
    "time": "time",
    "email": "email",
    "idn-email": "email",
    "uri": "url",
}


@dataclass(frozen=True, slots=True)
class FormField:
    """One thing to be filled in."""

    name: str
    """Of the form's field; `answer` where the whole answer is asked for."""
    label: str
    kind: Kind
    required: bool
    help: str = ""
    choices: Sequence[tuple[str, str]] = ()
    """JSON text and what people read."""
    integer: bool = False
    nullable: bool = False
    """Left empty, it is null where it is required."""
    initial: str = ""
    """What stands there at first: the form's default."""


def fields_of(form: str | None) -> Sequence[FormField]:
    """What to ask for. The form is one that was checked when its task was registered."""
    schema = {} if form is None else read_stored(form)
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not 0 < len(properties) <= MOST_FIELDS:
        if form is not None and schema.keys() <= _WORDLESS:
            return ()
        return (FormField(WHOLE, "Answer", "json", True, "a JSON object"),)
    required = schema.get("required", [])
    return [
        _field(name, part_of(schema, part), required=name in required)
        for name, part in properties.items()
    ]


def answer_of(form: str | None, filled_in: Mapping[str, str]) -> dict[str, Any]:
    """The answer; a field that is left empty is absent, or null where it must be there and may be.

    A text that is no number where one is asked for stays text, for the form to refuse. Raises
    ValueError on JSON that is none, and on a field that the form does not have.
    """
    answer: dict[str, Any] = {}
    fields = fields_of(form)
    _check_known(fields, filled_in)
    for field in fields:
        text = filled_in.get(field.name, "").strip()
        if field.name == WHOLE:
            return _object(text or "{}")
        name = field.name.removeprefix(PREFIX)
        if text:
            answer[name] = _value(field, text)
        elif field.required and field.nullable:
            answer[name] = None
    return answer


def _check_known(fields: Sequence[FormField], filled_in: Mapping[str, str]) -> None:
    known = {field.name for field in fields}
    for name in filled_in:
        if (name == WHOLE or name.startswith(PREFIX)) and name not in known:
            shown = name.removeprefix(PREFIX)
            raise ValueError(f"{shown:.80}: the form has no such field; load the page again")


def _field(name: str, part: Part, *, required: bool) -> FormField:
    kind = _kind(part)
    choices = _choices(part) if kind == "choice" else ()
    return FormField(
        f"{PREFIX}{name}",
        part.text("title") or name,
        kind,
        required,
        _help(part, kind),
        choices,
        part.schema.get("type") == "integer",
        part.nullable,
        _initial(part, kind, choices),
    )


def _help(part: Part, kind: Kind) -> str:
    about = part.text("description")
    if kind == "datetime":
        return f"{about} (UTC)" if about else "UTC"
    return about or ("such as 14:30:00Z" if kind == "time" else "")


def _kind(part: Part) -> Kind:
    if part.choices is not None or part.schema.get("type") == "boolean":
        return "choice"
    match part.schema:
        case {"type": "integer" | "number"}:
            return "number"
        case {"type": "string", "format": str(name)} if name in _FORMATS:
            return _FORMATS[name]
        case {"type": "string", "maxLength": int(longest)} if longest > LONG_TEXT:
            return "long"
        case {"type": "string"}:
            return "text"
        case _:
            return "json"


def _choices(part: Part) -> Sequence[tuple[str, str]]:
    if part.choices is None:
        return _TRUTH
    return [(exact_json(value), label) for value, label in part.choices]


def _initial(part: Part, kind: Kind, choices: Sequence[tuple[str, str]]) -> str:
    default = part.schema.get("default")
    if default is None:
        return ""
    text = default if isinstance(default, str) else exact_json(default)
    match kind:
        case "choice":
            written = exact_json(default)
            return written if any(written == value for value, _ in choices) else ""
        case "json":
            return exact_json(default)
        case "datetime":
            return _without_zone(text)
        case _:
            return text


def _without_zone(text: str) -> str:
    """A moment as a browser's field has it; blank for what is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ""
    if moment.tzinfo is None:
        return ""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _value(field: FormField, text: str) -> Any:
    match field.kind:
        case "text" | "long" | "date" | "time" | "email" | "url":
            return text
        case "datetime":
            return _with_zone(text)
        case "number":
            return _number(text)
        case "choice" | "json":
            return _decoded(field.label, text)


def _with_zone(text: str) -> str:
    """A browser's field says neither seconds nor zone: it is filled in for UTC."""
    found = _WITHOUT_ZONE.fullmatch(text)
    return text if found is None else f"{text}{'' if found[1] else ':00'}Z"


def _number(text: str) -> Any:
    try:
        value = read_json(text)
    except NotJson:
        return text
    is_number = isinstance(value, int | Decimal | OutsizeNumber) and not isinstance(value, bool)
    return value if is_number else text


def _decoded(label: str, text: str) -> Any:
    try:
        return read_json(text)
    except NotJson as error:
        raise ValueError(f"{label}: is no JSON: {error.detail}") from None


def _object(text: str) -> dict[str, Any]:
    match _decoded("Answer", text):
        case dict() as value:
            return value
        case _:
            raise ValueError("Answer: must be a JSON object")
