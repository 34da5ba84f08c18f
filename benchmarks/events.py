"""The events that are published, and the waits that are in the index."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from psycopg import Connection
from redis import Redis

TENANTS: Final = 10
NAMES: Final = 20
RULES: Final = json.dumps({"*": ["invoice.id"]})
"""The key stands in the payload, as it mostly does: it has to be parsed and derived."""
SMALL: Final = 512
"""Bytes of an ordinary payload."""
BATCH: Final = 500

_run = random.Random(7)
_serial = itertools.count(1)

Fields = Mapping[str, str]


def tenant_of(number: int) -> str:
    return f"tenant-{number % TENANTS}"


def name_of(number: int) -> str:
    return f"INVOICE_EVENT_{number % NAMES}"


def an_event(
    number: int, key: str, *, size: int = SMALL, keys: Sequence[str] = (), tenant: str | None = None
) -> Fields:
    """The fields of an entry; `size` is about that of its payload."""
    serial = next(_serial)
    invoice = {"id": key, "amount": f"{number}.50", "currency": "EUR", "paidBy": f"c-{serial}"}
    payload: dict[str, object] = {"invoice": invoice, "note": ""}
    if keys:
        payload["lines"] = [{"invoiceId": each} for each in keys]
    missing = size - len(json.dumps(payload))
    payload["note"] = "x" * max(0, missing)
    return {
        "event_id": f"event-{serial:012d}",
        "event_type": name_of(number),
        "event_name": name_of(number),
        "tenant": tenant or tenant_of(number),
        "timestamp": datetime.now(UTC).isoformat(),
        "payload_json": json.dumps(payload),
    }


def noise(count: int, *, size: int = SMALL) -> Iterator[Fields]:
    """Events whose keys nobody waits for."""
    for number in range(count):
        yield an_event(number, f"nobody-{_run.getrandbits(48)}", size=size)


def waited_for(numbers: Sequence[int]) -> Iterator[Fields]:
    """Events for the waits of these numbers (see `fill_waits`)."""
    for number in numbers:
        yield an_event(number, wait_key(number))


def wait_key(number: int) -> str:
    return f"invoice-{number:09d}"


def publish(redis: Redis, stream: str, events: Iterator[Fields]) -> int:
    """Append events in batches; how many they were."""
    count = 0
    while batch := list(itertools.islice(events, BATCH)):
        with redis.pipeline(transaction=False) as pipeline:
            for fields in batch:
                # redis-py declares a dictionary of its own unions, which is invariant.
                pipeline.xadd(stream, fields)  # type: ignore[arg-type]
            pipeline.execute()
        count += len(batch)
    return count


FILL_WAITS: Final = """
INSERT INTO workflow_run_waits (
    tenant_id, wait_id, event_name, correlation_key, workflow_id, run_id, signal_name, kind,
    cardinality, filter, lookback, status, registered_at, expires_at
)
SELECT 'tenant-' || n %% %(tenants)s, 'wait-' || lpad(n::text, 9, '0'),
       'INVOICE_EVENT_' || n %% %(names)s, 'invoice-' || lpad(n::text, 9, '0'),
       'workflow-' || n, NULL, 'pointsman.event', 'wait', 'all', NULL,
       interval '0', 'waiting', statement_timestamp(), NULL
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""


def fill_waits(connection: Connection, first: int, count: int) -> None:
    """Open waits numbered from `first`, straight into the table; those of nobody's runs."""
    parameters = {"tenants": TENANTS, "names": NAMES, "first": first, "last": first + count - 1}
    connection.execute(FILL_WAITS, parameters)
    connection.execute("VACUUM ANALYZE workflow_run_waits")
