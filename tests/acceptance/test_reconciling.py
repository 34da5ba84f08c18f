"""`pointsman waits reconcile` against a real Temporal: ghosts go, everything that lives stays."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from routing.database import DatabaseLimits, open_database
from routing.waits import Waits
from tests.acceptance.program import Pointsman
from tests.builders import a_wait
from tests.conftest import TemporalTarget
from tests.waiting import wait_until
from tests.workflows import Collector


@pytest.fixture
async def client(temporal: TemporalTarget) -> AsyncIterator[Client]:
    client = await Client.connect(temporal.address, namespace=temporal.namespace)
    async with Worker(client, task_queue=temporal.task_queue, workflows=[Collector]):
        yield client


@pytest.fixture
def pointsman(database_url: str, temporal: TemporalTarget) -> Pointsman:
    return Pointsman(
        {
            "POINTSMAN_DATABASE_URL": database_url,
            "TEMPORAL_ADDRESS": temporal.address,
            "TEMPORAL_NAMESPACE": temporal.namespace,
        }
    )


async def a_collector(client: Client, temporal: TemporalTarget) -> WorkflowHandle[Any, Any]:
    return await client.start_workflow(
        Collector.run, [], id=f"collector-{uuid.uuid4()}", task_queue=temporal.task_queue
    )


async def an_ended_one(client: Client, temporal: TemporalTarget) -> str:
    handle = await a_collector(client, temporal)
    await handle.signal(Collector.end)
    await handle.result()
    return handle.id


async def a_continued_one(client: Client, temporal: TemporalTarget) -> str:
    handle = await a_collector(client, temporal)
    await handle.signal(Collector.continue_as_new)
    await another_run(client, handle)
    return handle.id


async def a_reset_one(client: Client, temporal: TemporalTarget) -> str:
    handle = await a_collector(client, temporal)
    await handle.query(Collector.seen)  # its first task, to the end of which it is reset, is done
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            reason="to see that it keeps its wait",
            workflow_task_finish_event_id=4,
            request_id=handle.id,
        )
    )
    await another_run(client, handle)
    return handle.id


async def another_run(client: Client, first: WorkflowHandle[Any, Any]) -> None:
    newest = client.get_workflow_handle(first.id)

    async def has_begun() -> bool:
        return (await newest.describe()).run_id != first.first_execution_run_id

    await wait_until(has_begun, description="another run has begun")


async def register(database_url: str, **workflows: str) -> None:
    async with open_database(database_url, DatabaseLimits(connections=1)) as database:
        waits = [a_wait(wait_id=name, workflow_id=each) for name, each in workflows.items()]
        await Waits(database).register(waits)


def stand(database_url: str) -> dict[str, str]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT wait_id, coalesce(reason, status) FROM workflow_run_waits"
        ).fetchall()
    return dict(rows)


async def test_waits_whose_run_is_gone_are_shown_first_and_then_retired(
    pointsman: Pointsman, client: Client, temporal: TemporalTarget, database_url: str
) -> None:
    await register(
        database_url,
        running=(await a_collector(client, temporal)).id,
        continued=await a_continued_one(client, temporal),
        reset=await a_reset_one(client, temporal),
        ended=await an_ended_one(client, temporal),
        unknown="nobody",
    )

    shown = pointsman("waits", "reconcile", "--dry-run", "--older-than", "0s", "--json")
    before = stand(database_url)
    done = pointsman("waits", "reconcile", "--older-than", "0s")

    ghosts = {"ended": "run_closed", "unknown": "run_not_found"}
    assert {each["wait_id"]: each["reason"] for each in shown.records} == ghosts
    assert set(before.values()) == {"waiting"}
    assert "2 of 5 open waits retired" in done.output
    assert stand(database_url) == {**before, **ghosts}


async def test_a_young_wait_is_left_alone_unless_told_otherwise(
    pointsman: Pointsman, database_url: str
) -> None:
    await register(database_url, young="not-started-yet")

    ended = pointsman("waits", "reconcile")

    assert (ended.exit_code, ended.output) == (0, "0 of 0 open waits retired\n")


async def test_nothing_is_concluded_from_a_temporal_that_does_not_answer(
    pointsman: Pointsman, database_url: str
) -> None:
    await register(database_url, one="order", another="order")
    unreachable = pointsman.with_settings(TEMPORAL_ADDRESS="127.0.0.1:1")

    ended = unreachable("waits", "reconcile", "--older-than", "0s")

    assert ended.exit_code == 1
    assert "of 2 waits Temporal did not say how their run stands" in ended.errors
    assert set(stand(database_url).values()) == {"waiting"}
