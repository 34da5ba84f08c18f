"""Payload schemas: reading them, and what they say of events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from correlation.event import Event, EventContext, Payload
from correlation.reason import Outcome, Reason
from correlation.rules import compile_rules
from ingress.schemas import NO_SCHEMAS, PayloadSchemas, SchemasError, schemas_from_file
from routing.incoming import IncomingEvent, RejectedEntry
from tests.builders import an_event, incoming
from worker.schema_checks import checked

FIRST = {
    "type": "object",
    "required": ["invoice"],
    "properties": {"invoice": {"type": "object", "properties": {"id": {"type": "string"}}}},
}
SECOND = {"type": "object", "properties": {"amount": {"type": "number", "minimum": 3}}}


def schemas(folder: Path, mode: str = "enforce", **entry: Any) -> PayloadSchemas:
    (folder / "first.json").write_text(json.dumps(FIRST))
    (folder / "second.json").write_text(json.dumps(SECOND))
    written = {
        "mode": mode,
        "default": "1",
        "versions": {"1": "first.json", "2": "second.json"},
        **entry,
    }
    path = folder / "schemas.json"
    path.write_text(json.dumps({"INVOICE_PAID": written}))
    return schemas_from_file(path)


def an_invoice(payload: Mapping[str, Any], version: str | None = None) -> Event:
    event = replace(an_event(), payload=Payload(json.dumps(payload, default=str), payload))
    return replace(event, context=EventContext(payload_schema_ref=version))


def test_a_fitting_payload_has_no_fault(tmp_path: Path) -> None:
    event = an_invoice({"invoice": {"id": "INV-7"}})

    fault = schemas(tmp_path).fault_of(event)

    assert fault is None


def test_a_fault_names_the_failing_place_and_no_value(tmp_path: Path) -> None:
    event = an_invoice({"invoice": {"id": 4711_0815}})

    fault = schemas(tmp_path).fault_of(event)

    assert fault is not None
    assert fault.enforced
    assert "$.invoice.id" in fault.detail
    assert "47110815" not in fault.detail


def test_an_event_chooses_the_version_of_its_schema(tmp_path: Path) -> None:
    event = an_invoice({"amount": Decimal("2.50")}, version="2")

    fault = schemas(tmp_path).fault_of(event)

    assert fault is not None
    assert "$.amount" in fault.detail


def test_an_unknown_version_is_a_fault_that_names_the_known_ones(tmp_path: Path) -> None:
    fault = schemas(tmp_path).fault_of(an_invoice({}, version="3"))

    assert fault is not None
    assert "there are: 1, 2" in fault.detail


@pytest.mark.parametrize(("mode", "is_fault"), [("off", False), ("warn", True)])
def test_the_mode_is_per_name(tmp_path: Path, mode: str, is_fault: bool) -> None:
    fault = schemas(tmp_path, mode).fault_of(an_invoice({}))

    assert (fault is not None) is is_fault
    assert fault is None or not fault.enforced


def test_an_event_of_another_name_is_asked_for_nothing(tmp_path: Path) -> None:
    assert schemas(tmp_path).fault_of(an_event(name="TICKET_OPENED")) is None
    assert NO_SCHEMAS.fault_of(an_invoice({})) is None


def test_a_mapping_may_be_toml_with_one_version_as_its_own_default(tmp_path: Path) -> None:
    (tmp_path / "first.json").write_text(json.dumps(FIRST))
    path = tmp_path / "schemas.toml"
    path.write_text('[INVOICE_PAID]\nversions = { "1" = "first.json" }\n')

    fault = schemas_from_file(path).fault_of(an_invoice({}))

    assert fault is not None
    assert not fault.enforced


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"mode": "strict"}, "mode"),
        ({"default": "9"}, "default"),
        ({"versions": {}}, "versions"),
        ({"versions": {"1": "missing.json"}}, "cannot be read"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_wrong_entries_are_named(tmp_path: Path, entry: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SchemasError, match=complaint):
        schemas(tmp_path, **entry)


@pytest.mark.parametrize(
    "schema",
    [{"$ref": "http://127.0.0.1:1/schema"}, {"type": "nonsense"}, {"pattern": "(?=a)"}],
)
def test_a_schema_that_would_be_fetched_or_cannot_be_used_is_refused(
    tmp_path: Path, schema: dict[str, Any]
) -> None:
    (tmp_path / "bad.json").write_text(json.dumps(schema))

    with pytest.raises(SchemasError, match=r"bad\.json is no usable JSON Schema"):
        schemas(tmp_path, versions={"1": "bad.json"})


def test_an_enforced_fault_rejects_the_event_with_its_raw_fields(tmp_path: Path) -> None:
    event = replace(incoming(an_invoice({})), raw=lambda: b"raw")

    rejected = checked(event, schemas(tmp_path))

    assert isinstance(rejected, RejectedEntry)
    assert (rejected.outcome, rejected.reason) == (Outcome.REJECTED, Reason.SCHEMA_INVALID)
    assert (rejected.raw, rejected.event_id) == (b"raw", event.event.event_id)


@pytest.mark.parametrize("rules", [{}, {"INVOICE_PAID": "amount"}])
def test_a_warning_is_noted_beside_the_resolution(tmp_path: Path, rules: dict[str, str]) -> None:
    event = incoming(an_invoice({"amount": 1}), rules=compile_rules(rules))

    noted = checked(event, schemas(tmp_path, "warn"))

    assert isinstance(noted, IncomingEvent)
    assert "payload schema INVOICE_PAID 1" in repr(noted.resolution)
    assert type(noted.resolution) is type(event.resolution)


def test_what_only_holds_launches_back_goes_its_way_with_a_note(tmp_path: Path) -> None:
    event = incoming(an_invoice({"amount": 1}), rules=compile_rules({"INVOICE_PAID": "amount"}))

    held = checked(event, schemas(tmp_path, "enforce_launches"))

    assert isinstance(held, IncomingEvent)
    assert held.launches_held is not None
    assert "payload schema INVOICE_PAID 1" in held.launches_held
    assert held.launches_held in repr(held.resolution)


@pytest.mark.parametrize("mode", ["warn", "enforce_launches", "enforce"])
@pytest.mark.parametrize("version", [None, "2"])
def test_the_schema_that_judged_is_named_also_where_all_fits(
    tmp_path: Path, mode: str, version: str | None
) -> None:
    event = incoming(an_invoice({"invoice": {"id": "7"}, "amount": 3}, version))

    judged = checked(event, schemas(tmp_path, mode))

    assert isinstance(judged, IncomingEvent)
    assert judged.judged_by == f"INVOICE_PAID {version or 1}"
    assert judged.launches_held is None


def test_a_name_without_a_schema_is_judged_by_none(tmp_path: Path) -> None:
    event = incoming(an_event(name="TICKET_OPENED"))

    assert checked(event, schemas(tmp_path)) == event
    off = checked(incoming(an_invoice({})), schemas(tmp_path, "off"))
    assert isinstance(off, IncomingEvent)
    assert off.judged_by is None
