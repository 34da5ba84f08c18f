"""The statements that run for every batch, each with the index that it relies on.

All take arrays, so their number does not depend on the number of events, waits or deliveries.
`statement_timestamp()` is the clock throughout: it is Postgres' own, and later than the locks that
the transaction waited for, which `now()` (the transaction's start) is not.
"""

from __future__ import annotations

from typing import Final

# Both sides of every race take these first. The hashes come sorted and without duplicates, and
# unnest keeps their order: two transactions can wait for each other, never in a circle.
LOCK_KEYS: Final = """
SELECT count(*) FROM (
    SELECT pg_advisory_xact_lock(hash) FROM unnest(%(hashes)b::bigint[]) AS hash
) AS locked
"""

# Matches a batch of events with the open waits of their keys and records all that came of it.
# Index: workflow_run_waits_open, one probe per key, in the order of its waits. Of more waits than a
# statement should take (`too_many`) a batch is not recorded at all, but for one event alone: the
# rest of its waits is `cut`, for routing/fan_out.py. An event that was recorded before (the primary
# key refuses it) yields no row and no delivery: what it once matched was committed with it.
# A delivery is leased to the recording process (due_at in the future), unless that process does
# not deliver (at all, or in that namespace), or the last pending one of the workflow (index
# workflow_event_deliveries_in_order) is not leased to it: then it waits in the table. `follows` is
# the position of that last one.
MATCH_EVENTS: Final = """
WITH incoming AS MATERIALIZED (
    SELECT * FROM unnest(
        %(tenants)b::text[], %(event_ids)b::text[], %(names)b::text[], %(reasons)b::text[],
        %(details)b::text[], %(keys)b::text[], %(all_keys)b::text[], %(further_hashes)b::text[],
        %(sources)b::text[], %(key_details)b::text[], %(rules_versions)b::text[],
        %(payloads)b::text[], %(digests)b::bytea[], %(contexts)b::text[], %(streams)b::text[],
        %(entry_ids)b::text[], %(occurred)b::timestamptz[]
    ) WITH ORDINALITY AS i (
        tenant_id, event_id, event_name, reason, detail, correlation_key, all_keys, further_hashes,
        key_source, key_detail, rules_version, payload, content_digest, context, stream, entry_id,
        occurred_at, ordinal
    )
), probes AS MATERIALIZED (
    SELECT ordinal, tenant_id, event_id, event_name, correlation_key
    FROM incoming WHERE correlation_key IS NOT NULL
    UNION ALL
    SELECT i.ordinal, i.tenant_id, i.event_id, i.event_name, f.key
    FROM unnest(%(further_ordinals)b::bigint[], %(further_keys)b::text[]) AS f (ordinal, key)
    JOIN incoming AS i USING (ordinal)
), candidates AS (
    SELECT p.ordinal, p.event_id, w.*,
           row_number() OVER (PARTITION BY p.ordinal, w.cardinality ORDER BY w.position) AS age
    FROM probes AS p CROSS JOIN LATERAL (
        SELECT tenant_id, wait_id, correlation_key, workflow_id, run_id, signal_name, cardinality,
               position, namespace, first_run_id
        FROM workflow_run_waits
        WHERE tenant_id = p.tenant_id AND event_name = p.event_name
          AND correlation_key = p.correlation_key AND status = 'waiting'
          AND (expires_at IS NULL OR expires_at > statement_timestamp())
        ORDER BY position LIMIT %(portion)s + 1
    ) AS w
), size AS MATERIALIZED (
    SELECT max(waits) > %(portion)s AS cut, NOT %(alone)s
           AND (max(waits) > %(portion)s OR sum(waits) > %(most)s) IS TRUE AS too_many
    FROM (SELECT count(*) AS waits FROM candidates GROUP BY ordinal, correlation_key) AS probed
), chosen AS MATERIALIZED (
    SELECT * FROM candidates WHERE NOT (cardinality = 'exclusive' AND age > 1)
), matches AS (
    SELECT ordinal, count(*) AS waits FROM chosen GROUP BY ordinal
), inserted AS (
    INSERT INTO workflow_runtime_events (
        tenant_id, event_id, event_name, outcome, reason, detail, correlation_key,
        correlation_keys, further_key_hashes, key_source, key_detail, rules_version, payload,
        content_digest, context, stream, entry_id, occurred_at, received_at, available_until
    )
    SELECT tenant_id, event_id, event_name,
           CASE WHEN correlation_key IS NULL THEN 'unresolved'
                WHEN waits IS NULL THEN 'no_wait' ELSE 'matched' END,
           CASE WHEN correlation_key IS NOT NULL AND waits IS NULL THEN 'no_open_wait'
                ELSE reason END,
           detail, correlation_key, all_keys::text[], further_hashes::bigint[], key_source,
           key_detail, rules_version, payload, content_digest, context::jsonb, stream, entry_id,
           occurred_at,
           statement_timestamp() + ordinal * interval '1 microsecond',
           CASE WHEN correlation_key IS NOT NULL
                THEN statement_timestamp() + %(buffer_ttl)s::interval END
    FROM incoming LEFT JOIN matches USING (ordinal)
    WHERE NOT (SELECT too_many FROM size)
    ORDER BY ordinal
    ON CONFLICT (tenant_id, event_id) DO NOTHING
    RETURNING tenant_id, event_id, received_at
), placed AS MATERIALIZED (
    SELECT c.*, e.position AS follows,
           NOT %(delivers)s OR c.namespace <> ALL (%(namespaces)s::text[])
           OR (e.position IS NOT NULL AND (
               e.lease_owner IS DISTINCT FROM %(owner)s OR e.due_at <= statement_timestamp()
           )) AS elsewhere
    FROM chosen AS c
    JOIN inserted USING (tenant_id, event_id)
    LEFT JOIN LATERAL (
        SELECT position, lease_owner, due_at FROM workflow_event_deliveries
        WHERE tenant_id = c.tenant_id AND workflow_id = c.workflow_id AND status = 'pending'
          AND namespace = c.namespace
        ORDER BY position DESC LIMIT 1
    ) AS e ON true
), delivered AS (
    INSERT INTO workflow_event_deliveries (
        tenant_id, event_id, wait_id, workflow_id, run_id, signal_name, correlation_key,
        cardinality, status, looked_back, due_at, lease_owner, created_at, namespace, first_run_id
    )
    SELECT tenant_id, event_id, wait_id, workflow_id, run_id, signal_name, correlation_key,
           cardinality, 'pending', false,
           CASE WHEN elsewhere THEN statement_timestamp()
                ELSE statement_timestamp() + %(lease)s::interval END,
           CASE WHEN elsewhere THEN NULL ELSE %(owner)s END,
           statement_timestamp(), namespace, first_run_id
    FROM placed
    ORDER BY ordinal, position
    RETURNING tenant_id, event_id, wait_id, workflow_id, signal_name, correlation_key,
              created_at, lease_owner, position, namespace, run_id, first_run_id
)
SELECT (SELECT count(*) FROM inserted) AS recorded,
       (SELECT count(*) FROM delivered WHERE lease_owner IS NULL) AS left_to_others,
       d.tenant_id, d.event_id, d.wait_id, d.workflow_id, d.signal_name, d.correlation_key,
       i.received_at, d.created_at, d.lease_owner, d.position,
       greatest(placed.follows, lag(d.position) OVER (
           PARTITION BY d.tenant_id, d.namespace, d.workflow_id ORDER BY d.position)) AS follows,
       d.namespace, d.run_id, d.first_run_id,
       (SELECT too_many FROM size), (SELECT cut FROM size)
FROM (SELECT 1) AS always
LEFT JOIN (delivered AS d FULL JOIN placed USING (tenant_id, event_id, wait_id) -- FULL is hashed
    JOIN inserted AS i USING (tenant_id, event_id)
) ON true
ORDER BY d.position
"""

# Only when the statement above recorded fewer events than it was given: which of them were there
# before? `xmin` of a row that this transaction inserted is its own id. Index: the primary key.
KNOWN_EVENTS: Final = """
SELECT e.tenant_id, e.event_id, e.content_digest, e.payload, e.event_name, e.key_detail,
       e.correlation_key, e.outcome, e.reason,
       (SELECT count(*) FROM workflow_event_deliveries AS d
        WHERE d.tenant_id = e.tenant_id AND d.event_id = e.event_id) AS waits,
       e.xmin = pg_current_xact_id()::xid AS recorded_now
FROM unnest(%(tenants)b::text[], %(event_ids)b::text[]) AS i (tenant_id, event_id)
JOIN workflow_runtime_events AS e USING (tenant_id, event_id)
"""

COUNT_REDELIVERIES: Final = """
UPDATE workflow_runtime_events AS e SET redeliveries = redeliveries + i.times
FROM (
    SELECT tenant_id, event_id, count(*) AS times
    FROM unnest(%(tenants)b::text[], %(event_ids)b::text[]) AS again (tenant_id, event_id)
    GROUP BY tenant_id, event_id
) AS i
WHERE e.tenant_id = i.tenant_id AND e.event_id = i.event_id
"""

RECORD_REJECTED: Final = """
INSERT INTO workflow_rejected_entries (
    tenant_id, stream, entry_id, outcome, reason, detail, event_id, event_name, raw, received_at
)
SELECT tenant_id, stream, entry_id, outcome, reason, detail, event_id, event_name, raw,
       statement_timestamp() + ordinal * interval '1 microsecond'
FROM unnest(
    %(tenants)b::text[], %(streams)b::text[], %(entry_ids)b::text[], %(outcomes)b::text[],
    %(reasons)b::text[], %(details)b::text[], %(event_ids)b::text[], %(names)b::text[],
    %(raws)b::bytea[]
) WITH ORDINALITY AS i (
    tenant_id, stream, entry_id, outcome, reason, detail, event_id, event_name, raw, ordinal
)
ON CONFLICT (tenant_id, stream, entry_id) DO NOTHING
"""

# As LOCK_KEYS, for keys that turn up when locks are held already: out of order, so nobody is waited
# for.
TRY_LOCK_KEYS: Final = """
SELECT bool_and(pg_try_advisory_xact_lock(hash)) FROM unnest(%(hashes)b::bigint[]) AS hash
"""

# Before the statements of the hot path. Each has one good plan (a test reads it), while left to
# itself Postgres plans them anew every time, for small batches look cheaper than the average one:
# 0.8 of 1.3 ms for a lone event.
PLAN_ONCE: Final = "SELECT set_config('plan_cache_mode', 'force_generic_plan', true)"

# Before statements that are less frequent, and that a plan kept from when the tables were small
# would turn into a walk through all of a tenant's rows. Planning takes a millisecond or less.
PLAN_ANEW: Final = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"

# The keys to lock before waits are closed: their own, and, because an exclusive wait gives back
# what it did not accept, every key of the events that it was handed.
KEYS_OF_WAITS: Final = """
SELECT w.tenant_id, w.event_name, w.correlation_key, w.wait_id, w.cardinality
FROM unnest(%(tenants)b::text[], %(wait_ids)b::text[]) AS i (tenant_id, wait_id)
JOIN workflow_run_waits AS w USING (tenant_id, wait_id)
UNION
SELECT w.tenant_id, w.event_name, key, w.wait_id, w.cardinality
FROM unnest(%(tenants)b::text[], %(wait_ids)b::text[]) AS i (tenant_id, wait_id)
JOIN workflow_run_waits AS w USING (tenant_id, wait_id)
JOIN workflow_event_deliveries AS d USING (tenant_id, wait_id)
JOIN workflow_runtime_events AS e ON e.tenant_id = d.tenant_id AND e.event_id = d.event_id
CROSS JOIN unnest(e.correlation_keys) AS key
WHERE w.cardinality = 'exclusive'
"""

# What a workflow says of single events. A delivery that the workflow speaks of has arrived,
# whatever its sender knows of it. The first disposition stands.
DISPOSE_DELIVERIES: Final = """
UPDATE workflow_event_deliveries AS d
SET disposition = i.disposition, disposed_at = statement_timestamp(), status = 'delivered',
    delivered_at = coalesce(d.delivered_at, statement_timestamp()), lease_owner = NULL,
    reason = NULL, detail = i.detail
FROM (
    SELECT DISTINCT ON (tenant_id, wait_id, event_id) * FROM unnest(
        %(tenants)b::text[], %(wait_ids)b::text[], %(event_ids)b::text[], %(dispositions)b::text[],
        %(details)b::text[]
    ) WITH ORDINALITY AS u (tenant_id, wait_id, event_id, disposition, detail, ordinal)
    ORDER BY tenant_id, wait_id, event_id, ordinal
) AS i
WHERE d.tenant_id = i.tenant_id AND d.event_id = i.event_id AND d.wait_id = i.wait_id
  AND d.disposition IS NULL
"""

# Closes waits; the first close stands. Index: the primary key; `status = 'waiting'` would invite
# the planner to walk all of workflow_run_waits_open.
CLOSE_WAITS: Final = """
UPDATE workflow_run_waits AS w
SET status = 'closed', disposition = i.disposition, reason = i.reason, detail = i.detail,
    closed_at = statement_timestamp()
FROM (
    SELECT DISTINCT ON (tenant_id, wait_id) * FROM unnest(
        %(tenants)b::text[], %(wait_ids)b::text[], %(dispositions)b::text[], %(reasons)b::text[],
        %(details)b::text[], %(streams_too)b::boolean[], %(first_run_ids)b::text[]
    ) WITH ORDINALITY AS u (
        tenant_id, wait_id, disposition, reason, detail, streams_too, first_run_id, ordinal)
    ORDER BY tenant_id, wait_id, streams_too DESC, ordinal
) AS i
WHERE w.tenant_id = i.tenant_id AND w.wait_id = i.wait_id AND w.status <> 'closed'
  AND (w.kind <> 'stream' OR i.streams_too)
  AND (i.first_run_id IS NULL OR w.first_run_id IS NULL OR w.first_run_id = i.first_run_id)
"""

# What a closed wait had been handed and its workflow said nothing of: not yet signalled, it is
# withdrawn; signalled, it came too late (if it was the workflow that closed the wait: of one that
# is gone nobody knows). An exclusive event that may be under way, or may have arrived unanswered,
# stays pending where the workflow has said nothing, until Temporal has taken or refused it: given
# to the next in line before that, it would have two holders.
# Index: workflow_event_deliveries_by_wait.
SETTLE_CLOSED: Final = """
UPDATE workflow_event_deliveries AS d
SET status = CASE d.status WHEN 'pending' THEN 'withdrawn' ELSE d.status END,
    reason = CASE d.status WHEN 'pending' THEN coalesce(w.reason, 'wait_closed') ELSE d.reason END,
    disposition = CASE WHEN d.status = 'delivered' AND w.disposition IS NOT NULL THEN 'late' END,
    disposed_at = CASE WHEN d.status = 'delivered' AND w.disposition IS NOT NULL
                       THEN statement_timestamp() END
FROM unnest(%(tenants)b::text[], %(wait_ids)b::text[]) AS i (tenant_id, wait_id)
JOIN workflow_run_waits AS w USING (tenant_id, wait_id)
WHERE d.tenant_id = w.tenant_id AND d.wait_id = w.wait_id AND w.status <> 'waiting'
  AND d.disposition IS NULL AND d.status IN ('pending', 'delivered')
  AND NOT (d.cardinality = 'exclusive' AND d.status = 'pending' AND w.disposition IS NULL
           AND (d.lease_owner IS NOT NULL OR d.attempts > 0))
"""

# Hands an event that an exclusive wait gave back (filtered, late, withdrawn or dead) to the
# oldest exclusive wait that is open and has not had it. Indexes: workflow_event_deliveries_by_wait,
# workflow_run_waits_open.
REOFFER_EVENTS: Final = """
WITH given_back AS (
    SELECT DISTINCT d.tenant_id, d.event_id
    FROM unnest(%(tenants)b::text[], %(wait_ids)b::text[]) AS i (tenant_id, wait_id)
    JOIN workflow_event_deliveries AS d USING (tenant_id, wait_id)
    WHERE d.cardinality = 'exclusive'
      AND (d.status IN ('withdrawn', 'dead') OR d.disposition IN ('filtered', 'late'))
), free AS (
    SELECT g.tenant_id, g.event_id, e.event_name, e.received_at,
           coalesce(e.correlation_keys, ARRAY[e.correlation_key]) AS keys
    FROM given_back AS g JOIN workflow_runtime_events AS e USING (tenant_id, event_id)
    WHERE NOT EXISTS (
        SELECT FROM workflow_event_deliveries AS d
        WHERE d.tenant_id = g.tenant_id AND d.event_id = g.event_id
          AND d.cardinality = 'exclusive' AND d.status IN ('pending', 'delivered')
          AND (d.disposition IS NULL OR d.disposition = 'accepted'))
), next_in_line AS (
    SELECT f.event_id, f.received_at, w.*
    FROM free AS f CROSS JOIN LATERAL (
        SELECT o.* FROM unnest(f.keys) AS key CROSS JOIN LATERAL (
            SELECT * FROM workflow_run_waits
            WHERE tenant_id = f.tenant_id AND event_name = f.event_name
              AND correlation_key = key AND status = 'waiting'
            OFFSET 0
        ) AS o
        WHERE o.cardinality = 'exclusive'
          AND (o.expires_at IS NULL OR o.expires_at > statement_timestamp())
          AND f.received_at >= o.registered_at - o.lookback
          AND NOT EXISTS (
            SELECT FROM workflow_event_deliveries AS had
            WHERE had.tenant_id = o.tenant_id AND had.event_id = f.event_id
              AND had.wait_id = o.wait_id)
        ORDER BY o.position LIMIT 1
    ) AS w
)
INSERT INTO workflow_event_deliveries (
    tenant_id, event_id, wait_id, workflow_id, run_id, signal_name, correlation_key, cardinality,
    status, looked_back, due_at, lease_owner, created_at, namespace, first_run_id
)
SELECT tenant_id, event_id, wait_id, workflow_id, run_id, signal_name, correlation_key,
       cardinality, 'pending', false, statement_timestamp(), NULL, statement_timestamp(),
       namespace, first_run_id
FROM next_in_line ORDER BY received_at, event_id
"""

STATUS_OF_WAITS: Final = """
SELECT w.tenant_id, w.wait_id, w.status
FROM unnest(%(tenants)b::text[], %(wait_ids)b::text[]) AS i (tenant_id, wait_id)
JOIN workflow_run_waits AS w USING (tenant_id, wait_id)
"""
