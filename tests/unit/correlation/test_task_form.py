"""Forms of human tasks: what can be put to people, and what answers them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

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
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, "reference"),
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

    named = {(fault.place, fault.missing) for fault in faults}
    assert named == {("$", "approved"), ("$.lines[1]", "id"), ("$.amount", None), ("$", None)}
    assert not any("secret" in fault.problem for fault in faults)


def test_without_a_form_any_answer_fits() -> None:
    assert answer_faults(None, {"anything": [1]}) == ()
