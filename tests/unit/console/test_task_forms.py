"""Forms that people fill in, from the JSON Schema of a task."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from worker.console.task_forms import answer_of, fields_of


def form(**properties: Any) -> str:
    return json.dumps({"type": "object", "properties": properties, "required": ["approved"]})


FORM = form(
    approved={"type": "boolean", "title": "Do you approve?"},
    level={"enum": ["low", "high", 3]},
    amount={"type": "number"},
    until={"type": "string", "format": "date"},
    why={"type": "string", "maxLength": 1000, "description": "in a few words"},
    lines={"type": "array"},
)


def test_members_become_fields_of_their_kind() -> None:
    fields = fields_of(FORM)

    assert [(field.label, field.kind, field.required) for field in fields] == [
        ("Do you approve?", "choice", True),
        ("level", "choice", False),
        ("amount", "number", False),
        ("until", "date", False),
        ("why", "long", False),
        ("lines", "json", False),
    ]
    assert fields[1].choices == [('"low"', "low"), ('"high"', "high"), ("3", "3")]


def test_what_is_filled_in_becomes_the_answer_with_exact_numbers() -> None:
    filled_in = {
        "answer.approved": "true",
        "answer.level": "3",
        "answer.amount": "0.10",
        "answer.until": "",
        "answer.why": " it is fine ",
        "answer.lines": "[1, 2]",
        "answer.stranger": "x",
    }

    answer = answer_of(FORM, filled_in)

    assert answer == {
        "approved": True,
        "level": 3,
        "amount": Decimal("0.10"),
        "why": "it is fine",
        "lines": [1, 2],
    }


@pytest.mark.parametrize("text", ["much", "true", "1,5", "NaN"])
def test_what_is_no_number_stays_text_for_the_form_to_refuse(text: str) -> None:
    assert answer_of(FORM, {"answer.amount": text}) == {"amount": text}


@pytest.mark.parametrize("text", ["[1", "x", "[" * 100_000])
def test_what_is_no_json_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"^lines: is no JSON"):
        answer_of(FORM, {"answer.lines": text})


@pytest.mark.parametrize("schema", [None, '{"type": "object", "oneOf": []}'])
def test_without_members_the_whole_answer_is_asked_for(schema: str | None) -> None:
    assert [field.name for field in fields_of(schema)] == ["answer"]
    assert answer_of(schema, {"answer": '{"a": 1}'}) == {"a": 1}
    with pytest.raises(ValueError, match="object"):
        answer_of(schema, {"answer": "[]"})


def test_a_form_that_asks_for_nothing_shows_no_field() -> None:
    assert fields_of('{"type": "object"}') == ()
    assert answer_of('{"type": "object"}', {}) == {}
