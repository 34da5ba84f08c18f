"""The contracts as documents: in step with the code, and true of what the code takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import ValidationError

from correlation.event import Event
from ingress.envelope import decode
from pointsman.contract import CloseWait, EventSignal, RegisterWait
from worker.contract_documents import contract_documents
from worker.contract_schemas import contract_schemas

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs" / "contracts"
EXAMPLES = (ROOT / "examples" / "events.jsonl").read_text().splitlines()
# Some hold bytes that are no text: those no schema can speak of.
ENTRIES = [
    entry
    for entry in (json.loads(line)["entry"] for line in EXAMPLES)
    if all(isinstance(value, str) for value in entry.values())
]
FORMS = [name for name in contract_schemas() if name.startswith("stream_entry_")]
REGISTRATION = {
    "tenant": "acme",
    "wait_id": "w",
    "event_name": "INVOICE_PAID",
    "correlation_key": 7,
    "workflow_id": "order-7",
}


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def resolved(document: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


def fits(name: str, value: Any) -> bool:
    return jsonschema_rs.is_valid(contract_schemas()[name], value)


def test_every_contract_document_is_as_the_code_has_it() -> None:
    written = {path.name: path.read_text() for path in FOLDER.iterdir()}

    assert written == contract_documents(), "write them anew: pointsman contracts docs/contracts"


@pytest.mark.parametrize("name", contract_schemas())
def test_every_schema_is_one(name: str) -> None:
    schema = contract_schemas()[name]

    assert jsonschema_rs.meta.is_valid(schema)
    assert schema["description"]


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = json.loads(contract_documents()["asyncapi.json"])

    found = list(references(document))

    assert len(found) > 20
    for reference in found:
        assert resolved(document, reference), reference


def test_every_example_event_that_is_understood_fits_the_schema_of_its_form() -> None:
    understood = 0

    for entry in ENTRIES:
        fields = {name.encode(): value.encode() for name, value in entry.items()}
        if isinstance(decode(fields, max_bytes=2**20), Event):
            understood += 1
            assert any(fits(form, entry) for form in FORMS), entry

    assert understood > 100


@pytest.mark.parametrize(
    "entry",
    [
        {"event_id": "1", "event_type": "PAID"},
        {"tenant": "acme", "event_type": "PAID"},
        {"tenant": "acme", "event_id": "1"},
        {"tenant": "a" * 256, "event_id": "1", "event_type": "PAID"},
        {"tenant": "ac\u0000me", "event_id": "1", "event_type": "PAID"},
        {"ce_specversion": "0.3", "ce_id": "1", "ce_source": "s", "ce_type": "t"},
        {"hello": "world"},
    ],
)
def test_no_schema_lets_through_what_is_malformed(entry: dict[str, str]) -> None:
    fields = {name.encode(): value.encode() for name, value in entry.items()}

    assert not isinstance(decode(fields, max_bytes=2**20), Event)
    assert not any(fits(form, entry) for form in FORMS)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"correlation_key": True},
        {"correlation_key": None},
        {"correlation_key": ["7"]},
        {"tenant": ""},
        {"tenant": "x" * 256},
        {"event_name": "a\u0007b"},
        {"lookback_seconds": -1},
        {"cardinality": "some"},
        {"expires_at": "2026-11-21T10:00:00Z"},
        {"expire_at": "2026-11-21T10:00:00Z"},
    ],
)
def test_the_schema_of_a_registration_and_its_model_agree(change: dict[str, Any]) -> None:
    request = REGISTRATION | change

    try:
        RegisterWait.model_validate(request)
        accepted = True
    except ValidationError:
        accepted = False

    assert fits("register_wait", request) == accepted


def test_what_goes_out_fits_its_schema() -> None:
    signal = EventSignal(
        waitId="w",
        eventId="e",
        eventName="PAID",
        correlationKey="7",
        payload={"a": 1},
        receivedAt="2026-11-21T10:00:00Z",  # type: ignore[arg-type]  # read as from the wire
        deliveryId="d",
    )

    assert fits("event_signal", signal.model_dump(mode="json"))
    assert fits(
        "close_wait",
        CloseWait.model_validate(
            {"tenant": "acme", "wait_id": "w", "disposition": "accepted"}
        ).model_dump(mode="json"),
    )
