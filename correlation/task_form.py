"""The form of a human task: a JSON Schema that is checked when the task is registered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .exact_writing import exact_json, json_fault
from .form_references import ReferenceUnusable, check_references
from .json_schema import Misfit, SchemaUnusable, fits
from .judging import (
    INLINE,
    TOO_LARGE_TO_SAY,
    CompiledSchemas,
    Costly,
    judged_here,
    size_within,
)

MAX_FORM_BYTES: Final = 32 * 1024
MOST_FAULTS: Final = 20
SEARCHED: Final = 5_000
"""Values times weight: a person wants to know every place, and answers come one at a time."""


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
        _FORMS.of(text, formats=True)
    except ReferenceUnusable as error:
        raise FormUnusable(str(error)) from None
    except SchemaUnusable as error:
        raise FormUnusable(f"the form is no usable JSON Schema: {error}") from None
    return text


def answer_faults(form: str | None, answer: Mapping[str, Any]) -> Sequence[Misfit] | Costly:
    """What in an answer does not fit the form, at most twenty places; without a form nothing.

    Costly when finding that takes more than some milliseconds.
    """
    if form is None:
        return ()
    schema = _FORMS.of(form, formats=True)
    most = INLINE // (schema.weight or INLINE)
    return judged_here(schema, answer, size_within(answer, most), MOST_FAULTS, searched=SEARCHED)


def small_answer_faults(costly: Costly, answer: Mapping[str, Any]) -> Sequence[Misfit]:
    """The same of an answer of a kilobyte at most by any form, without the places."""
    return () if fits(costly.schema.validator, answer) else (TOO_LARGE_TO_SAY,)


_FORMS: Final = CompiledSchemas()
