"""One event and more waits than one statement should take: the rest of them, portion by portion.

All of it happens in the match transaction, under the lock of the key: a wait that is registered
meanwhile comes after it and takes the event by its look-back, and after a crash the event is
recorded from the beginning. What is delivered here is left in the table, to be claimed.
"""

from __future__ import annotations

from typing import Final

from correlation.event import Event
from routing.database import Connection

PORTION: Final = 2_000
"""Deliveries of one key that one statement inserts at most."""
MOST: Final = 20_000
"""Deliveries of a batch that one statement inserts at most; else the batch is halved."""

# Index: workflow_run_waits_open, from a position on. Those that the match itself took are there
# already. An exclusive wait gets the event if none has it: the oldest, for portions come in order.
NEXT_PORTION: Final = """
WITH line AS MATERIALIZED (
    SELECT * FROM workflow_run_waits
    WHERE tenant_id = %(tenant)s AND event_name = %(event_name)s
      AND correlation_key = %(key)s AND status = 'waiting' AND position > %(after)s
      AND (expires_at IS NULL OR expires_at > statement_timestamp())
    ORDER BY position LIMIT %(portion)s
), chosen AS (
    SELECT * FROM line WHERE cardinality = 'all'
    UNION ALL
    (SELECT * FROM line WHERE cardinality = 'exclusive' AND NOT EXISTS (
        SELECT FROM workflow_event_deliveries AS d
        WHERE d.tenant_id = %(tenant)s AND d.event_id = %(event_id)s
          AND d.cardinality = 'exclusive')
     ORDER BY position LIMIT 1)
), delivered AS (
    INSERT INTO workflow_event_deliveries (
        tenant_id, event_id, wait_id, workflow_id, run_id, signal_name, correlation_key,
        cardinality, status, looked_back, due_at, lease_owner, created_at, namespace, first_run_id
    )
    SELECT tenant_id, %(event_id)s, wait_id, workflow_id, run_id, signal_name, correlation_key,
           cardinality, 'pending', false, statement_timestamp(), NULL, statement_timestamp(),
           namespace, first_run_id
    FROM chosen ORDER BY position
    ON CONFLICT (tenant_id, event_id, wait_id) DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM delivered), (SELECT count(*) FROM line),
       (SELECT max(position) FROM line)
"""


async def hand_on(
    connection: Connection, event: Event, keys: list[str], portion: int = PORTION
) -> int:
    """Deliver the event to every wait of its keys that has no delivery yet; how many those are."""
    delivered = 0
    for key in keys:
        after, found = 0, portion
        while found == portion:
            cursor = await connection.execute(
                NEXT_PORTION,
                {
                    "tenant": event.tenant,
                    "event_id": event.event_id,
                    "event_name": event.name,
                    "key": key,
                    "after": after,
                    "portion": portion,
                },
            )
            [(count, found, last)] = await cursor.fetchall()
            delivered += count
            after = last or after
    return delivered
