"""Forms that people fill in, from the JSON Schema of a task."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from correlation.task_form import answer_faults
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


@pytest.mark.parametrize("name", ["answer.stranger", "answer", "answer."])
def test_a_field_that_the_form_does_not_have_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match="the form has no such field"):
        answer_of(FORM, {"answer.approved": "true", name: "x"})


RICH = json.dumps(
    {
        "$defs": {
            "Colour": {"type": "string", "enum": ["red", "blue"], "title": "Colour"},
            "Maybe": {"anyOf": [{"$ref": "#/$defs/Colour"}, {"type": "null"}]},
        },
        "type": "object",
        "properties": {
            "note": {"type": ["string", "null"]},
            "limit": {"type": ["null", "integer"], "default": 100},
            "colour": {"$ref": "#/$defs/Colour", "default": "blue", "description": "of the car"},
            "second": {"$ref": "#/$defs/Maybe", "title": "Second choice"},
            "kept": {"anyOf": [{"type": "boolean"}, {"type": "null"}], "default": None},
            "version": {"const": 2},
            "size": {"oneOf": [{"const": "s", "title": "Small"}, {"const": "l"}]},
            "mood": {"enum": ["good", None]},
            "since": {"type": "string", "format": "date", "default": "2026-11-30"},
            "at": {"type": "string", "format": "date-time", "default": "2026-11-30T10:00:00+02:00"},
            "mail": {"anyOf": [{"type": "string", "format": "email"}, {"type": "null"}]},
            "page": {"type": "string", "format": "uri"},
            "clock": {"type": "string", "format": "time"},
            "many": {"type": ["string", "integer"]},
            "parent": {"allOf": [{"$ref": "#/$defs/Colour"}], "title": "Parent"},
        },
        "required": ["note", "limit", "second", "version", "mood"],
    }
)


def test_what_may_be_null_or_refers_to_a_part_becomes_a_field_of_its_kind() -> None:
    fields = {field.name.removeprefix("answer."): field for field in fields_of(RICH)}

    assert {name: (field.kind, field.nullable) for name, field in fields.items()} == {
        "note": ("text", True),
        "limit": ("number", True),
        "colour": ("choice", False),
        "second": ("choice", True),
        "kept": ("choice", True),
        "version": ("choice", False),
        "size": ("choice", False),
        "mood": ("choice", True),
        "since": ("date", False),
        "at": ("datetime", False),
        "mail": ("email", True),
        "page": ("url", False),
        "clock": ("time", False),
        "many": ("json", False),
        "parent": ("choice", False),
    }
    assert fields["colour"].choices == [('"red"', "red"), ('"blue"', "blue")]
    assert (fields["colour"].label, fields["colour"].help) == ("Colour", "of the car")
    assert (fields["second"].label, fields["second"].choices) == (
        "Second choice",
        [('"red"', "red"), ('"blue"', "blue")],
    )
    assert fields["version"].choices == [("2", "2")]
    assert fields["size"].choices == [('"s"', "Small"), ('"l"', "l")]
    assert fields["mood"].choices == [('"good"', "good")]
    assert fields["parent"].label == "Parent"


def test_defaults_stand_in_the_fields_at_first() -> None:
    initial = {field.name.removeprefix("answer."): field.initial for field in fields_of(RICH)}

    assert {name: text for name, text in initial.items() if text} == {
        "limit": "100",
        "colour": '"blue"',
        "since": "2026-11-30",
        "at": "2026-11-30T08:00:00",
    }


def test_what_is_left_empty_is_null_where_it_must_be_there_and_may_be_null() -> None:
    filled_in = {
        "answer.note": "",
        "answer.limit": "",
        "answer.second": "",
        "answer.kept": "",
        "answer.version": "2",
        "answer.mood": "",
        "answer.at": "2026-11-30T08:15",
        "answer.colour": '"red"',
        "answer.mail": "ada@a.example",
    }

    answer = answer_of(RICH, filled_in)

    assert answer == {
        "note": None,
        "limit": None,
        "second": None,
        "version": 2,
        "mood": None,
        "at": "2026-11-30T08:15:00Z",
        "colour": "red",
        "mail": "ada@a.example",
    }
    assert answer_faults(RICH, answer) == []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-11-30T08:15:30", "2026-11-30T08:15:30Z"),
        ("2026-11-30T08:15:30.5", "2026-11-30T08:15:30.5Z"),
        ("2026-11-30T08:15:30+01:00", "2026-11-30T08:15:30+01:00"),
        ("tomorrow", "tomorrow"),
    ],
)
def test_a_moment_without_its_zone_is_in_utc(typed: str, meant: str) -> None:
    assert answer_of(RICH, {"answer.at": typed})["at"] == meant
