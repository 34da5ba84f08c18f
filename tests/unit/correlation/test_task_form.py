"""Forms of human tasks: what can be put to people, and what answers them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from correlation.judging import Costly
from correlation.task_form import MAX_FORM_BYTES, FormUnusable, answer_faults, form_text

FORM = {
    "type": "object",
    "properties": {
        "approved": {"type": "boolean"},
        "lines": {"type": "array", "items": {"type": "object", "required": ["id"]}},
        "amount": {"type": "number", "minimum": Decimal("0.5")},
    },
    "required": ["approved"],
    "additionalProperties": False,
}

COLOURS = {
    "type": "object",
    "$defs": {"Colour": {"enum": ["red", "blue"]}},
    "properties": {
        "colour": {"$ref": "#/$defs/Colour"},
        "first": {"anyOf": [{"$ref": "#/$defs/Colour"}, {"type": "null"}]},
        "default": {"type": "string", "default": {"$ref": "no reference"}},
        "note": {"type": ["string", "null"]},
        "version": {"const": 2},
        "since": {"type": "string", "format": "date"},
        "at": {"type": "string", "format": "date-time"},
        "mail": {"anyOf": [{"type": "string", "format": "email"}, {"type": "null"}]},
    },
}


def doubling(levels: int) -> dict[str, Any]:
    """A form that every reference makes twice as large."""
    parts: dict[str, Any] = {"P0": {"type": "string"}}
    for level in range(levels):
        below = {"$ref": f"#/$defs/P{level}"}
        parts[f"P{level + 1}"] = {"properties": {"a": below, "b": below}}
    return {
        "type": "object",
        "$defs": parts,
        "properties": {"a": {"$ref": f"#/$defs/P{levels}"}},
    }


def nested(depth: int) -> dict[str, Any]:
    form: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        form = {"type": "object", "not": form}
    return form


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"type": "array"}, "must describe an object"),
        ({}, "must describe an object"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, "only places within the form"),
        ({"type": "object", "properties": {"a": {"$ref": "https://a.example/b"}}}, "only places"),
        ({"type": "object", "properties": {"a": {"$ref": "other.json"}}}, "only places"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}, "leads nowhere"),
        ({**COLOURS, "$defs": {"Colour": {"items": {"$ref": "#/$defs/Colour"}}}}, "back to itself"),
        ({**COLOURS, "$id": "https://a.example/form"}, "take the .id out"),
        ({**COLOURS, "$defs": {"Colour": {"type": "object", "properties": 7}}}, "no usable JSON"),
        ({"type": "object", "allOf": [{"$dynamicRef": "https://a.example/b"}]}, "reference"),
        ({"type": "object", "$schema": "https://a.example/dialect"}, "no usable JSON Schema"),
        ({"type": "object", "properties": 7}, "no usable JSON Schema"),
        ({"type": "object", "properties": {"a": {"pattern": "("}}}, "no usable JSON Schema"),
        ({"type": "object", "title": "x" * MAX_FORM_BYTES}, "longer than"),
        ({"type": "object", "title": "\0"}, "NUL"),
        (nested(200), "nested too deeply"),
    ],
)
def test_a_form_that_nobody_can_answer_is_refused(form: dict[str, Any], why: str) -> None:
    with pytest.raises(FormUnusable, match=why):
        form_text(form)


def test_an_answer_that_fits_has_no_fault() -> None:
    text = form_text(FORM)

    assert answer_faults(text, {"approved": True, "amount": Decimal("0.5")}) == []


def test_every_place_that_does_not_fit_is_named_without_its_value() -> None:
    answer = {"lines": [{"id": 1}, {}], "amount": Decimal("0.25"), "token": "secret"}

    faults = answer_faults(form_text(FORM), answer)
    assert not isinstance(faults, Costly)

    named = {(fault.place, fault.missing) for fault in faults}
    assert named == {("$", "approved"), ("$.lines[1]", "id"), ("$.amount", None), ("$", None)}
    assert not any("secret" in fault.problem for fault in faults)


def test_without_a_form_any_answer_fits() -> None:
    assert answer_faults(None, {"anything": [1]}) == ()


def test_references_within_a_form_are_followed_up_to_a_bound() -> None:
    form_text(doubling(5))

    with pytest.raises(FormUnusable, match="more than 5000 parts"):
        form_text(doubling(30))


@pytest.mark.parametrize(
    "answer",
    [
        {"colour": "red", "first": None, "note": None, "version": 2, "mail": None},
        {"first": "blue", "note": "fine", "since": "2026-02-28", "mail": "ada@a.example"},
        {"at": "2026-11-30T10:00:00Z"},
    ],
)
def test_an_answer_may_be_null_a_reference_a_constant_or_of_a_format(
    answer: dict[str, Any],
) -> None:
    assert answer_faults(form_text(COLOURS), answer) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("colour", "green"),
        ("colour", None),
        ("first", "green"),
        ("note", 7),
        ("version", 3),
        ("since", "30.11.2026"),
        ("since", "2026-02-30"),
        ("since", ""),
        ("at", "2026-11-30T10:00:00"),
        ("at", "2026-11-30"),
        ("mail", "nobody"),
        ("mail", "a b@c.example"),
        ("mail", "@c.example"),
    ],
)
def test_what_is_no_date_no_address_and_no_listed_value_does_not_fit(
    name: str, value: object
) -> None:
    faults = answer_faults(form_text(COLOURS), {name: value})
    assert not isinstance(faults, Costly)
    [fault] = faults

    assert fault.place == f"$.{name}"
