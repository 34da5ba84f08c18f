"""Optional payload schemas: what the payload of an event of some name has to look like.

A file maps event names to versions of a JSON Schema. An event chooses a version by its
`payload_schema_ref`, or gets the default one. Nothing is ever fetched, patterns take linear time,
and no detail quotes a payload.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import jsonschema_rs
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from correlation.event import Event
from correlation.exact_reading import read_stored
from correlation.json_schema import SchemaUnusable, compiled_schema, schema_faults

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
class SchemasOfName:
    """The versions of one event name's schema."""

    mode: Mode
    default: str
    versions: Mapping[str, jsonschema_rs.Validator]


@dataclass(frozen=True, slots=True)
class PayloadSchemas:
    """The schemas in use."""

    by_name: Mapping[str, SchemasOfName]

    def fault_of(self, event: Event) -> SchemaFault | None:
        """What is wrong with an event's payload; None when nothing is, or nothing is asked of it.

        Never raises.
        """
        judgement = self.judgement_of(event)
        return None if judgement is None else judgement.fault

    def judgement_of(self, event: Event) -> Judgement | None:
        """Which schema judges an event, and how; None when nothing is asked of its payload.

        Never raises. Names the first five failing places, without any value that stands there.
        """
        schemas = self.by_name.get(event.name)
        if schemas is None or schemas.mode is Mode.OFF:
            return None
        version = event.context.payload_schema_ref or schemas.default
        validator = schemas.versions.get(version)
        if validator is None:
            known = ", ".join(sorted(schemas.versions))
            detail = f"payload_schema_ref names no version of the schema; there are: {known}"
        else:
            detail = _errors(validator, event.payload.value)
        judged_by = f"{event.name} {version:.100}"
        if not detail:
            return Judgement(judged_by, None)
        detail = f"payload schema {judged_by}: {detail}"[:LONGEST_DETAIL]
        return Judgement(judged_by, SchemaFault(schemas.mode, detail))


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


def _validator(path: Path) -> jsonschema_rs.Validator:
    try:
        return compiled_schema(_json(path))
    except SchemaUnusable as error:
        raise SchemasError(f"{path.name} is no usable JSON Schema: {error}") from None


def _errors(validator: jsonschema_rs.Validator, payload: Mapping[str, Any]) -> str:
    found = [
        f"{fault.place}: {fault.problem}"
        for fault in islice(schema_faults(validator, payload), MOST_ERRORS + 1)
    ]
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
