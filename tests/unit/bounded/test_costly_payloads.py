"""Costly payloads and schemas: which way each takes, and how it ends in every mode."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from correlation.event import Payload
from correlation.judging import TOO_LARGE_TO_SAY, Schema
from correlation.reason import Reason
from correlation.rules import NO_RULES
from ingress.entry import Reading
from ingress.schemas import PayloadSchemas, schemas_from_file
from routing.gate import Backoff
from routing.incoming import IncomingEvent, RejectedEntry
from tests.builders import an_event, incoming
from tests.unit.worker.fakes import (
    FakeDeadLetters,
    FakeLedger,
    FakeSink,
    FakeSource,
    an_entry,
)
from worker.bounded.budgets import WorkLimits
from worker.bounded.judge import Judge
from worker.bounded.workers import Workers
from worker.consumer import Consumer
from worker.recording import Recorder
from worker.schema_checks import UnjudgedEvent, checked

INNOCENT = {
    "type": "object",
    "properties": {"names": {"type": "array", "items": {"type": ["string", "null"]}}},
}


@pytest.fixture
async def workers() -> AsyncGenerator[Workers]:
    limits = WorkLimits(workers=1, time=timedelta(seconds=1), memory=128 * 2**20)
    workers = Workers(limits)
    yield workers
    await workers.aclose()


def schemas_of(folder: Path, schema: dict[str, Any], mode: str = "enforce") -> PayloadSchemas:
    (folder / "schema.json").write_text(json.dumps(schema))
    entry = {"mode": mode, "versions": {"1": "schema.json"}}
    (folder / "schemas.json").write_text(json.dumps({"INVOICE_PAID": entry}))
    return schemas_from_file(folder / "schemas.json")


def an_event_with(payload: dict[str, Any]) -> IncomingEvent:
    event = replace(an_event(name="INVOICE_PAID"), payload=Payload(json.dumps(payload), payload))
    return replace(incoming(), event=event)


async def ended(
    event: IncomingEvent, schemas: PayloadSchemas, workers: Workers
) -> IncomingEvent | RejectedEntry:
    content = checked(event, schemas)
    assert isinstance(content, UnjudgedEvent)
    return await Judge(workers).judged(content)


@pytest.mark.parametrize("payload", [{"names": ["a", None]}, {"names": [1]}], ids=["fits", "not"])
async def test_a_small_payload_is_judged_where_it_is(
    tmp_path: Path, payload: dict[str, Any]
) -> None:
    content = checked(an_event_with(payload), schemas_of(tmp_path, INNOCENT))

    assert not isinstance(content, UnjudgedEvent)


async def test_a_large_payload_that_fits_goes_its_way(tmp_path: Path, workers: Workers) -> None:
    event = an_event_with({"names": ["x", None] * 100_000})

    content = await ended(event, schemas_of(tmp_path, INNOCENT), workers)

    assert isinstance(content, IncomingEvent)
    assert workers.ran == 1


async def test_of_a_large_payload_that_does_not_fit_the_first_fault_is_named(
    tmp_path: Path, workers: Workers
) -> None:
    event = an_event_with({"names": [1] * 100_000})

    content = await ended(event, schemas_of(tmp_path, INNOCENT), workers)

    assert isinstance(content, RejectedEntry)
    assert content.reason is Reason.SCHEMA_INVALID
    assert content.detail.count("$.names[") == 1
    assert workers.ran == 2


async def test_a_place_that_takes_too_long_to_find_is_left_out(workers: Workers) -> None:
    branches = [{"items": {"type": "string"}}, {"items": {"type": "null"}}]
    schema = Schema.compiled(json.dumps({"anyOf": branches}))
    value = json.dumps([1] * 200_000)

    found = await Judge(workers).faults(schema, value, 5)

    assert found == (TOO_LARGE_TO_SAY,)


@pytest.mark.parametrize("mode", ["enforce", "enforce_launches", "warn"])
async def test_a_payload_too_costly_to_judge_ends_as_the_mode_says(
    tmp_path: Path, mode: str
) -> None:
    event = an_event_with({"names": ["x"] * 200_000})
    hurried = Workers(WorkLimits(workers=1, time=timedelta(milliseconds=1)))

    content = await ended(event, schemas_of(tmp_path, INNOCENT, mode), hurried)
    await hurried.aclose()

    if mode == "enforce":
        assert isinstance(content, RejectedEntry)
        assert content.reason is Reason.SCHEMA_TOO_COSTLY
        assert "work_time" in content.detail
        return
    assert isinstance(content, IncomingEvent)
    assert (content.launches_held is not None) == (mode == "enforce_launches")


async def test_the_consumer_records_an_entry_that_a_worker_judges_in_its_place(
    tmp_path: Path, workers: Workers
) -> None:
    large = json.dumps({"names": [1] * 60_000})
    entries = [an_entry(1), an_entry(2, payload_json=large), an_entry(3)]
    source, ledger = FakeSource([Reading(entries)], []), FakeLedger()
    recorder = Recorder(ledger, FakeDeadLetters(), max_deliveries=2, backoff=Backoff())
    consumer = Consumer(
        source,
        recorder,
        FakeSink([]),
        lambda: NO_RULES,
        max_entry_bytes=2 * len(large),
        schemas=schemas_of(tmp_path, INNOCENT),
        judge=Judge(workers),
    )

    await consumer.run_until_idle()

    assert ledger.events == ["event-1", "event-3"]
    assert [entry.reason for entry in ledger.rejected] == [Reason.SCHEMA_INVALID]
    assert source.acknowledged == ["1-0", "2-0", "3-0"]
