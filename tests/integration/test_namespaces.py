"""Several Temporal namespaces on one database: nothing crosses, and what nobody serves waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from routing.chained_waits import ChainedWaits
from routing.namespaces import unserved_namespaces
from routing.reconcile import Reconciler
from routing.run_controls import Control, ControlOrder, NotTaken
from routing.run_reconcile import RunKey
from routing.temporal_chains import TemporalChains
from routing.temporal_runs import TemporalRun
from tests.conftest import TemporalTarget
from tests.integration.launches import Rig, a_rig, a_trigger
from tests.namespaces import a_namespace
from tests.rows import rows
from tests.waiting import wait_until
from tests.workflows import Chained

WORKFLOWS = 5
EVENTS = 4


class Side:
    """One process, with the only namespace that it serves, and a worker in that."""

    def __init__(self, rig: Rig, client: Client, queue: str) -> None:
        self.rig, self.client, self.queue = rig, client, queue
        self.chains = TemporalChains(client, namespaces=[client.namespace])
        self.waits = ChainedWaits(rig.database, self.chains)

    async def start(self, workflow_id: str) -> WorkflowHandle[Any, Any]:
        handle = await self.client.start_workflow(
            Chained.run, [], id=workflow_id, task_queue=self.queue
        )
        name = f"{self.client.namespace} {workflow_id}"
        run_id = str(handle.first_execution_run_id)
        wait = self.rig.wait(wait_id=name, workflow_id=workflow_id, run_id=run_id, key=workflow_id)
        await self.waits.register([wait])
        return handle

    async def seen(self, workflow_id: str) -> list[str]:
        return list(await self.client.get_workflow_handle(workflow_id).query(Chained.seen))


@pytest.fixture
async def sides(database_url: str, temporal: TemporalTarget) -> AsyncIterator[tuple[Side, Side]]:
    async with AsyncExitStack() as stack:
        both = []
        for client in (await a_namespace(temporal), await a_namespace(temporal)):
            rig = await stack.enter_async_context(a_rig(database_url, client))
            queue = temporal.task_queue
            await stack.enter_async_context(Worker(client, task_queue=queue, workflows=[Chained]))
            both.append(Side(rig, client, queue))
        yield both[0], both[1]


async def test_twins_in_two_namespaces_get_their_own_events_only(
    sides: tuple[Side, Side], database_url: str
) -> None:
    ids = [f"twin-{uuid4().hex[:8]}" for _ in range(WORKFLOWS)]
    for one in ids:
        await asyncio.gather(*(side.start(one) for side in sides))

    async def publish(here: int) -> None:
        for number in range(here, EVENTS, 2):
            for key in ids:
                await sides[here].rig.publish(key=key, event_id=f"{key} {number}")
                sides[1 - here].rig.outgoing.wake()

    await asyncio.gather(publish(0), publish(1))

    def all_delivered() -> bool:
        found = rows(database_url, "SELECT status FROM workflow_event_deliveries")
        return [row[0] for row in found] == ["delivered"] * (2 * WORKFLOWS * EVENTS)

    await wait_until(all_delivered, description="both sides deliver what is theirs")
    for side in sides:
        for one in ids:
            name = f"{side.client.namespace} {one}"
            assert sorted(await side.seen(one)) == [f"{name} {one} {n}" for n in range(EVENTS)]


async def test_reconciling_one_namespace_leaves_the_waits_of_another_alone(
    sides: tuple[Side, Side], database_url: str
) -> None:
    ours, theirs = sides
    mine = await ours.start(f"mine-{uuid4().hex[:8]}")
    await theirs.start(f"theirs-{uuid4().hex[:8]}")
    await mine.terminate()
    namespaces = [ours.client.namespace]
    reconciler = Reconciler(
        ours.rig.database, ours.chains, namespaces=namespaces, grace=timedelta(0)
    )

    page = await reconciler.look()
    await reconciler.retire(page.ghosts)

    found = rows(database_url, "SELECT namespace, status, reason FROM workflow_run_waits")
    assert sorted(found) == sorted(
        [
            (ours.client.namespace, "closed", "run_closed"),
            (theirs.client.namespace, "waiting", None),
        ]
    )


async def test_a_run_of_another_namespace_is_not_controlled(sides: tuple[Side, Side]) -> None:
    ours, theirs = sides
    handle = await theirs.start(f"theirs-{uuid4().hex[:8]}")
    key = RunKey("acme", handle.id, str(handle.first_execution_run_id), theirs.client.namespace)
    order = ControlOrder(control=Control.TERMINATE, actor="test", reason="must not")

    answer = await TemporalRun(ours.client).ask(key, order, str(uuid4()))

    assert isinstance(answer, NotTaken)
    assert answer.reason == "namespace_not_served"
    assert await theirs.seen(handle.id) == []


async def test_a_trigger_launches_in_the_namespace_that_it_names(
    sides: tuple[Side, Side], database_url: str
) -> None:
    ours, theirs = sides
    await ours.rig.apply(a_trigger(namespace=theirs.client.namespace, workflow="Chained"))

    await ours.rig.publish(event_id="e-1")
    theirs.rig.outgoing.wake()

    [launch] = await ours.rig.settled()
    described = await theirs.client.get_workflow_handle(launch["workflow_id"]).describe()
    assert described.run_id == launch["run_id"]
    named = rows(database_url, "SELECT namespace FROM workflow_runs")
    assert named == [(theirs.client.namespace,)]


async def test_what_waits_for_a_namespace_that_nobody_serves_is_told(
    sides: tuple[Side, Side], database_url: str
) -> None:
    ours, _ = sides
    await ours.rig.apply(a_trigger(namespace="nobody's"))
    wait = ours.rig.wait(key="7", namespace="nobody's")
    await ours.rig.waits.register([wait])
    await ours.rig.publish(key="7")

    found = await unserved_namespaces(
        ours.rig.database, [ours.client.namespace], after=timedelta(0)
    )
    served = await unserved_namespaces(ours.rig.database, ["nobody's"], after=timedelta(0))
    young = await unserved_namespaces(ours.rig.database, [])

    assert [(each.namespace, each.deliveries, each.launches) for each in found] == [
        ("nobody's", 1, 1)
    ]
    assert (served, young) == ([], [])
    statuses = rows(database_url, "SELECT status FROM workflow_event_deliveries")
    assert statuses == [("pending",)]
