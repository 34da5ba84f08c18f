"""The form of a human task: a JSON Schema that is checked when the task is registered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from .exact_reading import read_stored
from .exact_writing import exact_json, json_fault
from .form_references import ReferenceUnusable, check_references
from .json_schema import Misfit, SchemaUnusable, compiled_schema, schema_faults

MAX_FORM_BYTES: Final = 32 * 1024
MOST_FAULTS: Final = 20


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
    try:
        check_references(form)
        _validator(text)
    except ReferenceUnusable as error:
        raise FormUnusable(str(error)) from None
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
    return compiled_schema(read_stored(text), formats=True)
