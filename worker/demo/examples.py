"""The example files: what is published, what is started, and what should come of both."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from correlation.exact_reading import read_stored
from correlation.reason import Outcome, Reason
from worker.operator_error import OperatorError

Row = TypeVar("Row")

EVENTS_FILE = "events.jsonl"
WORKFLOWS_FILE = "workflows.jsonl"
RULES_FILE = "rules.toml"
TRIGGERS_FILE = "triggers.toml"
ONBOARDING_FILE = "onboarding.json"


class ExamplesError(OperatorError):
    """An example file is missing or wrong; the message names the file and the line."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Bytes(_Model):
    base64: str


class _Long(_Model):
    repeat: str
    times: int


class Repeats(_Model):
    """The entry holds an event that came before: no row of its own, nobody is woken."""

    repeats: Literal[True]


class Ends(_Model):
    """How an entry should end: its row's outcome and reason, and the workflows it signals."""

    outcome: Outcome
    reason: Reason | None = None
    wakes: tuple[str, ...] = ()
    """Ids of the workflows that accept the event."""
    refused_by: tuple[str, ...] = ()
    """Ids of the workflows whose own filter refuses it."""


Expectation: TypeAlias = Repeats | Ends


class _Line(_Model):
    entry: Mapping[str, str | _Bytes | _Long]
    expect: Repeats | Ends


class _StoryEntry(_Line):
    """An entry of the story, whose id and tenant are needed before it is published."""

    @property
    def event_id(self) -> str:
        return str(self.entry["event_id"])

    @property
    def entry_tenant(self) -> str:
        return str(self.entry["tenant"])


class Onboarding(_Model):
    """A story beside the other examples: launched, answered by a person, ended by an event."""

    trigger: str
    """Of the triggers file: it launches the workflow."""
    created: _StoryEntry
    """The event that launches it."""
    person: str
    answer: Mapping[str, Any]
    signed: _StoryEntry
    """The event that it waits for at last."""
    result: Mapping[str, Any]


class ExampleWorkflow(_Model):
    """A workflow to start, and the result that it should return."""

    workflow_id: str
    workflow_type: str
    start: Literal["before", "after"]
    """Before the events are published, or after they have all been recorded."""
    waits: int
    """How many waits it registers."""
    input: Mapping[str, Any]
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExampleEntry:
    """A stream entry, and how it should end."""

    line: int
    fields: Mapping[bytes, bytes]
    expect: Expectation


@dataclass(frozen=True, slots=True)
class Examples:
    """Everything the folder says."""

    entries: Sequence[ExampleEntry]
    workflows: Sequence[ExampleWorkflow]
    rules_file: Path
    triggers_file: Path
    onboarding: Onboarding | None
    """None in a folder without the story."""

    def starting(self, moment: Literal["before", "after"]) -> Sequence[ExampleWorkflow]:
        """The workflows that are started before, or after, the events are published."""
        return [workflow for workflow in self.workflows if workflow.start == moment]


def read_examples(folder: Path) -> Examples:
    """Read the example files; raises ExamplesError."""
    folder = folder.absolute()
    rules_file = folder / RULES_FILE
    if not rules_file.is_file():
        raise ExamplesError(f"{rules_file} does not exist; --examples names another folder")
    lines = _read(folder / EVENTS_FILE, TypeAdapter(_Line))
    entries = [ExampleEntry(n, _fields(line), line.expect) for n, line in enumerate(lines, 1)]
    workflows = _read(folder / WORKFLOWS_FILE, TypeAdapter(ExampleWorkflow))
    triggers_file, onboarding = folder / TRIGGERS_FILE, _onboarding(folder / ONBOARDING_FILE)
    return Examples(entries, workflows, rules_file, triggers_file, onboarding)


def as_entry(line: _Line, number: int, *, wakes: str | None = None) -> ExampleEntry:
    """An entry of the story; `wakes` is the workflow that it should reach, known by its launch."""
    expect = line.expect
    if wakes is not None and isinstance(expect, Ends):
        expect = expect.model_copy(update={"wakes": (wakes,)})
    return ExampleEntry(number, _fields(line), expect)


def _onboarding(path: Path) -> Onboarding | None:
    if not path.is_file():
        return None
    try:
        return Onboarding.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ExamplesError(f"{path}: {error}") from None


def _read(path: Path, kind: TypeAdapter[Row]) -> Sequence[Row]:
    rows = []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise ExamplesError(f"{path} cannot be read: {error.strerror}") from None
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                rows.append(kind.validate_python(read_stored(line)))
        except (ValidationError, ValueError) as error:
            raise ExamplesError(f"{path}, line {number}: {error}") from None
    return rows


def _fields(line: _Line) -> Mapping[bytes, bytes]:
    return {name.encode(): _value(value) for name, value in line.entry.items()}


def _value(value: str | _Bytes | _Long) -> bytes:
    match value:
        case str():
            return value.encode()
        case _Bytes():
            return base64.b64decode(value.base64)
        case _Long():
            return (value.repeat * value.times).encode()
