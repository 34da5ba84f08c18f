"""What a race left in the database, read from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import psycopg

# An event and an open wait of its key that rest side by side and have never met.
LOST: Final = """
SELECT count(*) FROM workflow_runtime_events AS e
JOIN workflow_run_waits AS w USING (tenant_id, event_name, correlation_key)
WHERE w.status = 'waiting' AND e.available_until > now()
  AND e.received_at >= w.registered_at - w.lookback
  AND NOT EXISTS (
    SELECT FROM workflow_event_deliveries AS d
    WHERE d.tenant_id = e.tenant_id AND d.event_id = e.event_id
      AND (d.wait_id = w.wait_id OR d.cardinality = 'exclusive'))
"""
# Of exclusive waits only one may have an event.
DOUBLED: Final = """
SELECT coalesce(sum(handed - 1), 0) FROM (
    SELECT count(*) AS handed FROM workflow_event_deliveries WHERE cardinality = 'exclusive'
    GROUP BY tenant_id, event_id HAVING count(*) > 1
) AS several
"""
# A delivery whose event and wait do not belong together.
CROSSED: Final = """
SELECT count(*) FROM workflow_event_deliveries AS d
JOIN workflow_runtime_events AS e USING (tenant_id, event_id)
JOIN workflow_run_waits AS w USING (tenant_id, wait_id)
WHERE (e.event_name, e.correlation_key) <> (w.event_name, w.correlation_key)
"""
COUNTS: Final = """
SELECT (SELECT count(*) FROM workflow_runtime_events),
       (SELECT count(*) FROM workflow_run_waits WHERE status = 'waiting'),
       (SELECT count(*) FROM workflow_event_deliveries),
       (SELECT count(*) FROM workflow_event_deliveries WHERE looked_back),
       (SELECT count(*) FROM workflow_runtime_events WHERE outcome = 'no_wait')
"""


@dataclass(frozen=True, slots=True)
class Findings:
    """Counts of rows, and of what must never be there."""

    events: int
    waits: int
    deliveries: int
    looked_back: int
    """Of the deliveries, those that the wait found; the others the event found."""
    unmatched: int
    lost: int
    doubled: int
    crossed: int

    @property
    def flawless(self) -> bool:
        """Whether nothing is there that must not be."""
        return not (self.lost or self.doubled or self.crossed)


def look(url: str) -> Findings:
    """Count what stands in the database now."""
    with psycopg.connect(url) as connection:
        counts = _row(connection, COUNTS)
        faults = [_row(connection, query)[0] for query in (LOST, DOUBLED, CROSSED)]
    return Findings(*counts, *(int(fault) for fault in faults))


def _row(connection: psycopg.Connection[tuple[int, ...]], query: str) -> tuple[int, ...]:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row
