"""The statements that register waits, each with the indexes that it relies on."""

from __future__ import annotations

from typing import Final

# Registers waits and lets each take the fitting events of its look-back, under the locks of their
# keys. Indexes: workflow_runtime_events_available, workflow_runtime_events_further_keys.
# Not taken: what this run has accepted already, and what an exclusive wait holds. Of several
# exclusive waits registered together only the oldest takes an event. Rivals are open waits of other
# runs of the same workflow id; whether those runs live on only Temporal knows. Index:
# workflow_run_waits_of_chains, entered by both ends around the run's own waits.
REGISTER_WAITS: Final = """
WITH incoming AS MATERIALIZED (
    SELECT * FROM unnest(
        %(tenants)b::text[], %(wait_ids)b::text[], %(names)b::text[], %(keys)b::text[],
        %(hashes)b::bigint[], %(workflow_ids)b::text[], %(run_ids)b::text[],
        %(signal_names)b::text[], %(kinds)b::text[], %(cardinalities)b::text[],
        %(filters)b::text[], %(lookbacks)b::interval[], %(expiries)b::timestamptz[],
        %(namespaces)b::text[], %(first_run_ids)b::text[], %(timeouts)b::timestamptz[],
        %(vouchers)b::text[]
    ) WITH ORDINALITY AS i (
        tenant_id, wait_id, event_name, correlation_key, hash, workflow_id, run_id, signal_name,
        kind, cardinality, filter, lookback, expires_at, namespace, first_run_id, times_out_at,
        vouched_by, ordinal
    )
), inserted AS (
    INSERT INTO workflow_run_waits (
        tenant_id, wait_id, event_name, correlation_key, workflow_id, run_id, signal_name, kind,
        cardinality, filter, lookback, status, registered_at, expires_at, namespace, first_run_id,
        times_out_at, vouched_by
    )
    SELECT tenant_id, wait_id, event_name, correlation_key, workflow_id, run_id, signal_name,
           kind, cardinality, filter, lookback, 'waiting', statement_timestamp(), expires_at,
           namespace, first_run_id, times_out_at, vouched_by
    FROM incoming ORDER BY ordinal
    ON CONFLICT (tenant_id, wait_id) DO NOTHING
    RETURNING tenant_id, wait_id, position
), found AS (
    SELECT i.ordinal, i.tenant_id, i.wait_id, i.correlation_key, i.workflow_id, i.run_id,
           i.signal_name, i.cardinality, i.namespace, i.first_run_id, n.position, e.event_id,
           e.received_at,
           row_number() OVER (PARTITION BY i.tenant_id, e.event_id, i.cardinality
                              ORDER BY n.position) AS age
    FROM incoming AS i JOIN inserted AS n USING (tenant_id, wait_id)
    CROSS JOIN LATERAL (
        SELECT event_id, received_at FROM workflow_runtime_events
        WHERE tenant_id = i.tenant_id AND event_name = i.event_name
          AND correlation_key = i.correlation_key
          AND received_at >= statement_timestamp() - i.lookback
          AND available_until > statement_timestamp()
        UNION ALL
        SELECT event_id, received_at FROM (
            SELECT * FROM workflow_runtime_events WHERE further_key_hashes @> ARRAY[i.hash] OFFSET 0
        ) AS several
        WHERE tenant_id = i.tenant_id AND event_name = i.event_name
          AND correlation_key <> i.correlation_key AND i.correlation_key = ANY (correlation_keys)
          AND received_at >= statement_timestamp() - i.lookback
          AND available_until > statement_timestamp()
        OFFSET 0
    ) AS e
    WHERE i.lookback > interval '0'
      AND (i.expires_at IS NULL OR i.expires_at > statement_timestamp())
      AND NOT EXISTS (
        SELECT FROM workflow_event_deliveries AS d
        WHERE d.tenant_id = i.tenant_id AND d.event_id = e.event_id
          AND ((d.workflow_id = i.workflow_id AND d.namespace = i.namespace
                AND d.disposition = 'accepted'
                AND (d.run_id = i.run_id OR d.run_id IS NULL OR i.run_id IS NULL))
            OR (d.cardinality = 'exclusive' AND d.status IN ('pending', 'delivered')
                AND (d.disposition IS NULL OR d.disposition = 'accepted')))
        OFFSET 0
    )
), taken AS (
    INSERT INTO workflow_event_deliveries (
        tenant_id, event_id, wait_id, workflow_id, run_id, signal_name, correlation_key,
        cardinality, status, looked_back, due_at, lease_owner, created_at, namespace, first_run_id
    )
    SELECT tenant_id, event_id, wait_id, workflow_id, run_id, signal_name, correlation_key,
           cardinality, 'pending', true, statement_timestamp(), NULL, statement_timestamp(),
           namespace, first_run_id
    FROM found WHERE cardinality = 'all' OR age = 1
    ORDER BY received_at, event_id, position
    RETURNING tenant_id, event_id, wait_id
), now_matched AS (
    UPDATE workflow_runtime_events AS e SET outcome = 'matched', reason = NULL
    FROM (SELECT DISTINCT tenant_id, event_id FROM taken) AS t
    WHERE e.tenant_id = t.tenant_id AND e.event_id = t.event_id AND e.outcome <> 'matched'
)
SELECT i.tenant_id, i.wait_id, n.wait_id IS NOT NULL AS registered,
       (SELECT count(*) FROM taken AS t
        WHERE t.tenant_id = i.tenant_id AND t.wait_id = i.wait_id) AS matched_events,
       ARRAY(
           SELECT w.wait_id FROM workflow_run_waits AS w
           WHERE w.tenant_id = i.tenant_id AND w.workflow_id = i.workflow_id
             AND w.status = 'waiting' AND w.first_run_id IS NOT NULL
             AND (w.first_run_id, w.run_id) < (i.first_run_id, i.run_id)
             AND w.namespace = i.namespace
           UNION ALL
           SELECT w.wait_id FROM workflow_run_waits AS w
           WHERE w.tenant_id = i.tenant_id AND w.workflow_id = i.workflow_id
             AND w.status = 'waiting' AND w.first_run_id IS NOT NULL
             AND (w.first_run_id, w.run_id) > (i.first_run_id, i.run_id)
             AND w.namespace = i.namespace
       ) AS rivals
FROM incoming AS i LEFT JOIN inserted AS n USING (tenant_id, wait_id)
ORDER BY i.ordinal
"""

# Of waits that were there before: are they the same ones, and how do they stand?
KNOWN_WAITS: Final = """
SELECT w.tenant_id, w.wait_id, w.event_name, w.correlation_key, w.workflow_id, w.signal_name,
       w.kind, w.cardinality, w.status, w.namespace, w.run_id, w.first_run_id,
       (SELECT count(*) FROM workflow_event_deliveries AS d
        WHERE d.tenant_id = w.tenant_id AND d.wait_id = w.wait_id AND d.looked_back)
FROM unnest(%(tenants)b::text[], %(wait_ids)b::text[]) AS i (tenant_id, wait_id)
JOIN workflow_run_waits AS w USING (tenant_id, wait_id)
"""
