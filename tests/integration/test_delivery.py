"""Deliveries on a real Temporal server: order, idempotency, and every way to fail."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from pointsman.contract import WaitKind
from routing.database import Database, DatabaseLimits, open_database
from routing.delivery_store import DeliveryStore
from routing.dispatch import Dispatcher, DispatchLimits
from routing.matching import Matcher, Matching
from routing.temporal import TemporalSignaller
from routing.waits import Waits
from tests.builders import a_wait, incoming
from tests.conftest import TemporalTarget
from tests.running import in_background
from tests.waiting import wait_until
from tests.workflows import Collector

LEASE = timedelta(seconds=60)


class Rig:
    """One process' worth of routing, on real servers."""

    def __init__(self, database: Database, url: str, client: Client, grace: timedelta) -> None:
        self.url = url
        self.waits = Waits(database)
        here = (client.namespace,)
        self.matcher = Matcher(database, Matching(owner="me", lease=LEASE, namespaces=here))
        self.dispatcher = Dispatcher(
            DeliveryStore(database, "me", LEASE, here),
            TemporalSignaller(client),
            DispatchLimits(run_not_found_grace=grace, claim_period=timedelta(milliseconds=100)),
        )

    async def publish(self, **terms: Any) -> None:
        recorded = await self.matcher.record([incoming(**terms)])
        await self.dispatcher.submit(recorded.deliveries)

    def deliveries(self) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(
                "SELECT workflow_id, status, reason FROM workflow_event_deliveries"
                " ORDER BY position"
            ).fetchall()

    async def settled(self) -> list[tuple[Any, ...]]:
        await wait_until(
            lambda: all(row[1] != "pending" for row in self.deliveries()),
            description="every delivery has its end",
        )
        return self.deliveries()

    def waits_by_status(self) -> dict[str, tuple[str, str | None]]:
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(
                "SELECT workflow_id, status, reason FROM workflow_run_waits"
            ).fetchall()
        return {row[0]: (row[1], row[2]) for row in rows}


@pytest.fixture
async def client(temporal: TemporalTarget) -> Client:
    return await Client.connect(temporal.address, namespace=temporal.namespace)


@asynccontextmanager
async def a_rig(url: str, client: Client, grace: timedelta = timedelta(0)) -> AsyncIterator[Rig]:
    async with open_database(url, DatabaseLimits()) as database:
        rig = Rig(database, url, client, grace)
        async with in_background(rig.dispatcher.run()):
            yield rig


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


async def ended(handle: WorkflowHandle[Any, Any]) -> list[dict[str, Any]]:
    await handle.signal(Collector.end)
    result: list[dict[str, Any]] = await handle.result()
    return result


@pytest.mark.usefixtures("worker")
async def test_an_event_arrives_as_its_publisher_wrote_it(
    rig: Rig, client: Client, temporal: TemporalTarget
) -> None:
    handle = await collector(client, temporal)
    wait = a_wait(key="7", workflow_id=handle.id)
    await rig.waits.register([wait])

    await rig.publish(key="7", event_id="e-1", payload={"größe": 1, "items": [1, {"a": None}]})
    await rig.settled()

    [event] = await ended(handle)
    assert event["payload"] == {"größe": 1, "items": [1, {"a": None}]}
    assert (event["waitId"], event["eventId"]) == (wait.wait_id, "e-1")
    assert (event["eventName"], event["correlationKey"]) == ("INVOICE_PAID", "7")


@pytest.mark.usefixtures("worker")
async def test_events_reach_a_workflow_in_their_order(
    rig: Rig, client: Client, temporal: TemporalTarget
) -> None:
    handle = await collector(client, temporal)
    await rig.waits.register([a_wait(key="7", workflow_id=handle.id)])

    for number in range(30):
        await rig.publish(key="7", event_id=f"e-{number}")
    await rig.settled()

    assert [event["eventId"] for event in await ended(handle)] == [f"e-{n}" for n in range(30)]


@pytest.mark.usefixtures("worker")
async def test_a_delivery_sent_twice_arrives_once(
    rig: Rig, client: Client, temporal: TemporalTarget
) -> None:
    handle = await collector(client, temporal)
    await rig.waits.register([a_wait(key="7", workflow_id=handle.id)])
    await rig.publish(key="7")
    await rig.settled()
    with psycopg.connect(rig.url) as connection:
        connection.execute(
            "UPDATE workflow_event_deliveries SET status = 'pending', due_at = now()"
        )

    rig.dispatcher.wake()
    await rig.settled()

    assert len(await ended(handle)) == 1


@pytest.mark.usefixtures("worker")
async def test_a_closed_run_makes_the_delivery_dead_and_retires_the_wait(
    rig: Rig, client: Client, temporal: TemporalTarget
) -> None:
    closed = await collector(client, temporal)
    await ended(closed)
    alive = await collector(client, temporal)
    await rig.waits.register([a_wait(key="7", workflow_id=each.id) for each in (closed, alive)])

    await rig.publish(key="7")

    rows = await rig.settled()
    assert rows == [(closed.id, "dead", "run_closed"), (alive.id, "delivered", None)]
    await wait_until(
        lambda: rig.waits_by_status()[closed.id] == ("closed", "run_closed"),
        description="the wait of the closed run is retired",
    )
    assert rig.waits_by_status()[alive.id] == ("waiting", None)


async def test_an_unknown_run_is_dead_after_its_grace(rig: Rig) -> None:
    await rig.waits.register([a_wait(key="7", workflow_id="nobody")])

    await rig.publish(key="7")

    assert await rig.settled() == [("nobody", "dead", "run_not_found")]


@pytest.mark.usefixtures("worker")
async def test_a_run_that_starts_within_the_grace_gets_its_event(
    database_url: str, client: Client, temporal: TemporalTarget
) -> None:
    workflow_id = f"late-{uuid.uuid4()}"
    async with a_rig(database_url, client, grace=timedelta(seconds=60)) as rig:
        await rig.waits.register([a_wait(key="7", workflow_id=workflow_id)])
        await rig.publish(key="7")
        await wait_until(
            lambda: rig.deliveries() == [(workflow_id, "pending", "run_not_found")],
            description="the first attempt found no run",
        )

        handle = await client.start_workflow(
            Collector.run, [], id=workflow_id, task_queue=temporal.task_queue
        )

        assert await rig.settled() == [(workflow_id, "delivered", None)]
        assert len(await ended(handle)) == 1


@pytest.mark.usefixtures("worker")
async def test_what_comes_before_and_after_the_run_starts_arrives_in_order(
    database_url: str, client: Client, temporal: TemporalTarget
) -> None:
    workflow_id, events = f"late-{uuid.uuid4()}", [f"e-{number}" for number in range(40)]
    async with a_rig(database_url, client, grace=timedelta(seconds=60)) as rig:
        other = await collector(client, temporal)
        stream = a_wait(key="7", workflow_id=workflow_id, kind=WaitKind.STREAM)
        await rig.waits.register([stream, a_wait(key="8", workflow_id=other.id)])
        for event_id in events[:9]:
            await rig.publish(key="7", event_id=event_id)
        await wait_until(
            lambda: (workflow_id, "pending", "run_not_found") in rig.deliveries(),
            description="the first attempt found no run",
        )
        await rig.publish(key="8")
        await wait_until(
            lambda: (other.id, "delivered", None) in rig.deliveries(),
            description="the other workflow has its event meanwhile",
        )

        handle = await client.start_workflow(
            Collector.run, [], id=workflow_id, task_queue=temporal.task_queue
        )
        for event_id in events[9:]:
            await rig.publish(key="7", event_id=event_id)
        await rig.settled()

        assert [event["eventId"] for event in await ended(handle)] == events


@pytest.mark.usefixtures("worker")
async def test_a_run_that_was_continued_as_new_gets_its_event(
    rig: Rig, client: Client, temporal: TemporalTarget
) -> None:
    handle = await collector(client, temporal)
    await rig.waits.register(
        [a_wait(key="7", workflow_id=handle.id, run_id=handle.first_execution_run_id)]
    )
    await handle.signal(Collector.continue_as_new)
    newest = client.get_workflow_handle(handle.id)
    await wait_until(
        lambda: _is_another_run(newest, handle), description="the workflow was continued as new"
    )

    await rig.publish(key="7")

    assert await rig.settled() == [(handle.id, "delivered", None)]
    assert len(await ended(newest)) == 1


@pytest.mark.usefixtures("worker")
async def test_a_payload_over_temporals_limit_is_refused_and_delays_nobody(
    rig: Rig, client: Client, temporal: TemporalTarget
) -> None:
    handle = await collector(client, temporal)
    await rig.waits.register([a_wait(key=key, workflow_id=handle.id) for key in ("7", "8")])

    await rig.publish(key="7", payload={"text": "x" * 3_000_000})
    await rig.publish(key="8")

    assert await rig.settled() == [
        (handle.id, "dead", "payload_too_large"),
        (handle.id, "delivered", None),
    ]
    assert rig.waits_by_status()[handle.id] == ("waiting", None)


async def test_a_missing_namespace_is_tried_again_and_never_called_a_missing_run(
    database_url: str, temporal: TemporalTarget
) -> None:
    client = await Client.connect(temporal.address, namespace="nowhere", lazy=True)
    async with a_rig(database_url, client) as rig:
        await rig.waits.register([a_wait(key="7", namespace="nowhere")])

        await rig.publish(key="7")

        await wait_until(
            lambda: rig.deliveries()[0][1:] == ("pending", "namespace_not_found"),
            description="the delivery waits for the namespace",
        )


async def _is_another_run(
    newest: WorkflowHandle[Any, Any], first: WorkflowHandle[Any, Any]
) -> bool:
    return (await newest.describe()).run_id != first.first_execution_run_id
