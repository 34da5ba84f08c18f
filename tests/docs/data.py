"""What a block of JSON, TOML, YAML or SQL has to be, and the check that says so."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import psycopg
import yaml

from correlation.event import Event
from correlation.triggers import compile_triggers
from ingress.envelope import decode
from ingress.schemas import schemas_from_file
from tests.docs.blocks import ROOT, Block
from worker.rules_source import rules_from_file

READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}


class WrongBlock(AssertionError):
    """A block that is not what it is said to be."""


def check_data(block: Block, folder: Path) -> None:
    """Raise unless the block is what its comment says; `folder` may be written to."""
    document = READERS[block.language](block.text)
    kind, _, name = block.said.get("as", "").partition(":")
    if kind not in KINDS:
        known = ", ".join(sorted(KINDS))
        raise WrongBlock(
            f"{block.place}: say above it what this {block.language} is: <!-- block: as=KIND -->, "
            f"one of {known}"
        )
    path = folder / f"block.{block.language}"
    path.write_text(block.text, encoding="utf-8")
    KINDS[kind](document, path, name)


def check_sql(block: Block, database_url: str) -> None:
    """Run the statements on the migrated schema, as the service sees it, and take them back."""
    with psycopg.connect(database_url) as connection:
        connection.execute("SET LOCAL ROLE pointsman_service")
        for statement in block.text.split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())
        connection.rollback()


def _rules(_document: Any, path: Path, _name: str) -> None:
    assert rules_from_file(path).by_name


def _triggers(document: Any, _path: Path, _name: str) -> None:
    assert compile_triggers(document)


def _schemas(document: Any, path: Path, _name: str) -> None:
    for versions in document.values():
        for file in versions["versions"].values():
            (path.parent / file).write_text("{}", encoding="utf-8")
    schemas_from_file(path)


def _entry(document: Any, _path: Path, _name: str) -> None:
    decoded = decode({name.encode(): value.encode() for name, value in document.items()})
    assert isinstance(decoded, Event), decoded


def _contract(document: Any, _path: Path, name: str) -> None:
    schema = json.loads((ROOT / "docs" / "contracts" / f"{name}.schema.json").read_text())
    jsonschema_rs.validate(schema, document)


def _http(document: Any, _path: Path, name: str) -> None:
    openapi = json.loads((ROOT / "docs" / "openapi.json").read_text())
    jsonschema_rs.validate({**openapi, "$ref": f"#/components/schemas/{name}"}, document)


def _scrape(document: Any, _path: Path, _name: str) -> None:
    rules = ROOT / "deploy" / "prometheus" / "pointsman.rules.yml"
    [job] = {each["job_name"] for each in document["scrape_configs"]}
    assert f'job="{job}"' in rules.read_text(), "the rules watch another job"


def _data(_document: Any, _path: Path, _name: str) -> None:
    """Well-formed is all that can be asked."""


KINDS: Final[Mapping[str, Callable[[Any, Path, str], None]]] = {
    "rules": _rules,
    "triggers": _triggers,
    "schemas": _schemas,
    "entry": _entry,
    "contract": _contract,
    "http": _http,
    "scrape": _scrape,
    "data": _data,
}
"""`contract:NAME` is a schema in docs/contracts, `http:NAME` one of docs/openapi.json."""
