"""How far behind Temporal the projection is while runs close, and what it costs Temporal."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, cast

from temporalio.client import Client

from benchmarks.events import TENANTS
from benchmarks.figures import Results, percentile
from benchmarks.scale import Scale
from benchmarks.stage import Stage, Stuck
from routing.database import DatabaseLimits, open_database
from routing.reconcile import Reconciler
from routing.run_reconcile import RunReconciler
from routing.temporal_runs import TemporalRun
from routing.visibility.feed import VisibilityFeed
from routing.visibility.temporal import TemporalVisibility
from routing.visibility.verdicts import NewestRuns
from worker.cancelling import cancel
from worker.following import ON_A_PAGE, Follower
from worker.logs import configure_logs

PART: Final = "closings"
AT_ONCE: Final = 20
LOOK_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 120

# Waits and runs of workflows that this server never heard of: they are open for ever.
FILL_RUNS: Final = """
INSERT INTO workflow_runs (tenant_id, workflow_id, run_id, status, started_at, updated_at,
    namespace)
SELECT 'tenant-' || n %% %(tenants)s, 'open-' || n, 'run-' || n, 'running', now(), now(),
       %(namespace)s
FROM generate_series(1, %(count)s) AS n
"""
FILL_WAITS: Final = """
INSERT INTO workflow_run_waits (tenant_id, wait_id, event_name, correlation_key, workflow_id,
    run_id, signal_name, kind, cardinality, lookback, status, registered_at, namespace)
SELECT 'tenant-' || n %% %(tenants)s, 'wait-' || n, 'INVOICE_PAID', 'invoice-' || n, 'open-' || n,
       'run-' || n, 'pointsman.event', 'event', 'all', '0', 'waiting', now(), %(namespace)s
FROM generate_series(1, %(count)s) AS n
"""
A_RUN: Final = """
INSERT INTO workflow_runs (tenant_id, workflow_id, run_id, status, started_at, updated_at,
    namespace)
SELECT 'tenant-0', workflow_id, run_id, 'running', now(), now(), %(namespace)s
FROM unnest(%(workflow_ids)s::text[], %(run_ids)s::text[]) AS i (workflow_id, run_id)
"""
ITS_WAIT: Final = """
INSERT INTO workflow_run_waits (tenant_id, wait_id, event_name, correlation_key, workflow_id,
    run_id, signal_name, kind, cardinality, lookback, status, registered_at, namespace)
SELECT 'tenant-0', 'wait of ' || run_id, 'INVOICE_PAID', run_id, workflow_id, run_id,
       'pointsman.event', 'event', 'all', '0', 'waiting', now(), %(namespace)s
FROM unnest(%(workflow_ids)s::text[], %(run_ids)s::text[]) AS i (workflow_id, run_id)
"""
SHOWN_CLOSED: Final = """
SELECT run_id FROM workflow_runs WHERE run_id = ANY (%s) AND closed_at IS NOT NULL
"""
RETIRED: Final = """
SELECT run_id FROM workflow_run_waits WHERE run_id = ANY (%s) AND status = 'closed'
"""


class CountedService:
    """Temporal's API, with its calls counted by name."""

    def __init__(self, service: Any) -> None:
        self._service = service
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._service, name)

        async def counted(*arguments: Any, **options: Any) -> Any:
            self.calls[name] += 1
            return await call(*arguments, **options)

        return counted


class CountedClient:
    """A client whose calls are counted."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.workflow_service = CountedService(client.workflow_service)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@dataclass(slots=True)
class Runs:
    """Runs that are closed one after the other, and when each was seen closed."""

    by_id: dict[str, str]
    """Their workflow ids."""
    closed_at: dict[str, float] = field(default_factory=dict[str, float])
    shown: dict[str, float] = field(default_factory=dict[str, float])
    retired: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def done(self) -> bool:
        return len(self.retired) == len(self.shown) == len(self.by_id)


async def measure(stage: Stage, client: Client, scale: Scale, results: Results) -> None:
    """One follower, as the leader has it, beside workflows that are terminated at a steady rate."""
    configure_logs(log_level="error")  # each wait that is retired is a line
    sized = stage.beside(f"closings_{uuid.uuid4().hex[:6]}")
    terms = {"tenants": TENANTS, "namespace": client.namespace, "count": scale.closings_waits}
    for fill in (FILL_RUNS, FILL_WAITS):
        await asyncio.to_thread(sized.database.execute, fill, terms)
    await asyncio.to_thread(
        sized.database.execute, "VACUUM ANALYZE workflow_runs, workflow_run_waits"
    )
    runs = await _started(sized, client, scale.closings_a_second * scale.closings_seconds)
    counted = CountedClient(client)
    async with open_database(sized.database_url, DatabaseLimits()) as database:
        follower = _follower(database, cast("Client", counted))
        loops = (
            follower.follow_for_ever(),
            follower.walk_waits_for_ever(),
            follower.walk_runs_for_ever(),
        )
        tasks = [asyncio.create_task(loop) for loop in loops]
        began = time.monotonic()
        tasks.append(asyncio.create_task(_terminate(client, runs, scale.closings_a_second)))
        await _watch(sized, runs)
        seconds = time.monotonic() - began
        await cancel(tasks)
    sized.close()
    _report(runs, counted.workflow_service.calls, seconds, results)


def _follower(database: Any, client: Client) -> Follower:
    asked, namespace = TemporalRun(client), client.namespace
    visibility = TemporalVisibility(client)
    return Follower(
        namespace=namespace,
        database=database,
        feed=VisibilityFeed(database, namespace, visibility, NewestRuns(asked)),
        # Waits of workflows that nobody started would all be retired; in production none is young.
        waits=Reconciler(database, asked, page=ON_A_PAGE, grace=timedelta(0)),
        runs=RunReconciler(database, asked, page=ON_A_PAGE, grace=timedelta(0)),
        wake=lambda: None,
        watch=Unwatched(),
        period=timedelta(minutes=5),
    )


class Unwatched:
    """Tells nobody."""

    def visibility_stands(self, namespace: str, problem: str | None) -> None:
        if problem is not None:
            raise Stuck(f"visibility of {namespace}: {problem}")


async def _started(stage: Stage, client: Client, count: int) -> Runs:
    runs = Runs({})
    numbers = iter(range(count))

    async def start() -> None:
        for _ in numbers:
            handle = await client.start_workflow(
                "Nobody", id=f"closing-{uuid.uuid4()}", task_queue="nobody-polls"
            )
            runs.by_id[str(handle.first_execution_run_id)] = handle.id

    await asyncio.gather(*(start() for _ in range(AT_ONCE)))
    terms = {
        "workflow_ids": list(runs.by_id.values()),
        "run_ids": list(runs.by_id),
        "namespace": client.namespace,
    }
    for fill in (A_RUN, ITS_WAIT):
        await asyncio.to_thread(stage.database.execute, fill, terms)
    return runs


async def _terminate(client: Client, runs: Runs, a_second: int) -> None:
    began = time.monotonic()
    turns = asyncio.Semaphore(AT_ONCE)

    async def terminate(run_id: str, workflow_id: str) -> None:
        async with turns:
            await client.get_workflow_handle(workflow_id, run_id=run_id).terminate()
            runs.closed_at[run_id] = time.monotonic()

    async with asyncio.TaskGroup() as group:
        for number, (run_id, workflow_id) in enumerate(runs.by_id.items()):
            await asyncio.sleep(max(0.0, began + number / a_second - time.monotonic()))
            group.create_task(terminate(run_id, workflow_id))


async def _watch(stage: Stage, runs: Runs) -> None:
    ids = list(runs.by_id)
    last_progress, seen = time.monotonic(), 0
    while not runs.done:
        for query, moments in ((SHOWN_CLOSED, runs.shown), (RETIRED, runs.retired)):
            rows = await asyncio.to_thread(
                lambda query=query: stage.database.execute(query.encode(), (ids,)).fetchall()
            )
            now = time.monotonic()
            for (run_id,) in rows:
                moments.setdefault(run_id, now)
        if len(runs.shown) + len(runs.retired) > seen:
            last_progress, seen = time.monotonic(), len(runs.shown) + len(runs.retired)
        if time.monotonic() - last_progress > PATIENCE_SECONDS:
            raise Stuck(f"{len(runs.shown)} of {len(ids)} runs are shown closed")
        await asyncio.sleep(LOOK_SECONDS)


def _report(runs: Runs, calls: Counter[str], seconds: float, results: Results) -> None:
    for name, moments in (("runs shown closed", runs.shown), ("waits retired", runs.retired)):
        behind = [max(0.0, at - runs.closed_at.get(run_id, at)) for run_id, at in moments.items()]
        results.add(PART, f"{name} after, median", percentile(behind, 0.5), "s")
        results.add(PART, f"{name} after, at most", max(behind), "s")
        results.ratios[f"closings_{name.split()[0]}_behind_s"] = round(max(behind), 2)
    rate = sum(calls.values()) / seconds
    results.add(PART, "calls to Temporal", rate, "calls/s")
    for name, count in sorted(calls.items()):
        results.add(PART, f"of them {name}", count / seconds, "calls/s")
    results.set_ratio("closings_calls_a_second", rate)
    results.add(
        PART,
        "runs closed",
        len(runs.by_id) / (max(runs.closed_at.values()) - min(runs.closed_at.values())),
        "runs/s",
    )
