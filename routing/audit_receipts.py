"""What a publisher is told of events just posted: their keys, what they met, what they start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from routing.columns import identity_columns
from routing.database import Connection
from routing.incoming import Identity


@dataclass(frozen=True, slots=True)
class MatchedWait:
    """A wait that the event met."""

    wait_id: str
    workflow_id: str


@dataclass(frozen=True, slots=True)
class StartedWorkflow:
    """What a trigger makes of the event."""

    trigger_id: str
    workflow_id: str
    workflow_type: str
    status: str
    """`pending` (it is about to be started), `launched`, `dead`, or `skipped` for the reason."""
    reason: str | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """An event as it stands in the audit now."""

    keys: tuple[str, ...]
    waits: tuple[MatchedWait, ...]
    launches: tuple[StartedWorkflow, ...]


# Indexes: the primary keys of events, deliveries and launches.
RECEIPTS: Final = """
SELECT e.tenant_id, e.event_id,
       coalesce(e.correlation_keys, array_remove(ARRAY[e.correlation_key], NULL)),
       d.wait_ids, d.workflow_ids, l.launches
FROM unnest(%(tenants)s::text[], %(event_ids)s::text[]) AS i (tenant_id, event_id)
JOIN workflow_runtime_events AS e USING (tenant_id, event_id)
CROSS JOIN LATERAL (
    SELECT array_agg(wait_id ORDER BY position) AS wait_ids,
           array_agg(workflow_id ORDER BY position) AS workflow_ids
    FROM workflow_event_deliveries
    WHERE tenant_id = e.tenant_id AND event_id = e.event_id
) AS d
CROSS JOIN LATERAL (
    SELECT array_agg(ARRAY[trigger_id, workflow_id, workflow_type, status, reason]
                     ORDER BY trigger_id) AS launches
    FROM workflow_event_launches
    WHERE tenant_id = e.tenant_id AND event_id = e.event_id
) AS l
"""


async def read_receipts(
    connection: Connection, identities: Sequence[Identity]
) -> Mapping[Identity, Receipt]:
    """The receipts of these events; those that are not recorded are left out."""
    cursor = await connection.execute(RECEIPTS, identity_columns(identities))
    return {
        (tenant, event_id): Receipt(
            tuple(keys),
            tuple(
                MatchedWait(wait_id, workflow_id)
                for wait_id, workflow_id in zip(wait_ids or (), workflow_ids or (), strict=True)
            ),
            tuple(StartedWorkflow(*each) for each in launches or ()),
        )
        for tenant, event_id, keys, wait_ids, workflow_ids, launches in await cursor.fetchall()
    }
