"""Removing old rows of the audit, in small batches off the hot path.

An event goes with its deliveries and launches, and only when nothing is under way: no delivery or
launch of it is pending, no wait that it was handed to is open, no look-back may take it. A run goes
some time after it has ended, and what operators did by hand after an age of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from datetime import timedelta
from typing import Any, Final

from correlation.reason import Outcome
from routing.database import Database
from routing.maintenance.cursors import Place, Walk, forget_places, keep_place, places_of
from routing.tenant_hop import tenants_in

FOREVER: Final = timedelta(0)
WALKED_ANEW_AFTER: Final = timedelta(days=1)
"""After that a walk begins at the beginning: what was held up then may go now."""

# Walks a tenant's events in the order of workflow_runtime_events_listed. The other indexes are
# the primary keys.
REMOVE_EVENTS: Final = """
WITH walked AS MATERIALIZED (
    SELECT tenant_id, event_id AS id, received_at, outcome, available_until
    FROM workflow_runtime_events
    WHERE tenant_id = %(tenant)s
      AND (received_at, event_id) > (%(after)s::timestamptz, %(after_id)s)
      AND received_at < statement_timestamp() - %(age)s::interval
    ORDER BY received_at, event_id LIMIT %(count)s
), old AS MATERIALIZED (
    SELECT o.tenant_id, o.id FROM walked AS o
    WHERE o.outcome = %(outcome)s
      AND (o.available_until IS NULL OR o.available_until <= statement_timestamp())
      AND NOT EXISTS (
        SELECT FROM workflow_event_deliveries AS d
        WHERE d.tenant_id = o.tenant_id AND d.event_id = o.id
          AND (d.status = 'pending' OR EXISTS (
              SELECT FROM workflow_run_waits AS w
              WHERE w.tenant_id = d.tenant_id AND w.wait_id = d.wait_id AND w.status = 'waiting'
              OFFSET 0))
        OFFSET 0)
      AND NOT EXISTS (
        SELECT FROM workflow_event_launches AS l
        WHERE l.tenant_id = o.tenant_id AND l.event_id = o.id AND l.status = 'pending'
        OFFSET 0)
), deliveries AS (
    DELETE FROM workflow_event_deliveries AS d USING old
    WHERE d.tenant_id = old.tenant_id AND d.event_id = old.id
), launches AS (
    DELETE FROM workflow_event_launches AS l USING old
    WHERE l.tenant_id = old.tenant_id AND l.event_id = old.id
), removed AS (
    DELETE FROM workflow_runtime_events AS e USING old
    WHERE e.tenant_id = old.tenant_id AND e.event_id = old.id
    RETURNING e.event_id
)
SELECT received_at::text, id, (SELECT count(*) FROM walked), (SELECT count(*) FROM removed)
FROM walked ORDER BY walked.received_at DESC, id DESC LIMIT 1
"""

# Walks a tenant's rejected entries in the order of workflow_rejected_entries_listed; entries of
# one moment and id in different streams go together. Index besides: the primary key.
REMOVE_REJECTED: Final = """
WITH walked AS MATERIALIZED (
    SELECT tenant_id, stream, entry_id AS id, received_at, outcome FROM workflow_rejected_entries
    WHERE tenant_id = %(tenant)s
      AND (received_at, entry_id) > (%(after)s::timestamptz, %(after_id)s)
      AND received_at < statement_timestamp() - %(age)s::interval
    ORDER BY received_at, entry_id LIMIT %(count)s
), removed AS (
    DELETE FROM workflow_rejected_entries AS r USING walked AS w
    WHERE w.outcome = %(outcome)s
      AND r.tenant_id = w.tenant_id AND r.stream = w.stream AND r.entry_id = w.id
    RETURNING r.entry_id
)
SELECT received_at::text, id, (SELECT count(*) FROM walked), (SELECT count(*) FROM removed)
FROM walked ORDER BY walked.received_at DESC, id DESC LIMIT 1
"""

# A human task goes with its wait.
# Index: workflow_run_waits_ended; the primary keys for the removal.
REMOVE_WAITS: Final = """
WITH walked AS MATERIALIZED (
    SELECT tenant_id, wait_id AS id, closed_at FROM workflow_run_waits
    WHERE tenant_id = %(tenant)s AND status = 'closed'
      AND (closed_at, wait_id) > (%(after)s::timestamptz, %(after_id)s)
      AND closed_at < statement_timestamp() - %(age)s::interval
    ORDER BY closed_at, wait_id LIMIT %(count)s
), removed AS (
    DELETE FROM workflow_run_waits AS r USING walked AS w
    WHERE r.tenant_id = w.tenant_id AND r.wait_id = w.id
      AND NOT EXISTS (
        SELECT FROM workflow_event_deliveries AS d
        WHERE d.tenant_id = w.tenant_id AND d.wait_id = w.id AND d.status = 'pending'
        OFFSET 0)
    RETURNING r.wait_id
), tasks AS (
    DELETE FROM workflow_human_tasks
    WHERE tenant_id = %(tenant)s AND task_id = ANY (ARRAY(SELECT wait_id FROM removed))
)
SELECT closed_at::text, id, (SELECT count(*) FROM walked), (SELECT count(*) FROM removed)
FROM walked ORDER BY walked.closed_at DESC, id DESC LIMIT 1
"""

# The open waits of a run that has ended are retired first: they name it.
# Indexes: workflow_runs_ended; workflow_run_waits_by_workflow; the primary key.
REMOVE_RUNS: Final = """
WITH walked AS MATERIALIZED (
    SELECT tenant_id, workflow_id, run_id AS id, closed_at FROM workflow_runs
    WHERE tenant_id = %(tenant)s AND closed_at IS NOT NULL
      AND (closed_at, run_id) > (%(after)s::timestamptz, %(after_id)s)
      AND closed_at < statement_timestamp() - %(age)s::interval
    ORDER BY closed_at, run_id LIMIT %(count)s
), removed AS (
    DELETE FROM workflow_runs AS r USING walked AS w
    WHERE r.tenant_id = w.tenant_id AND r.workflow_id = w.workflow_id AND r.run_id = w.id
      AND NOT EXISTS (
        SELECT FROM workflow_run_waits AS o
        WHERE o.tenant_id = w.tenant_id AND o.workflow_id = w.workflow_id
          AND o.status = 'waiting' AND o.run_id IS NOT DISTINCT FROM w.id
        OFFSET 0)
    RETURNING r.run_id
)
SELECT closed_at::text, id, (SELECT count(*) FROM walked), (SELECT count(*) FROM removed)
FROM walked ORDER BY walked.closed_at DESC, id DESC LIMIT 1
"""

# Index: workflow_operator_actions_listed; the primary key.
REMOVE_ACTIONS: Final = """
WITH walked AS MATERIALIZED (
    SELECT tenant_id, action_id AS id, at FROM workflow_operator_actions
    WHERE tenant_id = %(tenant)s
      AND (at, action_id) > (%(after)s::timestamptz, %(after_id)s)
      AND at < statement_timestamp() - %(age)s::interval
    ORDER BY at, action_id LIMIT %(count)s
), removed AS (
    DELETE FROM workflow_operator_actions AS a USING walked AS w
    WHERE a.tenant_id = w.tenant_id AND a.action_id = w.id
    RETURNING a.action_id
)
SELECT at::text, id, (SELECT count(*) FROM walked), (SELECT count(*) FROM removed)
FROM walked ORDER BY walked.at DESC, id DESC LIMIT 1
"""

EVENTS: Final = "workflow_runtime_events"
REJECTED: Final = "workflow_rejected_entries"
WAITS: Final = "workflow_run_waits"
RUNS: Final = "workflow_runs"
ACTIONS: Final = "workflow_operator_actions"
_BEGINNING: Final[Place] = ("-infinity", "")
_OF_REJECTED: Final = frozenset({Outcome.MALFORMED, Outcome.REJECTED})


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long the audit is kept; a duration of zero is for ever."""

    age: timedelta
    """Of closed waits, and of every outcome that has no age of its own."""
    by_outcome: Mapping[Outcome, timedelta] = field(default_factory=dict[Outcome, timedelta])
    runs: timedelta = FOREVER
    """Of runs, from their end on."""
    actions: timedelta = FOREVER
    """Of what operators did by hand."""

    def age_of(self, outcome: Outcome) -> timedelta:
        """How long events and entries that ended so are kept."""
        return self.by_outcome.get(outcome, self.age)


@dataclass(frozen=True, slots=True)
class Removed:
    """How many rows a pass removed."""

    events: int
    rejected: int
    waits: int
    runs: int = 0
    actions: int = 0

    def __bool__(self) -> bool:
        return any(astuple(self))


class Retention:
    """Works in small batches, each a transaction of its own; where it stands is in the database."""

    def __init__(
        self,
        database: Database,
        keeping: Keeping,
        batch: int = 500,
        anew: timedelta = WALKED_ANEW_AFTER,
    ) -> None:
        self._database = database
        self._keeping = keeping
        self._batch = batch
        self._anew = anew

    async def remove(self) -> Removed:
        """Remove what is older than it is kept. Raises DatabaseUnavailable: try again later."""
        async with self._database.transaction() as connection:
            await forget_places(connection)
        events = rejected = 0
        for outcome in Outcome:
            age = self._keeping.age_of(outcome)
            if outcome in _OF_REJECTED:
                rejected += await self._walk(REJECTED, REMOVE_REJECTED, age, outcome)
            else:
                events += await self._walk(EVENTS, REMOVE_EVENTS, age, outcome)
        keeping = self._keeping
        return Removed(
            events,
            rejected,
            waits=await self._walk(WAITS, REMOVE_WAITS, keeping.age),
            runs=await self._walk(RUNS, REMOVE_RUNS, keeping.runs),
            actions=await self._walk(ACTIONS, REMOVE_ACTIONS, keeping.actions),
        )

    async def _walk(
        self, table: str, statement: str, age: timedelta, outcome: Outcome | None = None
    ) -> int:
        if age == FOREVER:
            return 0
        word = "" if outcome is None else outcome.value
        walk = f"remove {table} {word}".rstrip()
        async with self._database.transaction() as connection:
            cursor = await connection.execute(tenants_in(table).encode())
            tenants = [str(row[0]) for row in await cursor.fetchall()]
            places = await places_of(connection, walk, tenants, anew=self._anew)
        terms = {"age": age, "count": self._batch} | ({"outcome": word} if word else {})
        return sum(
            [
                await self._walk_tenant(Walk(walk, tenant), places.get(tenant), statement, terms)
                for tenant in tenants
            ]
        )

    async def _walk_tenant(
        self, walk: Walk, place: Place | None, statement: str, terms: Mapping[str, Any]
    ) -> int:
        total = 0
        while True:
            after, after_id = place or _BEGINNING
            page = {**terms, "tenant": walk.tenant, "after": after, "after_id": after_id}
            async with self._database.transaction() as connection:
                cursor = await connection.execute(statement.encode(), page)
                row = await cursor.fetchone()
                if row is None:
                    return total
                begins, place = place is None, (row[0], row[1])
                await keep_place(connection, walk, place, begins=begins)
            total += int(row[3])
            if row[2] < self._batch:
                return total
