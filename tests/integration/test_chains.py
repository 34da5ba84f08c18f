"""A wait belongs to a chain of runs, and lives as long as that, whoever uses the workflow id."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy, WorkflowIDConflictPolicy
from temporalio.worker import Worker

from correlation.rules import NO_RULES
from pointsman.contract import Cardinality
from routing.chained_waits import ChainedWaits
from routing.incoming import RunId
from routing.task_records import Person, TaskRefusal, TaskRefused
from routing.tasks import TaskDesk
from routing.temporal_chains import TemporalChains
from routing.waits import Registration, Wait
from tests.builders import a_task
from tests.conftest import TemporalTarget
from tests.integration.launches import Rig, a_rig, a_trigger
from tests.rows import rows
from tests.waiting import wait_until
from tests.workflows import Chained

EXCLUSIVE = Cardinality.EXCLUSIVE
REUSES = int(os.environ.get("POINTSMAN_REUSES", "15"))
"""How often three workflow ids are used again together; `./dev reuse` takes 1,000."""


@dataclass
class Site:
    """Routing that knows chains, and a worker of workflows."""

    rig: Rig
    chains: TemporalChains
    waits: ChainedWaits
    client: Client
    queue: str

    async def start(self, workflow_id: str | None = None, **terms: Any) -> WorkflowHandle[Any, Any]:
        return await self.client.start_workflow(
            Chained.run, [], id=workflow_id or self.an_id(), task_queue=self.queue, **terms
        )

    def an_id(self) -> str:
        return f"chained-{uuid.uuid4().hex}"

    def wait(self, handle: WorkflowHandle[Any, Any], run_id: str, **terms: Any) -> Wait:
        """As the activity registers it for a run; the first of its chain is looked up."""
        return self.rig.wait(
            **{"workflow_id": handle.id, "run_id": run_id, "key": "7", "cardinality": EXCLUSIVE}
            | terms
        )

    async def register(
        self, handle: WorkflowHandle[Any, Any], run_id: str | None = None, **terms: Any
    ) -> Registration:
        [registration] = await self.waits.register(
            [self.wait(handle, run_id or await self.newest(handle), **terms)]
        )
        return registration

    async def newest(self, handle: WorkflowHandle[Any, Any]) -> str:
        described = await self.client.get_workflow_handle(handle.id).describe()
        return str(described.run_id)

    async def newer_than(self, handle: WorkflowHandle[Any, Any], run_id: str) -> str:
        async def follows() -> bool:
            return await self.newest(handle) != run_id

        await wait_until(follows, description="another run follows")
        return await self.newest(handle)

    async def publish(self, event_id: str = "e-1", key: str = "7") -> None:
        await self.rig.publish(key=key, event_id=event_id)

    async def seen(self, handle: WorkflowHandle[Any, Any]) -> list[str]:
        newest = self.client.get_workflow_handle(handle.id)
        return list(await newest.query(Chained.seen))

    async def settled(self) -> list[tuple[Any, ...]]:
        def all_ended() -> bool:
            return all(row[1] != "pending" for row in self.deliveries())

        await wait_until(all_ended, description="every delivery has its end")
        return self.deliveries()

    def deliveries(self) -> list[tuple[Any, ...]]:
        return rows(
            self.rig.url,
            "SELECT wait_id, status, reason FROM workflow_event_deliveries ORDER BY position",
        )

    def open_waits(self) -> list[str]:
        found = rows(
            self.rig.url,
            "SELECT wait_id FROM workflow_run_waits WHERE status = 'waiting' ORDER BY position",
        )
        return [row[0] for row in found]


@pytest.fixture
async def site(database_url: str, temporal: TemporalTarget) -> AsyncIterator[Site]:
    client = await Client.connect(temporal.address, namespace=temporal.namespace)
    async with (
        a_rig(database_url, client) as rig,
        Worker(client, task_queue=temporal.task_queue, workflows=[Chained]),
    ):
        chains = TemporalChains(client)
        waits = ChainedWaits(rig.database, chains)
        yield Site(rig, chains, waits, client, temporal.task_queue)


async def terminated_and_started(site: Site, handle: WorkflowHandle[Any, Any]) -> str:
    await handle.terminate()
    return str((await site.start(handle.id)).first_execution_run_id)


async def completed_and_started(site: Site, handle: WorkflowHandle[Any, Any]) -> str:
    await handle.signal(Chained.tell, "end")
    await handle.result()
    return str((await site.start(handle.id)).first_execution_run_id)


async def pushed_aside(site: Site, handle: WorkflowHandle[Any, Any]) -> str:
    policy = WorkflowIDConflictPolicy.TERMINATE_EXISTING
    started = await site.start(handle.id, id_conflict_policy=policy)
    return str(started.first_execution_run_id)


async def retried(site: Site, handle: WorkflowHandle[Any, Any]) -> str:
    run_id = await site.newest(handle)
    await handle.signal(Chained.tell, "fail")
    return await site.newer_than(handle, run_id)


async def by_cron(site: Site, handle: WorkflowHandle[Any, Any]) -> str:
    run_id = await site.newest(handle)
    await handle.signal(Chained.tell, "end")
    return await site.newer_than(handle, run_id)


async def continued(site: Site, handle: WorkflowHandle[Any, Any]) -> str:
    run_id = await site.newest(handle)
    await handle.signal(Chained.tell, "continue")
    return await site.newer_than(handle, run_id)


async def reset(site: Site, handle: WorkflowHandle[Any, Any]) -> str:
    answer = await site.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=site.client.namespace,
            workflow_execution=WorkflowExecution(
                workflow_id=handle.id, run_id=await site.newest(handle)
            ),
            reason="test",
            workflow_task_finish_event_id=4,
            request_id=str(uuid.uuid4()),
        )
    )
    return str(answer.run_id)


async def reset_while_it_runs(site: Site, handle: WorkflowHandle[Any, Any]) -> str:
    await site.seen(handle)  # so that its first workflow task is done
    return await reset(site, handle)


async def terminated_and_reset(site: Site, handle: WorkflowHandle[Any, Any]) -> str:
    await site.seen(handle)
    await handle.terminate()
    return await reset(site, handle)


RETRIES: dict[str, Any] = {"retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=50))}
CRON: dict[str, Any] = {"cron_schedule": "@every 1s"}
DEATHS = [
    pytest.param(terminated_and_started, {}, id="terminated"),
    pytest.param(completed_and_started, {}, id="completed"),
    pytest.param(pushed_aside, {}, id="terminate_existing"),
    pytest.param(retried, RETRIES, id="retried"),
    pytest.param(by_cron, CRON, id="cron"),
]
LIVES = [
    pytest.param(continued, id="continued_as_new"),
    pytest.param(reset_while_it_runs, id="reset"),
    pytest.param(terminated_and_reset, id="terminated_and_reset"),
]


@pytest.mark.parametrize(("follow", "terms"), DEATHS)
async def test_a_successor_that_registers_the_same_wait_gets_the_event(
    site: Site, follow: Any, terms: dict[str, Any]
) -> None:
    handle = await site.start(**terms)
    await site.register(handle, wait_id="dead")
    following = await follow(site, handle)

    await site.register(handle, following, wait_id="alive")
    still_open = site.open_waits()
    await site.publish()

    assert still_open == ["alive"]
    assert await site.settled() == [("alive", "delivered", None)]
    assert await site.seen(handle) == ["alive e-1"]


@pytest.mark.parametrize(("follow", "terms"), DEATHS)
async def test_an_exclusive_event_that_a_dead_wait_takes_goes_to_the_next_in_line(
    site: Site, follow: Any, terms: dict[str, Any]
) -> None:
    handle = await site.start(**terms)
    heir = await site.start()
    await site.register(handle, wait_id="dead")
    await site.register(heir, wait_id="alive")
    await follow(site, handle)

    await site.publish()

    await wait_until(lambda: len(site.deliveries()) == 2, description="it is offered again")
    assert await site.settled() == [
        ("dead", "dead", "run_closed"),
        ("alive", "delivered", None),
    ]
    assert site.open_waits() == ["alive"]
    assert (await site.seen(handle), await site.seen(heir)) == ([], ["alive e-1"])


@pytest.mark.parametrize("go_on", LIVES)
async def test_a_wait_outlives_the_run_that_registered_it_where_its_chain_knows_it(
    site: Site, go_on: Any
) -> None:
    handle = await site.start()
    await site.register(handle, wait_id="carried")
    following = await go_on(site, handle)

    await site.register(handle, following, key="8", wait_id="another")
    await site.publish()

    assert await site.settled() == [("carried", "delivered", None)]
    assert site.open_waits() == ["carried", "another"]
    assert await site.seen(handle) == ["carried e-1"]


async def test_a_late_registration_of_a_dead_run_retires_nobody_but_itself(site: Site) -> None:
    handle = await site.start()
    dead_run = await site.newest(handle)
    await terminated_and_started(site, handle)
    await site.register(handle, wait_id="alive")

    await site.register(handle, dead_run, wait_id="late")

    assert site.open_waits() == ["alive"]


async def test_a_wait_id_that_a_dead_chain_used_serves_its_successor(site: Site) -> None:
    handle = await site.start()
    await site.register(handle, wait_id="order-7/paid", lookback=timedelta(minutes=5))
    await site.publish("to the first")
    await site.settled()
    following = await terminated_and_started(site, handle)

    again = await site.register(
        handle, following, wait_id="order-7/paid", cardinality=Cardinality.ALL
    )
    await site.publish("to the second")

    assert (again.status, again.conflict) == ("waiting", False)
    assert site.open_waits() == ["order-7/paid"]
    await site.settled()
    assert await site.seen(handle) == ["order-7/paid to the second"]
    kept = rows(site.rig.url, "SELECT reason FROM workflow_run_waits WHERE status = 'closed'")
    assert kept == [("run_closed",)]


async def test_a_wait_id_of_a_living_chain_is_not_given_to_another(site: Site) -> None:
    handle, other = await site.start(), await site.start()
    await site.register(handle, wait_id="w")

    registration = await site.register(other, wait_id="w")

    assert registration.conflict


async def test_a_later_run_of_the_chain_registers_the_same_wait_again(site: Site) -> None:
    handle = await site.start()
    await site.register(handle, wait_id="w")
    following = await continued(site, handle)

    registration = await site.register(handle, following, wait_id="w")
    await site.publish()

    assert (registration.status, registration.conflict) == ("waiting", False)
    assert await site.settled() == [("w", "delivered", None)]


async def test_a_wait_that_names_no_run_is_bound_to_the_run_that_took_its_first_event(
    site: Site,
) -> None:
    handle = await site.start()
    wait = site.rig.wait(workflow_id=handle.id, key="7", wait_id="w")
    await site.rig.waits.register([wait])
    await site.publish()
    await site.settled()

    bound = rows(site.rig.url, "SELECT run_id, first_run_id FROM workflow_run_waits")
    await terminated_and_started(site, handle)
    await site.publish("e-2")

    first = handle.first_execution_run_id
    assert bound == [(first, first)]
    assert (await site.settled())[-1] == ("w", "dead", "run_closed")
    assert await site.seen(handle) == []


async def test_a_trigger_for_events_without_a_wait_is_not_held_up_by_a_dead_one(
    site: Site,
) -> None:
    await site.rig.apply(a_trigger(only_without_wait=True))
    handle = await site.start()
    await site.register(handle)
    await handle.terminate()

    await site.publish()

    [launch] = await wait_until(
        lambda: [row for row in site.rig.launches() if row["status"] == "launched"],
        description="the event launches after all",
    )
    assert launch["reason"] is None


async def test_a_task_of_a_dead_run_cannot_be_completed(site: Site) -> None:
    handle = await site.start()
    [_] = await site.waits.register(
        [a_task(wait_id="t", workflow_id=handle.id, run_id=RunId(await site.newest(handle)))]
    )
    desk = TaskDesk(site.rig.database, timedelta(days=7), retire=site.waits.retire_gone)
    await terminated_and_started(site, handle)

    ada = Person("test", "ada")
    end = await desk.complete("acme", "t", ada, {"amount": 7}, NO_RULES)

    assert isinstance(end, TaskRefusal)
    assert end.why is TaskRefused.CLOSED
    assert "run_closed" in end.detail
    assert site.open_waits() == []


async def test_a_workflow_id_that_is_used_again_and_again_leaves_no_dead_wait(site: Site) -> None:
    ids = [site.an_id() for _ in range(3)]
    times = REUSES // len(ids)

    async def use(workflow_id: str) -> None:
        for number in range(times):
            policy = WorkflowIDConflictPolicy.TERMINATE_EXISTING
            handle = await site.start(workflow_id, id_conflict_policy=policy)
            name = f"{workflow_id} {number}"
            run_id = str(handle.first_execution_run_id)
            await site.register(handle, run_id, key=workflow_id, wait_id=name)
            await site.publish(name, key=workflow_id)
            await site.settled()

    await asyncio.gather(*map(use, ids))

    assert set(site.open_waits()) == {f"{workflow_id} {times - 1}" for workflow_id in ids}
    taken = rows(site.rig.url, "SELECT event_id, wait_id, status FROM workflow_event_deliveries")
    assert sorted(taken) == [(name, name, "delivered") for name in sorted(row[0] for row in taken)]
    assert len(taken) == times * len(ids)
