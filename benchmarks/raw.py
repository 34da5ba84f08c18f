"""The limits of the parts: what Redis, Postgres and Temporal take when nothing else is done."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import psycopg
from redis import Redis
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import Client

from benchmarks.events import BATCH, Fields
from benchmarks.stage import GROUP, Pace

# All columns and indexes that Pointsman fills, its look-up of the waits, and nothing else: no
# locks, no deliveries, no wire format, no correlation.
INSERT_EVENTS: Final = """
INSERT INTO workflow_runtime_events (
    tenant_id, event_id, event_name, outcome, reason, correlation_key, key_source, key_detail,
    rules_version, payload, content_digest, stream, entry_id, occurred_at, received_at,
    available_until
)
SELECT i.tenant_id, event_id, i.event_name,
       CASE WHEN waits = 0 THEN 'no_wait' ELSE 'matched' END,
       CASE WHEN waits = 0 THEN 'no_open_wait' END,
       i.correlation_key, 'derived', key_detail, rules_version, payload, content_digest, stream,
       entry_id, occurred_at, statement_timestamp() + ordinal * interval '1 microsecond',
       statement_timestamp() + interval '7 days'
FROM unnest(
    %(tenants)b::text[], %(event_ids)b::text[], %(names)b::text[], %(keys)b::text[],
    %(key_details)b::text[], %(rules_versions)b::text[], %(payloads)b::text[],
    %(digests)b::bytea[], %(streams)b::text[], %(entry_ids)b::text[], %(occurred)b::timestamptz[]
) WITH ORDINALITY AS i (
    tenant_id, event_id, event_name, correlation_key, key_detail, rules_version, payload,
    content_digest, stream, entry_id, occurred_at, ordinal
)
CROSS JOIN LATERAL (
    SELECT count(*) AS waits FROM workflow_run_waits AS w
    WHERE w.tenant_id = i.tenant_id AND w.event_name = i.event_name
      AND w.correlation_key = i.correlation_key AND w.status = 'waiting'
) AS w
"""


def insert(connection: psycopg.Connection, events: Iterator[Fields]) -> Pace:
    """Insert events joined to the wait index, 500 rows per statement, on one connection."""
    columns = [_columns(batch) for batch in _batches(list(events))]
    connection.execute("SET enable_seqscan = off")
    count = sum(len(cast("list[str]", each["event_ids"])) for each in columns)
    started = time.perf_counter()
    for each in columns:
        connection.execute(INSERT_EVENTS, each, prepare=True)
    return Pace(count, time.perf_counter() - started)


def _batches(events: Sequence[Fields]) -> Iterator[Sequence[Fields]]:
    return (events[start : start + BATCH] for start in range(0, len(events), BATCH))


def _columns(batch: Sequence[Fields]) -> dict[str, object]:
    return {
        "tenants": [event["tenant"] for event in batch],
        "event_ids": [event["event_id"] for event in batch],
        "names": [event["event_type"] for event in batch],
        "keys": [json.loads(event["payload_json"])["invoice"]["id"] for event in batch],
        "key_details": ["*: invoice.id"] * len(batch),
        "rules_versions": ["0123456789ab"] * len(batch),
        "payloads": [event["payload_json"] for event in batch],
        "digests": [
            hashlib.blake2b(e["payload_json"].encode(), digest_size=16).digest() for e in batch
        ],
        "streams": ["benchmark:12345678"] * len(batch),
        "entry_ids": ["1790000000000-123"] * len(batch),
        "occurred": [event["timestamp"] for event in batch],
    }


def read_and_acknowledge(redis: Redis, stream: str, count: int) -> Pace:
    """XREADGROUP, `json.loads` of the payload, XACK: in batches of 500."""
    started = time.perf_counter()
    done = 0
    while done < count:
        reply = cast("Any", redis.xreadgroup(GROUP, "raw", {stream: ">"}, count=BATCH))
        entries = reply[0][1]
        for _, fields in entries:
            json.loads(fields[b"payload_json"])
        redis.xack(stream, GROUP, *(entry_id for entry_id, _ in entries))
        done += len(entries)
    return Pace(done, time.perf_counter() - started)


async def signal_all(
    client: Client, workflow_ids: Sequence[str], arguments: Sequence[bytes], concurrency: int
) -> Pace:
    """Signal RPCs and nothing else, so many in flight."""
    waiting = iter(zip(workflow_ids, arguments, strict=True))

    async def send() -> None:
        for workflow_id, argument in waiting:
            await signal_once(client, workflow_id, argument)

    started = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(concurrency)))
    return Pace(len(workflow_ids), time.perf_counter() - started)


async def signal_once(client: Client, workflow_id: str, argument: bytes) -> None:
    """One signal, as Pointsman sends it."""
    payload = Payload(metadata={"encoding": b"json/plain"}, data=argument)
    await client.workflow_service.signal_workflow_execution(
        SignalWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            signal_name="pointsman.event",
            input=Payloads(payloads=[payload]),
            identity="benchmark",
            request_id=hashlib.md5(argument, usedforsecurity=False).hexdigest(),
        ),
        retry=True,  # a server that is overrun for a while is slow, and no reason to give up
    )
