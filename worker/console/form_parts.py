"""One member of a task's form as people are asked for it: what it refers to, and whether it may be
null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from correlation.exact_writing import exact_json
from correlation.form_references import followed

MOST_STEPS: Final = 8
"""Alternatives within alternatives that are looked through."""


@dataclass(frozen=True, slots=True)
class Part:
    """A member's schema without its references and its null."""

    schema: Mapping[str, Any]
    nullable: bool = False
    choices: Sequence[tuple[Any, str]] | None = None
    """The values that are allowed with what people read, where the schema lists them."""

    def text(self, name: str) -> str:
        """A text that the schema gives, or a blank one."""
        value = self.schema.get(name)
        return value if isinstance(value, str) else ""


def part_of(form: Mapping[str, Any], schema: Any) -> Part:
    """Read a member of a form whose references were checked when its task was registered."""
    part, nullable = followed(form, schema), False
    for _ in range(MOST_STEPS):
        inner = _inner(form, part)
        if inner is None:
            break
        part, may_be_null = inner
        nullable = nullable or may_be_null
    choices = _listed(form, part)
    if choices is not None:
        nullable = nullable or any(value is None for value, _ in choices)
        choices = [(value, label) for value, label in choices if value is not None]
    return Part(part, nullable, choices)


def _inner(
    form: Mapping[str, Any], part: Mapping[str, Any]
) -> tuple[Mapping[str, Any], bool] | None:
    """The only alternative besides null, with what stands beside it; None: there is no such."""
    types = part.get("type")
    if isinstance(types, list):
        others = [each for each in types if each != "null"]
        if len(others) != 1:
            return None
        return {**part, "type": others[0]}, len(others) < len(types)
    for keyword in ("anyOf", "oneOf", "allOf"):
        alternatives = part.get(keyword)
        if not isinstance(alternatives, list):
            continue
        read = [followed(form, each) for each in alternatives]
        others = [each for each in read if not _is_null(each)]
        if len(others) != 1:
            return None
        beside = {name: value for name, value in part.items() if name != keyword}
        return followed(form, {**others[0], **beside}), len(others) < len(read)
    return None


def _is_null(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "null" or ("const" in schema and schema["const"] is None)


def _listed(form: Mapping[str, Any], part: Mapping[str, Any]) -> Sequence[tuple[Any, str]] | None:
    if "const" in part:
        return [_choice(part["const"])]
    if isinstance(part.get("enum"), list):
        return [_choice(value) for value in part["enum"]]
    for keyword in ("oneOf", "anyOf"):
        alternatives = part.get(keyword)
        if isinstance(alternatives, list) and alternatives:
            read = [followed(form, each) for each in alternatives]
            if all("const" in each or _is_null(each) for each in read):
                return [_choice(each.get("const"), each.get("title")) for each in read]
    return None


def _choice(value: Any, title: object = None) -> tuple[Any, str]:
    if isinstance(title, str) and title:
        return value, title
    return value, value if isinstance(value, str) else exact_json(value)
