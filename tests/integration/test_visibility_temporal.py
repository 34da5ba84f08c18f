"""Following the closings of a real Temporal, in a namespace of the test's own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from routing.database import Database
from routing.reconcile import Reconciler
from routing.run_reconcile import RunReconciler
from routing.run_records import RunQuery
from routing.runs import page_of_runs
from routing.temporal_chains import TemporalChains
from routing.temporal_runs import TemporalRun
from routing.visibility.feed import Pace, VisibilityFeed
from routing.visibility.records import VisibilityUnusable
from routing.visibility.temporal import TemporalVisibility
from routing.visibility.verdicts import ChainVerdicts
from routing.waits import Waits
from tests.builders import a_wait
from tests.conftest import TemporalTarget
from tests.namespaces import a_namespace
from tests.rows import execute
from tests.waiting import wait_until
from tests.workflows import Collector
from worker.cancelling import cancel
from worker.following import Follower

QUICK = timedelta(milliseconds=50)
AT_ONCE = Pace(settled_after=timedelta(0))


class Health:
    def __init__(self) -> None:
        self.problem: str | None = "not asked yet"

    def visibility_stands(self, namespace: str, problem: str | None) -> None:
        assert namespace
        self.problem = problem


class Rig:
    """What follows a namespace, and workflows in it."""

    def __init__(self, database: Database, url: str, client: Client, task_queue: str) -> None:
        self.database, self.url, self.client, self.task_queue = database, url, client, task_queue
        self.health = Health()
        self.waits = Waits(database)

    def follower(self, namespace: str | None = None) -> Follower:
        runs, chains = TemporalRun(self.client), TemporalChains(self.client)
        visibility = TemporalVisibility(self.client, namespace=namespace)
        ours = self.client.namespace
        return Follower(
            namespace=ours,
            database=self.database,
            feed=VisibilityFeed(
                self.database, ours, visibility, ChainVerdicts(chains, ours), AT_ONCE
            ),
            waits=Reconciler(self.database, chains, namespaces=[ours], grace=timedelta(0)),
            runs=RunReconciler(self.database, runs, namespaces=[ours], grace=timedelta(0)),
            wake=lambda: None,
            watch=self.health,
            period=QUICK,
        )

    async def start(self, **options: Any) -> WorkflowHandle[Any, Any]:
        """A workflow that waits, and whose wait is registered."""
        handle = await self.client.start_workflow(
            Collector.run, [], id=f"it's {uuid.uuid4()}", task_queue=self.task_queue, **options
        )
        run_id = handle.first_execution_run_id
        wait = a_wait(wait_id=handle.id, workflow_id=handle.id, run_id=run_id)
        await self.waits.register([wait])
        for table in ("workflow_runs", "workflow_run_waits"):
            execute(self.url, f"UPDATE {table} SET namespace = '{self.client.namespace}'")
        return handle

    async def statuses(self) -> dict[str, str]:
        async with self.database.transaction() as connection:
            page = await page_of_runs(connection, None, RunQuery())
        return {run.run_id: run.status for run in page.lines}

    async def open_waits(self) -> set[str]:
        async with self.database.transaction() as connection:
            query = "SELECT wait_id FROM workflow_run_waits WHERE status = 'waiting'"
            cursor = await connection.execute(query)
            return {str(row[0]) for row in await cursor.fetchall()}


@pytest.fixture
async def rig(
    database: Database, database_url: str, temporal: TemporalTarget
) -> AsyncIterator[Rig]:
    client = await a_namespace(temporal)
    async with Worker(client, task_queue=temporal.task_queue, workflows=[Collector]):
        yield Rig(database, database_url, client, temporal.task_queue)


@pytest.fixture
async def followed(rig: Rig) -> AsyncIterator[None]:
    task = asyncio.create_task(rig.follower().follow_for_ever(QUICK))
    yield
    await cancel([task])


@pytest.mark.usefixtures("followed")
async def test_runs_are_shown_as_they_end_and_waits_of_what_is_gone_are_retired(rig: Rig) -> None:
    completed, terminated, running = [await rig.start() for _ in range(3)]

    await completed.signal(Collector.end)
    await terminated.terminate()

    ends = {str(completed.first_execution_run_id): "completed"}
    ends |= {str(terminated.first_execution_run_id): "terminated"}
    ends |= {str(running.first_execution_run_id): "running"}

    async def as_they_ended() -> bool:
        return await rig.statuses() == ends and await rig.open_waits() == {running.id}

    await wait_until(as_they_ended, description="the ends are shown")
    await running.terminate()


@pytest.mark.usefixtures("followed")
async def test_a_chain_is_followed_to_its_end(rig: Rig) -> None:
    handle = await rig.start()
    first = str(handle.first_execution_run_id)

    await handle.signal(Collector.continue_as_new)

    async def went_on() -> str:
        others = (await rig.statuses()).items() - {(first, "continued_as_new")}
        return next((run for run, status in others if status == "running" and run != first), "")

    second = await wait_until(went_on, description="the run that it went on in is known")
    kept = await rig.open_waits()
    await rig.client.get_workflow_handle(handle.id).terminate()

    async def ended() -> bool:
        return not await rig.open_waits()

    await wait_until(ended, description="its wait is retired")
    assert kept == {handle.id}
    assert await rig.statuses() == {first: "continued_as_new", second: "terminated"}


async def test_without_visibility_the_slow_walk_does_it_and_health_says_so(rig: Rig) -> None:
    handle = await rig.start()
    await handle.terminate()
    follower = rig.follower(namespace="no-such-namespace")
    loops = (
        follower.follow_for_ever(QUICK),
        follower.walk_waits_for_ever(),
        follower.walk_runs_for_ever(),
    )
    tasks = [asyncio.create_task(loop) for loop in loops]

    async def ended() -> bool:
        return not await rig.open_waits() and "running" not in (await rig.statuses()).values()

    await wait_until(ended, description="the walk found it")
    await wait_until(lambda: "no-such" in str(rig.health.problem), description="health says it")
    await cancel(tasks)


async def test_pages_that_are_too_large_are_asked_for_in_smaller_ones(rig: Rig) -> None:
    handles = [await rig.start() for _ in range(3)]
    for handle in handles:
        await handle.terminate()
    visibility = TemporalVisibility(rig.client, page=2)

    async def ids() -> set[str]:
        first = await visibility.closed(None)
        if not first.runs:
            return set()
        since, token, found = first.runs[0].closed_at - timedelta(hours=1), b"", set[str]()
        while True:
            page = await visibility.closed(since, token=token)
            found |= {run.workflow_id for run in page.runs}
            if not (token := page.next_token):
                return found

    async def all_are_listed() -> bool:
        return await ids() == {handle.id for handle in handles}

    await wait_until(all_are_listed, description="all of them, over two pages")


async def test_workflow_ids_under_which_a_run_is_open_are_told(rig: Rig) -> None:
    visibility = TemporalVisibility(rig.client)
    start, queue = rig.client.start_workflow, rig.task_queue
    running = await start(Collector.run, [], id="running: ü, 7", task_queue=queue)
    ended = await start(Collector.run, [], id="ended", task_queue=queue)
    await ended.terminate()
    asked = [running.id, ended.id, "never started", "cannot be 'quoted'"]

    async def found() -> bool:
        return await visibility.open_among(asked) == {running.id, "cannot be 'quoted'"}

    await wait_until(found, description="the open ones, and what cannot be told")
    await running.terminate()


async def test_a_visibility_that_refuses_is_no_answer(rig: Rig) -> None:
    visibility = TemporalVisibility(rig.client, namespace="no-such-namespace")

    with pytest.raises(VisibilityUnusable, match="NOT_FOUND"):
        await visibility.closed(None)


async def test_a_temporal_that_does_not_answer_is_told_from_a_visibility_that_refuses(
    rig: Rig,
) -> None:
    away = await Client.connect("127.0.0.1:9", lazy=True)

    with pytest.raises(VisibilityUnusable) as silent:
        await TemporalVisibility(away).closed(None)
    with pytest.raises(VisibilityUnusable) as refused:
        await TemporalVisibility(rig.client, namespace="no-such-namespace").closed(None)

    assert (silent.value.refuses, refused.value.refuses) == (False, True)
