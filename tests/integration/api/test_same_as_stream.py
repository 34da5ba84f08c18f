"""Every line of the example events ends alike, posted or read from the stream."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import httpx
import psycopg
import pytest

from ingress.entry import Entry, EntryId, Pending, Reading, StreamName, entry_of
from routing.database import Database, DatabaseLimits, open_database
from routing.gate import Backoff
from routing.matching import Matcher, Matching
from routing.waits import Waits
from tests.builders import a_wait
from tests.conftest import offered
from tests.databases import database_from
from tests.integration.api.caller import FakeDeadLetters, FakeSink, open_api
from tests.keeper import TEMPLATE
from worker.consumer import Consumer
from worker.demo.examples import read_examples
from worker.embedded import Part
from worker.recording import Recorder
from worker.rules_source import rules_from_file

EXAMPLES: Final = read_examples(Path(__file__).resolve().parents[3] / "examples")
RULES: Final = rules_from_file(EXAMPLES.rules_file)
Fields: TypeAlias = Mapping[bytes, bytes]
Ending: TypeAlias = tuple[str, str | None, tuple[str, ...], tuple[str, ...]]

# Some of the keys that the examples' workflows wait for, so that events are matched, too.
WAITS: Final = [
    a_wait(tenant=tenant, event_name=name, key=key, wait_id=f"{tenant}-{name}-{key}")
    for tenant in ("acme", "globex")
    for name, keys in {
        "INVOICE_PAID": ("INV-7001", "INV-7002", "INV-7005", "INV-7018", "90071992547409931234"),
        "TICKET_RESOLVED": ("T-1001", "T-1002", "5001"),
        "APPOINTMENT_BOOKED": ("C-41", "C-42"),
    }.items()
    for key in keys
]


class OneReading:
    """A source that brings the examples at once."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries

    async def read(self) -> Reading:
        entries, self._entries = self._entries, ()
        return Reading(entries)

    async def acknowledge(self, entries: Sequence[Pending]) -> None:
        pass

    async def survived(self, entry: Entry) -> None:
        raise AssertionError(f"{entry.entry_id} was handed out alone")


class NoDeadLetters:
    async def set_aside(self, entry: Entry, reason: Any, detail: str) -> None:
        raise AssertionError(f"{entry.entry_id} was set aside: {detail}")


async def read_from_stream(database: Database) -> None:
    """One line after the other, as they are posted, each with its line's number as entry id."""
    recorder = Recorder(
        Matcher(database, Matching(owner="stream")),
        NoDeadLetters(),
        max_deliveries=1,
        backoff=_backoff(),
    )
    for example in EXAMPLES.entries:
        entry = entry_of(StreamName("s"), EntryId(f"{example.line}"), example.fields)
        source = OneReading([entry])
        consumer = Consumer(
            source, recorder, FakeSink(), lambda: RULES, max_entry_bytes=1024 * 1024
        )
        await consumer.run_until_idle()


def _backoff() -> Backoff:
    return Backoff(timedelta(milliseconds=1), timedelta(milliseconds=1))


def request_of(fields: Fields) -> dict[str, Any]:
    """The request that a publisher would make of the same event."""
    if b"cloudevent" in fields:
        return {
            "content": fields[b"cloudevent"],
            "headers": {"Content-Type": "application/cloudevents+json"},
        }
    if any(name in fields for name in (b"ce_specversion", b"ce_id", b"ce_source", b"ce_type")):
        headers = {
            name.decode().replace("ce_", "ce-", 1): quote(value)
            for name, value in fields.items()
            if name.startswith(b"ce_")
        }
        content_type = fields.get(b"content-type", b"application/json").decode()
        return {
            "content": fields.get(b"data", b""),
            "headers": {**headers, "Content-Type": content_type},
        }
    # Members are put together by hand: values that are no UTF-8 go as they are.
    members = b",".join(
        json.dumps(name.decode()).encode() + b":" + _json_text(value)
        for name, value in fields.items()
    )
    return {"content": b"{%s}" % members, "headers": {"Content-Type": "application/json"}}


def _json_text(value: bytes) -> bytes:
    try:
        return json.dumps(value.decode()).encode()
    except UnicodeDecodeError:
        return b'"%s"' % value


async def post(client: httpx.AsyncClient, fields: Fields) -> tuple[str, str | None]:
    answered = (await client.post("/v1/events", **request_of(fields))).json()
    return answered["outcome"], answered["reason"]


def endings(url: str) -> tuple[dict[tuple[str, str], Ending], Counter[tuple[str, str]]]:
    """How every event stands in the audit, and how often each way of being no event occurs."""
    with psycopg.connect(url) as connection:
        events = connection.execute(
            """SELECT tenant_id, event_id, outcome, reason,
                      coalesce(correlation_keys, ARRAY[correlation_key]),
                      ARRAY(SELECT wait_id FROM workflow_event_deliveries AS d
                            WHERE (d.tenant_id, d.event_id) = (e.tenant_id, e.event_id) ORDER BY 1)
               FROM workflow_runtime_events AS e"""
        ).fetchall()
        rejected = connection.execute(
            "SELECT outcome, reason FROM workflow_rejected_entries"
        ).fetchall()
    found = {(row[0], row[1]): (row[2], row[3], tuple(row[4]), tuple(row[5])) for row in events}
    return found, Counter((row[0], row[1]) for row in rejected)


@pytest.fixture
async def other_url(pytestconfig: pytest.Config) -> AsyncIterator[str]:
    """A second database like the test's own."""
    server, template = offered(pytestconfig, Part.POSTGRES), offered(pytestconfig, TEMPLATE)
    with database_from(template.address, server.address) as url:
        yield url


async def test_api_and_stream_end_every_example_alike(
    database: Database, database_url: str, other_url: str
) -> None:
    await Waits(database).register(WAITS)
    async with open_database(other_url, DatabaseLimits()) as other:
        await Waits(other).register(WAITS)
        await read_from_stream(other)

    async with open_api(database, FakeDeadLetters()) as api:
        api.rules[0] = RULES
        client = await api.admin()
        answered = [await post(client, example.fields) for example in EXAMPLES.entries]

    by_stream, by_api = endings(other_url), endings(database_url)
    assert by_api == by_stream
    assert {end[0] for end in by_stream[0].values()} == {"matched", "no_wait", "unresolved"}
    assert Counter(answered) >= by_stream[1]
    assert len(answered) == len(EXAMPLES.entries) > 200
