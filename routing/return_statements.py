"""Taking the acceptance of events back, with the index that it relies on."""

from __future__ import annotations

from typing import Final

# Takes acceptances back, and opens the waits again that ended with one. What was not accepted yet
# has arrived at any rate. Index: the primary keys.
RETURN_EVENTS: Final = """
WITH spoken_of AS (
    SELECT d.tenant_id, d.event_id, d.wait_id, d.disposition
    FROM unnest(%(tenants)b::text[], %(wait_ids)b::text[], %(event_ids)b::text[])
         AS i (tenant_id, wait_id, event_id)
    JOIN workflow_event_deliveries AS d USING (tenant_id, wait_id, event_id)
    WHERE d.disposition IS NULL OR d.disposition = 'accepted'
), given_back AS (
    UPDATE workflow_event_deliveries AS d
    SET disposition = NULL, disposed_at = NULL, status = 'delivered', lease_owner = NULL,
        delivered_at = coalesce(d.delivered_at, statement_timestamp()), reason = NULL, detail = NULL
    FROM spoken_of AS s
    WHERE d.tenant_id = s.tenant_id AND d.event_id = s.event_id AND d.wait_id = s.wait_id
)
UPDATE workflow_run_waits AS w
SET status = 'waiting', disposition = NULL, closed_at = NULL
FROM spoken_of AS s
WHERE w.tenant_id = s.tenant_id AND w.wait_id = s.wait_id AND s.disposition = 'accepted'
  AND w.status <> 'waiting' AND w.disposition = 'accepted' AND w.kind <> 'stream'
"""
