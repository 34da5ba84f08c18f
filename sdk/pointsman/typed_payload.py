"""Payloads as instances of a model: a pydantic one, a dataclass, or whatever pydantic reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from temporalio import workflow

from pointsman.received_event import (
    PayloadInvalid,
    Reading,
    ReceivedEvent,
    TypedEvent,
    typed,
    untyped,
)

with workflow.unsafe.imports_passed_through():
    from pydantic import TypeAdapter, ValidationError

MAX_PROBLEMS: Final = 5
MAX_TEXT: Final = 500


def reading_of(model: Any) -> Reading:
    """Reads payloads as the model. Raises what pydantic does of a type that it cannot read."""
    adapter: TypeAdapter[Any] = TypeAdapter(model)

    def read(event: ReceivedEvent) -> TypedEvent[Any]:
        plain = untyped(event)
        try:
            # From its text: strict models, too, take dates and the like from JSON.
            return typed(plain, adapter.validate_json(_text(plain.payload)))
        except ValidationError as error:
            raise PayloadInvalid(_in_words(error)) from None

    return read


def _text(payload: Mapping[str, Any]) -> str:
    return json.dumps(payload, default=str)


def _in_words(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    said = [
        f"{'.'.join(str(part) for part in ('payload', *problem['loc']))}: {problem['msg']}"
        for problem in problems[:MAX_PROBLEMS]
    ]
    more = len(problems) - len(said)
    text = "; ".join(said) + (f"; and {more} more" if more else "")
    text = "".join(each if each.isprintable() else " " for each in text)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
