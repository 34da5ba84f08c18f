"""Runs as a projection of Temporal: written at launch and registration, and kept true."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from routing.run_reconcile import RunReconciler
from routing.run_records import RunLine, RunQuery
from routing.runs import page_of_runs, run_story
from routing.temporal_runs import TemporalRun
from tests.conftest import TemporalTarget
from tests.integration.launches import Rig, a_rig, a_trigger
from tests.rows import execute, one_row
from tests.waiting import wait_until
from tests.workflows import Collector

NO_GRACE = timedelta(0)


@pytest.fixture
async def client(temporal: TemporalTarget) -> Client:
    return await Client.connect(temporal.address, namespace=temporal.namespace)


@pytest.fixture
async def rig(database_url: str, client: Client) -> AsyncIterator[Rig]:
    async with a_rig(database_url, client) as rig:
        yield rig


@pytest.fixture
async def worker(client: Client, temporal: TemporalTarget) -> AsyncIterator[None]:
    async with Worker(client, task_queue=temporal.task_queue, workflows=[Collector]):
        yield


async def collector(client: Client, temporal: TemporalTarget) -> WorkflowHandle[Any, Any]:
    return await client.start_workflow(
        Collector.run, [], id=f"collector-{uuid.uuid4()}", task_queue=temporal.task_queue
    )


async def reconcile(rig: Rig, client: Client, grace: timedelta = NO_GRACE) -> None:
    reconciler = RunReconciler(
        rig.database, TemporalRun(client), page=2, grace=grace, pause=timedelta(0)
    )
    async for _ in reconciler.walk():
        pass


async def runs(rig: Rig, **query: Any) -> list[RunLine]:
    async with rig.database.transaction() as connection:
        page = await page_of_runs(connection, None, RunQuery(**query))
    return list(page.lines)


async def test_a_launch_stands_among_the_runs_with_where_it_came_from(rig: Rig) -> None:
    await rig.apply(a_trigger())

    await rig.publish(event_id="e-1")

    [launch] = await rig.settled()
    [run] = await runs(rig, event_id="e-1")
    assert (run.run_id, run.workflow_id) == (launch["run_id"], launch["workflow_id"])
    assert (run.status, run.origin, run.trigger_id) == ("running", "launched", "onboarding")


@pytest.mark.usefixtures("worker")
async def test_a_registered_run_is_completed_by_what_temporal_says(
    rig: Rig, client: Client, temporal: TemporalTarget
) -> None:
    handle = await collector(client, temporal)
    await rig.waits.register(
        [rig.wait(key="7", workflow_id=handle.id, run_id=handle.first_execution_run_id)]
    )
    [registered] = await runs(rig)

    await reconcile(rig, client)
    [running] = await runs(rig)
    await handle.signal(Collector.end)
    await handle.result()
    await reconcile(rig, client)

    [completed] = await runs(rig)
    assert (registered.status, registered.workflow_type) == ("running", None)
    assert (running.status, running.workflow_type) == ("running", "Collector")
    assert (completed.status, completed.task_queue) == ("completed", temporal.task_queue)
    assert completed.closed_at is not None
    described = await handle.describe()
    assert (completed.started_at, completed.closed_at) == (
        described.start_time,
        described.close_time,
    )


@pytest.mark.usefixtures("worker")
async def test_a_run_that_continues_as_new_is_followed(
    rig: Rig, client: Client, temporal: TemporalTarget
) -> None:
    chained = await collector(client, temporal)
    first = chained.first_execution_run_id
    await rig.waits.register([rig.wait(workflow_id=chained.id, run_id=first)])
    execute(rig.url, "UPDATE workflow_runs SET trigger_id = 'onboarding', event_id = 'e-1'")

    await chained.signal(Collector.continue_as_new)
    newest = client.get_workflow_handle(chained.id)
    await _until_another_run(newest, str(first))
    await reconcile(rig, client)

    by_id = {run.run_id: run for run in await runs(rig)}
    following = (await newest.describe()).run_id
    assert by_id[str(first)].status == "continued_as_new"
    run = by_id[following]
    assert (run.origin, run.first_run_id, run.trigger_id, run.event_id) == (
        "continued",
        first,
        "onboarding",
        "e-1",
    )


async def test_a_run_that_temporal_does_not_know_is_called_so_after_the_grace(
    rig: Rig, client: Client
) -> None:
    await rig.waits.register([rig.wait(workflow_id="nobody", run_id=str(uuid.uuid4()))])

    await reconcile(rig, client, grace=timedelta(hours=1))
    [young] = await runs(rig)
    await reconcile(rig, client)

    [run] = await runs(rig)
    assert (young.status, run.status) == ("running", "not_found")


async def test_while_temporal_does_not_answer_nothing_is_concluded(rig: Rig) -> None:
    await rig.waits.register([rig.wait(workflow_id="nobody", run_id=str(uuid.uuid4()))])
    away = await Client.connect("127.0.0.1:9", lazy=True)

    await reconcile(rig, away)

    assert [run.status for run in await runs(rig)] == ["running"]


async def test_runs_of_another_engine_are_left_alone(rig: Rig, client: Client) -> None:
    tenant, run_id = rig.of("acme"), str(uuid.uuid4())
    execute(
        rig.url,
        "INSERT INTO workflow_runs (tenant_id, workflow_id, run_id, engine, status, started_at,"
        f" updated_at) VALUES ('{tenant}', 'legacy-1', '{run_id}', 'legacy', 'WAITING',"
        " '2026-01-01Z', '2026-01-01Z')",
    )

    await rig.waits.register([rig.wait(workflow_id="legacy-1", run_id=run_id)])
    await reconcile(rig, client)

    row = one_row(
        rig.url,
        "SELECT engine, status, origin, updated_at::date::text, closed_at FROM workflow_runs",
    )
    assert row == ("legacy", "WAITING", "registered", "2026-01-01", None)


async def test_runs_are_found_by_the_key_of_a_wait_and_paged(rig: Rig) -> None:
    await rig.waits.register(
        [
            rig.wait(key=f"key-{n % 2}", workflow_id=f"w-{n}", run_id=str(uuid.uuid4()))
            for n in range(5)
        ]
    )

    found = await runs(rig, key="key-1")
    seen: list[str] = []
    after = None
    async with rig.database.transaction() as connection:
        while True:
            page = await page_of_runs(connection, None, RunQuery(), after=after, limit=2)
            seen += [run.workflow_id for run in page.lines]
            after = page.next
            if after is None:
                break

    assert {run.workflow_id for run in found} == {"w-1", "w-3"}
    assert sorted(seen) == [f"w-{n}" for n in range(5)]


@pytest.mark.usefixtures("worker")
async def test_a_runs_story_tells_its_waits_and_events_in_time(
    rig: Rig, client: Client, temporal: TemporalTarget
) -> None:
    handle = await collector(client, temporal)
    await rig.waits.register(
        [rig.wait(key="7", workflow_id=handle.id, run_id=handle.first_execution_run_id)]
    )
    await rig.publish(event_id="e-1", key="7")
    [run] = await runs(rig)

    async with rig.database.transaction() as connection:
        story = await run_story(connection, run)

    assert [wait["correlation_key"] for wait in story.waits] == ["7"]
    assert [event["event_id"] for event in story.events] == ["e-1"]
    told = [moment.what for moment in story.timeline]
    assert told[:3] in (["started", "waited", "matched"], ["waited", "started", "matched"])
    await handle.terminate()


async def _until_another_run(handle: WorkflowHandle[Any, Any], first: str) -> None:
    async def another() -> bool:
        return (await handle.describe()).run_id != first

    await wait_until(another, description="the workflow has continued as new")
