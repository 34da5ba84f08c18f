"""The form of a human task: a JSON Schema that is checked when the task is registered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from .exact_reading import read_stored
from .exact_writing import exact_json, json_fault
from .json_schema import Misfit, SchemaUnusable, compiled_schema, schema_faults

MAX_FORM_BYTES: Final = 32 * 1024
MOST_FAULTS: Final = 20

# References make a schema's cost grow beyond its size, and a person's form has no need of them.
_REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})


class FormUnusable(ValueError):
    """The form cannot be put to anybody; says why."""


def form_text(form: Mapping[str, Any]) -> str:
    """The form as the text that is stored; raises FormUnusable unless people can answer it."""
    if fault := json_fault(form):
        raise FormUnusable(f"the form {fault}")
    text = exact_json(form)
    if len(text.encode()) > MAX_FORM_BYTES:
        raise FormUnusable(f"the form is longer than {MAX_FORM_BYTES} bytes")
    if form.get("type") != "object":
        raise FormUnusable('the form must describe an object: give it "type": "object"')
    if _refers(form):
        raise FormUnusable("the form holds a reference ($ref): write out what it refers to")
    try:
        _validator(text)
    except SchemaUnusable as error:
        raise FormUnusable(f"the form is no usable JSON Schema: {error}") from None
    return text


def answer_faults(form: str | None, answer: Mapping[str, Any]) -> Sequence[Misfit]:
    """What in an answer does not fit the form, at most twenty places; without a form nothing."""
    if form is None:
        return ()
    return list(islice(schema_faults(_validator(form), answer), MOST_FAULTS))


@lru_cache(maxsize=256)
def _validator(text: str) -> jsonschema_rs.Validator:
    return compiled_schema(read_stored(text))


def _refers(part: Any) -> bool:
    match part:
        case Mapping():
            return not _REFERENCES.isdisjoint(part) or any(map(_refers, part.values()))
        case list() | tuple():
            return any(map(_refers, part))
        case _:
            return False
