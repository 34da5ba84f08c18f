"""A person's form from a task's JSON Schema, and the answer from what was filled in.

Members of plain types become fields; anything else is asked for as JSON, and so is the whole answer
where the form says nothing of its members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from correlation.exact_number import OutsizeNumber
from correlation.exact_reading import NotJson, read_json, read_stored
from correlation.exact_writing import exact_json

MOST_FIELDS: Final = 40
LONG_TEXT: Final = 200
PREFIX: Final = "answer."
WHOLE: Final = "answer"

Kind: TypeAlias = Literal["text", "long", "number", "date", "choice", "json"]
_WORDLESS: Final = frozenset({"type", "title", "description", "additionalProperties", "properties"})
"""A form of nothing else asks for no more than that the task is done."""
_TRUTH: Final = (("true", "yes"), ("false", "no"))


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
        _field(name, part if isinstance(part, Mapping) else {}, required=name in required)
        for name, part in properties.items()
    ]


def answer_of(form: str | None, filled_in: Mapping[str, str]) -> dict[str, Any]:
    """The answer; a field that is left empty is absent. Raises ValueError on JSON that is none.

    A text that is no number where one is asked for stays text, for the form to refuse.
    """
    answer: dict[str, Any] = {}
    for field in fields_of(form):
        text = filled_in.get(field.name, "").strip()
        if field.name == WHOLE:
            return _object(text or "{}")
        if text:
            answer[field.name.removeprefix(PREFIX)] = _value(field, text)
    return answer


def _field(name: str, part: Mapping[str, Any], *, required: bool) -> FormField:
    label, about = part.get("title"), part.get("description")
    label = label if isinstance(label, str) and label else name
    about = about if isinstance(about, str) else ""
    kind = _kind(part)
    return FormField(
        f"{PREFIX}{name}",
        label,
        kind,
        required,
        about,
        _choices(part) if kind == "choice" else (),
        part.get("type") == "integer",
    )


def _kind(part: Mapping[str, Any]) -> Kind:
    match part:
        case {"enum": list()} | {"type": "boolean"}:
            return "choice"
        case {"type": "integer" | "number"}:
            return "number"
        case {"type": "string", "format": "date"}:
            return "date"
        case {"type": "string", "maxLength": int(longest)} if longest > LONG_TEXT:
            return "long"
        case {"type": "string"}:
            return "text"
        case _:
            return "json"


def _choices(part: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    if "enum" not in part:
        return _TRUTH
    return [
        (exact_json(one), one if isinstance(one, str) else exact_json(one)) for one in part["enum"]
    ]


def _value(field: FormField, text: str) -> Any:
    match field.kind:
        case "text" | "long" | "date":
            return text
        case "number":
            return _number(text)
        case "choice" | "json":
            return _decoded(field.label, text)


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
