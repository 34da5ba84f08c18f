"""Saying which variable is wrong: by the name the operator wrote, with what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, SecretStr, ValidationError

from worker.redaction import redact_urls

LONGEST_SHOWN: Final = 80

READ_ELSEWHERE: Final = frozenset({"POINTSMAN_STRICT", "POINTSMAN_TEMPORAL_PATH"})
"""Variables with the prefix that belong to the tests and to the embedded servers."""


class SettingsError(Exception):
    """Some setting is wrong: correct the variables that the message names and start again."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(["wrong settings:", *(f"  {line}" for line in self.problems)]))


@dataclass(frozen=True, slots=True)
class UnknownVariable:
    """A variable with our prefix that nothing reads, and the setting it may have meant."""

    name: str
    nearest: str | None

    def __str__(self) -> str:
        hint = f"; did you mean {self.nearest}?" if self.nearest else ""
        return f"{self.name} is no setting of Pointsman and is ignored{hint}"


def variable_name(model: type[BaseModel], field: str, prefix: str) -> str:
    """The environment variable that sets a field."""
    alias = model.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else f"{prefix}{field}".upper()


def problems_of(error: ValidationError, model: type[BaseModel], prefix: str) -> Sequence[str]:
    """One line for every wrong variable: its name, its value without secrets, what is expected."""
    names = {field: variable_name(model, field, prefix) for field in model.model_fields}
    fields = {name: field for field, name in names.items()}
    lines = []
    for problem in error.errors(include_url=False):
        place = str(problem["loc"][0]) if problem["loc"] else ""
        field = place if place in names else fields.get(place)
        message = _sentence(problem["msg"])
        if field is None:
            lines.append(message)
            continue
        secret = _is_secret(model, field)
        lines.append(f"{names[field]}={_shown(problem['input'], secret=secret)}: {message}")
    return lines


def unknown_variables(
    environment: Iterable[str], known: Iterable[str], prefix: str
) -> Sequence[UnknownVariable]:
    """The variables that begin with the prefix and that nothing reads, in alphabetical order."""
    names = frozenset(known) | READ_ELSEWHERE
    strangers = sorted(
        name
        for name in environment
        if name.upper().startswith(prefix) and name.upper() not in names
    )
    return [UnknownVariable(name, _nearest(name.upper(), names)) for name in strangers]


def _nearest(name: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    return close[0] if close else None


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "expected", 1)


def _is_secret(model: type[BaseModel], field: str) -> bool:
    return "SecretStr" in str(model.model_fields[field].annotation)


def _shown(value: Any, *, secret: bool) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if secret and (not isinstance(value, str) or "://" not in value):
        return "(hidden)"
    text = redact_urls(str(value))
    text = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
    return repr(text)


def known_variables(model: type[BaseModel], prefix: str) -> Mapping[str, str]:
    """Environment variable → field."""
    return {variable_name(model, field, prefix): field for field in model.model_fields}
