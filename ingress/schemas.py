"""Optional payload schemas: what the payload of an event of some name has to look like.

A file maps event names to versions of a JSON Schema. An event chooses a version by its
`payload_schema_ref`, or gets the default one. Nothing is ever fetched, patterns take linear time,
and no detail quotes a payload.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from correlation.event import Event
from correlation.exact_reading import read_stored
from correlation.exact_writing import exact_json
from correlation.json_schema import Misfit, SchemaUnusable, schema_faults
from correlation.judging import Costly, Schema, TooCostly, judged_here
from correlation.reason import Reason

MOST_ERRORS: Final = 5
LONGEST_DETAIL: Final = 1000
MAX_FILE_BYTES: Final = 1024 * 1024


class Mode(StrEnum):
    """What becomes of an event whose payload does not fit."""

    OFF = "off"
    WARN = "warn"
    """It goes its way; the audit notes what does not fit."""
    ENFORCE_LAUNCHES = "enforce_launches"
    """It wakes whoever waits for it, and starts no workflow; the audit notes what does not fit."""
    ENFORCE = "enforce"
    """It is rejected with the reason `schema_invalid`."""


class SchemasError(ValueError):
    """The schemas cannot be used: every fault, each with its place. Correct them."""


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """A payload is not what its schema asks for."""

    mode: Mode
    """What is to become of the event."""
    detail: str
    reason: Reason = Reason.SCHEMA_INVALID

    @property
    def enforced(self) -> bool:
        """Whether the event is to be rejected; its audit row is to carry the detail otherwise."""
        return self.mode is Mode.ENFORCE


@dataclass(frozen=True, slots=True)
class Judgement:
    """Which schema judged a payload, and what it found."""

    judged_by: str
    """The schema's event name and version: `INVOICE_PAID 2`."""
    fault: SchemaFault | None


@dataclass(frozen=True, slots=True)
class Unjudged:
    """The schema that judges a payload, too large to be judged beside everything else."""

    judged_by: str
    mode: Mode
    schema: Schema

    def judgement(self, found: Sequence[Misfit] | TooCostly) -> Judgement:
        """The judgement that follows from what a worker found."""
        if isinstance(found, TooCostly):
            detail = f"payload schema {self.judged_by}: {found.detail}"
            fault = SchemaFault(self.mode, detail, Reason.SCHEMA_TOO_COSTLY)
            return Judgement(self.judged_by, fault)
        return _judgement(self.judged_by, self.mode, _listed(found))


@dataclass(frozen=True, slots=True)
class SchemasOfName:
    """The versions of one event name's schema."""

    mode: Mode
    default: str
    versions: Mapping[str, Schema]


@dataclass(frozen=True, slots=True)
class PayloadSchemas:
    """The schemas in use."""

    by_name: Mapping[str, SchemasOfName]

    def fault_of(self, event: Event) -> SchemaFault | None:
        """What is wrong with an event's payload; None when nothing is, or nothing is asked of it.

        Whatever it costs: for a command that does nothing beside it. Never raises.
        """
        judgement = self.judgement_of(event)
        if isinstance(judgement, Unjudged):
            found = schema_faults(judgement.schema.validator, event.payload.value)
            judgement = judgement.judgement(list(islice(found, MOST_ERRORS + 1)))
        return None if judgement is None else judgement.fault

    def judgement_of(self, event: Event) -> Judgement | Unjudged | None:
        """Which schema judges an event, and how; None when nothing is asked of its payload.

        Unjudged when that takes more than some milliseconds: a worker has to look.

        Never raises. Names the first five failing places, without any value that stands there.
        """
        schemas = self.by_name.get(event.name)
        if schemas is None or schemas.mode is Mode.OFF:
            return None
        version = event.context.payload_schema_ref or schemas.default
        schema = schemas.versions.get(version)
        judged_by = f"{event.name} {version:.100}"
        if schema is None:
            known = ", ".join(sorted(schemas.versions))
            detail = f"payload_schema_ref names no version of the schema; there are: {known}"
            return _judgement(judged_by, schemas.mode, detail)
        payload = event.payload
        found = judged_here(schema, payload.value, len(payload.text), MOST_ERRORS + 1)
        if isinstance(found, Costly):
            return Unjudged(judged_by, schemas.mode, schema)
        return _judgement(judged_by, schemas.mode, _listed(found))


NO_SCHEMAS: Final = PayloadSchemas(MappingProxyType({}))


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Mode = Mode.WARN
    versions: Mapping[str, str] = Field(min_length=1)
    default: str | None = None
    """May be left out when there is one version only."""


def schemas_from_file(path: Path) -> PayloadSchemas:
    """Read the mapping and every schema that it names; raises SchemasError with all that is wrong.

    The mapping is TOML or JSON; the files of the schemas are JSON, beside it or below.
    """
    content = _mapping(path)
    by_name: dict[str, SchemasOfName] = {}
    faults: list[str] = []
    for name, written in content.items():
        try:
            by_name[name] = _schemas_of_name(path.parent, _Entry.model_validate(written))
        except ValidationError as error:
            places = ("/".join(map(str, e["loc"])) or "entry" for e in error.errors())
            faults.append(f"{name}: wrong or missing: {', '.join(places)}")
        except SchemasError as error:
            faults.append(f"{name}: {error}")
    if faults:
        raise SchemasError(f"{path}: {'; '.join(faults)}")
    return PayloadSchemas(MappingProxyType(by_name))


def _schemas_of_name(folder: Path, entry: _Entry) -> SchemasOfName:
    default = entry.default or (next(iter(entry.versions)) if len(entry.versions) == 1 else None)
    if default is None or default not in entry.versions:
        raise SchemasError("`default` must name one of the versions")
    versions = {version: _validator(folder / file) for version, file in entry.versions.items()}
    return SchemasOfName(entry.mode, default, MappingProxyType(versions))


def _validator(path: Path) -> Schema:
    try:
        return Schema.compiled(exact_json(_json(path)))
    except SchemaUnusable as error:
        raise SchemasError(f"{path.name} is no usable JSON Schema: {error}") from None


def _judgement(judged_by: str, mode: Mode, detail: str) -> Judgement:
    if not detail:
        return Judgement(judged_by, None)
    detail = f"payload schema {judged_by}: {detail}"[:LONGEST_DETAIL]
    return Judgement(judged_by, SchemaFault(mode, detail))


def _listed(faults: Sequence[Misfit]) -> str:
    found = [f"{fault.place}: {fault.problem}" for fault in faults]
    more = ["and more"] if len(found) > MOST_ERRORS else []
    return "; ".join([*found[:MOST_ERRORS], *more])


def _mapping(path: Path) -> Mapping[str, Any]:
    if path.suffix.lower() == ".toml":
        try:
            return tomllib.loads(_text(path))
        except tomllib.TOMLDecodeError as error:
            raise SchemasError(f"{path}: invalid TOML: {error}") from None
    content = _json(path)
    if not isinstance(content, dict):
        raise SchemasError(f"{path}: must be an object of event names")
    return content


def _json(path: Path) -> Any:
    try:
        return read_stored(_text(path))
    except ValueError as error:
        raise SchemasError(f"{path.name}: invalid JSON: {error}") from None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise SchemasError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SchemasError(f"{path} is not UTF-8") from None
    if len(content) > MAX_FILE_BYTES:
        raise SchemasError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
    return text
