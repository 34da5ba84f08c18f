"""The statements of replaying and binding, each with the index that it relies on."""

# ruff: noqa: S608 - the statements are put together from constants of this module only
from __future__ import annotations

from typing import Final

# Index: the primary key; the deliveries' for the keys under which the event was handed on.
STORED_EVENTS: Final = """
SELECT e.tenant_id AS tenant, e.event_id, e.event_name AS name, e.outcome, e.reason, e.detail,
       coalesce(e.correlation_keys, array_remove(ARRAY[e.correlation_key], NULL)) AS keys,
       e.key_detail, e.rules_version, e.payload, e.received_at, e.context, e.stream, e.entry_id,
       ARRAY(SELECT d.correlation_key FROM workflow_event_deliveries AS d
             WHERE d.tenant_id = e.tenant_id AND d.event_id = e.event_id
             ORDER BY d.position) AS matched_keys
FROM unnest(%(tenants)b::text[], %(event_ids)b::text[]) WITH ORDINALITY
    AS i (tenant_id, event_id, ordinal)
JOIN workflow_runtime_events AS e USING (tenant_id, event_id)
ORDER BY i.ordinal
"""

_INCOMING: Final = """
incoming AS MATERIALIZED (
    SELECT * FROM unnest(
        %(tenants)b::text[], %(event_ids)b::text[], %(names)b::text[], %(reasons)b::text[],
        %(details)b::text[], %(keys)b::text[], %(all_keys)b::text[], %(further_hashes)b::text[],
        %(sources)b::text[], %(key_details)b::text[], %(rules_versions)b::text[]
    ) WITH ORDINALITY AS i (
        tenant_id, event_id, event_name, reason, detail, correlation_key, all_keys, further_hashes,
        key_source, key_detail, rules_version, ordinal
    )
), probes AS MATERIALIZED (
    SELECT ordinal, tenant_id, event_id, event_name, correlation_key
    FROM incoming WHERE correlation_key IS NOT NULL
    UNION ALL
    SELECT i.ordinal, i.tenant_id, i.event_id, i.event_name, f.key
    FROM unnest(%(further_ordinals)b::bigint[], %(further_keys)b::text[]) AS f (ordinal, key)
    JOIN incoming AS i USING (ordinal)
)"""

# The open waits that an event meets and has not been handed to; not those of human tasks, which
# are answered once and after their form; not those of a run that accepted the event under another
# wait, and no exclusive one while another exclusive wait holds it.
# Indexes: workflow_run_waits_open, the deliveries' primary key.
_VOUCHED: Final = "AND true"
"""What REPLAY_VOUCHED puts a condition in the place of."""
_OPEN_CANDIDATES: Final = f"""
candidates AS (
    SELECT p.ordinal, p.event_id, w.*,
           row_number() OVER (PARTITION BY p.ordinal, w.cardinality ORDER BY w.position) AS age
    FROM probes AS p CROSS JOIN LATERAL (
        SELECT tenant_id, wait_id, correlation_key, workflow_id, run_id, signal_name, cardinality,
               position, namespace, first_run_id
        FROM workflow_run_waits
        WHERE tenant_id = p.tenant_id AND event_name = p.event_name
          AND correlation_key = p.correlation_key AND status = 'waiting' AND kind <> 'human'
          {_VOUCHED}
          AND (expires_at IS NULL OR expires_at > statement_timestamp())
        OFFSET 0
    ) AS w
    WHERE NOT EXISTS (
        SELECT FROM workflow_event_deliveries AS d
        WHERE d.tenant_id = p.tenant_id AND d.event_id = p.event_id
          AND (d.wait_id = w.wait_id
            OR (d.workflow_id = w.workflow_id AND d.namespace = w.namespace
                AND d.disposition = 'accepted'
                AND (d.run_id = w.run_id OR d.run_id IS NULL OR w.run_id IS NULL))
            OR (w.cardinality = 'exclusive' AND d.cardinality = 'exclusive'
                AND d.status IN ('pending', 'delivered')
                AND (d.disposition IS NULL OR d.disposition = 'accepted')))
        OFFSET 0
    )
), chosen AS MATERIALIZED (
    SELECT * FROM candidates WHERE cardinality = 'all' OR age = 1
)"""

FORESEE_NOW: Final = f"""
WITH {_INCOMING}, {_OPEN_CANDIDATES}
SELECT ordinal, wait_id, workflow_id, correlation_key FROM chosen ORDER BY ordinal, position
"""

# Beside the waits that are open now, those that were open when the event came.
# Index: workflow_run_waits_closed.
FORESEE_SINCE_ARRIVAL: Final = f"""
WITH {_INCOMING}, {_OPEN_CANDIDATES}, earlier AS (
    SELECT p.ordinal, w.wait_id, w.workflow_id, w.correlation_key, w.position
    FROM probes AS p
    JOIN workflow_runtime_events AS e USING (tenant_id, event_id)
    CROSS JOIN LATERAL (
        SELECT * FROM workflow_run_waits
        WHERE tenant_id = p.tenant_id AND event_name = p.event_name
          AND correlation_key = p.correlation_key AND status = 'closed'
        OFFSET 0
    ) AS w
    WHERE w.registered_at <= e.received_at AND w.closed_at > e.received_at
      AND (w.expires_at IS NULL OR w.expires_at > e.received_at)
      AND NOT EXISTS (
        SELECT FROM workflow_event_deliveries AS d
        WHERE d.tenant_id = p.tenant_id AND d.event_id = p.event_id AND d.wait_id = w.wait_id
        OFFSET 0)
)
SELECT ordinal, wait_id, workflow_id, correlation_key FROM (
    SELECT ordinal, wait_id, workflow_id, correlation_key, position FROM chosen
    UNION ALL
    SELECT * FROM earlier
) AS both_kinds ORDER BY ordinal, position
"""

# Under the locks of the events' keys, old and new. An event stays available for as long as it
# would have been had it come with these keys at first. What it met once it has met: it stays
# matched whatever its keys are now. Index: the events' primary key.
REPLAY_EVENTS: Final = f"""
WITH {_INCOMING}, {_OPEN_CANDIDATES}, delivered AS (
    INSERT INTO workflow_event_deliveries (
        tenant_id, event_id, wait_id, workflow_id, run_id, signal_name, correlation_key,
        cardinality, status, looked_back, due_at, lease_owner, created_at, namespace, first_run_id
    )
    SELECT tenant_id, event_id, wait_id, workflow_id, run_id, signal_name, correlation_key,
           cardinality, 'pending', false, statement_timestamp(), NULL, statement_timestamp(),
           namespace, first_run_id
    FROM chosen ORDER BY ordinal, position
    ON CONFLICT (tenant_id, event_id, wait_id) DO NOTHING
    RETURNING tenant_id, event_id, wait_id
), judged AS (
    SELECT i.*, coalesce(n.waits, '{{}}') AS waits,
           n.waits IS NOT NULL OR EXISTS (
               SELECT FROM workflow_event_deliveries AS d
               WHERE d.tenant_id = i.tenant_id AND d.event_id = i.event_id) AS met
    FROM incoming AS i LEFT JOIN (
        SELECT tenant_id, event_id, array_agg(wait_id ORDER BY wait_id) AS waits
        FROM delivered GROUP BY tenant_id, event_id
    ) AS n USING (tenant_id, event_id)
), updated AS (
    UPDATE workflow_runtime_events AS e
    SET outcome = CASE WHEN j.met THEN 'matched' WHEN j.correlation_key IS NULL THEN 'unresolved'
                       ELSE 'no_wait' END,
        reason = CASE WHEN j.met THEN NULL WHEN j.correlation_key IS NULL THEN j.reason
                      WHEN e.received_at + %(buffer_ttl)s::interval > statement_timestamp()
                        OR EXISTS (
                          SELECT FROM workflow_event_launches AS l
                          WHERE l.tenant_id = e.tenant_id AND l.event_id = e.event_id
                            AND l.status <> 'skipped')
                      THEN 'no_open_wait' ELSE 'buffer_expired' END,
        detail = j.detail, correlation_key = j.correlation_key,
        correlation_keys = j.all_keys::text[], further_key_hashes = j.further_hashes::bigint[],
        key_source = j.key_source, key_detail = j.key_detail, rules_version = j.rules_version,
        available_until = CASE
            WHEN j.correlation_key IS NOT NULL
             AND e.received_at + %(buffer_ttl)s::interval > statement_timestamp()
            THEN e.received_at + %(buffer_ttl)s::interval END
    FROM judged AS j
    WHERE e.tenant_id = j.tenant_id AND e.event_id = j.event_id
    RETURNING e.tenant_id, e.event_id, e.outcome, e.reason
)
SELECT j.ordinal, u.outcome, u.reason, j.waits
FROM judged AS j JOIN updated AS u USING (tenant_id, event_id)
ORDER BY j.ordinal
"""

# The same for a token: waits that nobody proved to be the tenant's are handed nothing.
REPLAY_VOUCHED: Final = REPLAY_EVENTS.replace(_VOUCHED, "AND vouched_by IS NOT NULL")

# Index: the primary key.
WAIT_TO_BIND: Final = """
SELECT event_name, correlation_key, workflow_id, cardinality, status, kind
FROM workflow_run_waits WHERE tenant_id = %(tenant)s AND wait_id = %(wait_id)s
"""

EVENT_TO_BIND: Final = """
SELECT event_name, coalesce(correlation_keys, array_remove(ARRAY[correlation_key], NULL))
FROM workflow_runtime_events WHERE tenant_id = %(tenant)s AND event_id = %(event_id)s
"""

# Under the locks of the wait's key and the event's keys. Answers with the wait's status then,
# whether an exclusive wait holds the event, and whether a delivery was made.
BIND_EVENT: Final = """
WITH wait AS (
    SELECT * FROM workflow_run_waits WHERE tenant_id = %(tenant)s AND wait_id = %(wait_id)s
), held AS (
    SELECT w.cardinality = 'exclusive' AND EXISTS (
        SELECT FROM workflow_event_deliveries AS d
        WHERE d.tenant_id = %(tenant)s AND d.event_id = %(event_id)s AND d.wait_id <> w.wait_id
          AND d.cardinality = 'exclusive' AND d.status IN ('pending', 'delivered')
          AND (d.disposition IS NULL OR d.disposition = 'accepted')) AS elsewhere
    FROM wait AS w
), delivered AS (
    INSERT INTO workflow_event_deliveries (
        tenant_id, event_id, wait_id, workflow_id, run_id, signal_name, correlation_key,
        cardinality, status, looked_back, due_at, lease_owner, created_at, namespace, first_run_id
    )
    SELECT w.tenant_id, %(event_id)s, w.wait_id, w.workflow_id, w.run_id, w.signal_name,
           w.correlation_key, w.cardinality, 'pending', false, statement_timestamp(), NULL,
           statement_timestamp(), w.namespace, w.first_run_id
    FROM wait AS w CROSS JOIN held AS h WHERE w.status = 'waiting' AND NOT h.elsewhere
    ON CONFLICT (tenant_id, event_id, wait_id) DO NOTHING
    RETURNING wait_id
), matched AS (
    UPDATE workflow_runtime_events SET outcome = 'matched', reason = NULL
    WHERE tenant_id = %(tenant)s AND event_id = %(event_id)s AND outcome <> 'matched'
      AND EXISTS (SELECT FROM delivered)
)
SELECT w.status, h.elsewhere, EXISTS (SELECT FROM delivered)
FROM wait AS w CROSS JOIN held AS h
"""
