"""Schemas and forms by the work that they make: refused, judged in a worker, or where they are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from correlation.exact_writing import exact_json
from correlation.json_schema import SchemaUnusable
from correlation.judging import (
    FAULTS_INLINE,
    INLINE,
    CompiledSchemas,
    Costly,
    Schema,
    judged_here,
    size_within,
    values_within,
)
from correlation.schema_weight import MOST_LARGE_PATTERNS, MOST_PATTERNS, weight_of
from correlation.task_form import FormUnusable, answer_faults, form_text

LARGE = r"^\p{L}{200}$"
LARGISH = "^.{1,255}$"


def form_of(**keywords: Any) -> dict[str, Any]:
    return {"type": "object", **keywords}


@pytest.mark.parametrize(
    ("form", "place"),
    [
        (form_of(patternProperties={LARGE + str(n): {} for n in range(50)}), "patternProperties["),
        (form_of(properties={"a": {"pattern": LARGE}}), "$.properties.a.pattern"),
        (form_of(allOf=[{"properties": {"a": {"pattern": LARGE}}}]), "$.allOf[0].properties.a"),
        (form_of(propertyNames={"pattern": r"(\p{L}{20}){20}"}), "$.propertyNames.pattern"),
        (form_of(**{"$defs": {"A": {"pattern": LARGE}}}), "$.$defs.A.pattern"),
        (
            form_of(properties={str(n): {"pattern": f"{n}{LARGISH}"} for n in range(5)}),
            f"more than {MOST_LARGE_PATTERNS} patterns",
        ),
        (
            form_of(properties={str(n): {"pattern": f"^{n}$"} for n in range(MOST_PATTERNS + 1)}),
            f"more than {MOST_PATTERNS} patterns",
        ),
        (form_of(properties={"a": {"pattern": r"(a)\1"}}), "$.properties.a.pattern"),
    ],
)
def test_a_form_whose_patterns_grow_is_refused_with_the_place(
    form: dict[str, Any], place: str
) -> None:
    with pytest.raises(FormUnusable) as refused:
        form_text(form)

    assert place in str(refused.value)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$",
        r"^\p{L}+$",
        LARGISH,
        r"^\w{1,50}$",
        "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    ],
)
def test_patterns_that_people_write_are_taken(pattern: str) -> None:
    text = form_text(form_of(properties={"a": {"type": "string", "pattern": pattern}}))

    assert not isinstance(answer_faults(text, {"a": "a" * 1000}), Costly)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"below": {"$ref": "#"}}},
        {"$defs": {"A": {"items": {"$ref": "#/$defs/A"}}}, "$ref": "#/$defs/A"},
        {"$dynamicRef": "#a"},
        {"properties": {"a": {"$id": "other"}}},
        {"properties": {"a": {"format": "regex"}}},
    ],
)
def test_a_schema_whose_cost_depends_on_the_value_has_no_weight(schema: dict[str, Any]) -> None:
    assert weight_of(schema) is None


def test_every_use_of_a_reference_counts() -> None:
    parts = {"P0": {"type": "string"}}
    for level in range(12):
        parts[f"P{level + 1}"] = {"allOf": [{"$ref": f"#/$defs/P{level}"}] * 2}  # type: ignore[dict-item]

    once = weight_of({"$defs": parts, "$ref": "#/$defs/P1"})
    often = weight_of({"$defs": parts, "$ref": "#/$defs/P12"})

    assert once is not None
    assert often is not None
    assert often - once > 2**12


def test_an_innocent_form_and_a_large_answer_go_to_a_worker() -> None:
    names = {"type": "array", "items": {"type": ["string", "null"]}}
    form = form_text(form_of(properties={"names": names}))

    assert isinstance(answer_faults(form, {"names": [1] * 1_000_000}), Costly)
    assert isinstance(answer_faults(form, {"names": ["x" * 2_000_000]}), Costly)
    assert answer_faults(form, {"names": ["a", None] * 50}) == []


def test_a_value_with_many_places_that_may_not_fit_is_not_searched_here() -> None:
    schema = Schema.compiled(json.dumps({"items": {"allOf": [{"type": "string"}] * 20}}))
    value = [1] * 200
    size = len(exact_json(value))

    found = judged_here(schema, value, size, 5)

    assert size * (schema.weight or 0) <= INLINE
    assert len(value) * (schema.weight or 0) > FAULTS_INLINE
    assert isinstance(found, Costly)


def test_counting_stops_soon_after_the_bound() -> None:
    endless: list[Any] = []
    endless.append(endless)

    assert values_within(endless, 100) == 101
    assert 100 < size_within(endless, 100) < 110
    assert size_within({"a": "x" * 10_000}, 100) > 100


def test_compiled_schemas_are_kept_within_a_bound_of_bytes() -> None:
    compiled: list[str] = []

    def compile_one(text: str, *, formats: bool | None) -> Schema:
        compiled.append(text)
        return Schema.compiled(text, formats=formats)

    kept = CompiledSchemas(compile_one, most_bytes=100)
    texts = [json.dumps({"title": f"{n}" * 30}) for n in range(3)]

    for text in (*texts, texts[2], texts[0]):
        kept.of(text)

    assert compiled == [*texts, texts[0]]
    assert kept.bytes_kept <= 100


def test_a_payload_schema_is_held_to_the_same_limits() -> None:
    with pytest.raises(SchemaUnusable, match=r"\$\.pattern: the pattern"):
        Schema.compiled(json.dumps({"pattern": LARGE}))
