"""What the tests of launching share: one process' worth of routing on real servers."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from temporalio.client import Client

from correlation.event import TenantId
from correlation.triggers import Trigger, compile_trigger
from routing.database import Database, DatabaseLimits, open_database
from routing.delivery_store import DeliveryStore
from routing.dispatch import Dispatcher, DispatchLimits
from routing.incoming import IncomingEvent, Recorded
from routing.launch_store import LaunchStore
from routing.launcher import Launcher, LaunchLimits
from routing.matching import Matcher, Matching
from routing.temporal import TemporalSignaller
from routing.temporal_start import TemporalStarter
from routing.triggers import apply_triggers
from routing.waits import Wait, Waits
from tests.builders import a_wait, incoming
from tests.running import in_background
from tests.waiting import wait_until
from worker.outgoing import Outgoing

LEASE: Final = timedelta(seconds=60)
SOON: Final = timedelta(milliseconds=100)


def a_trigger(trigger_id: str = "onboarding", **terms: Any) -> Trigger:
    """A trigger of tenant acme for CLIENT_CREATED."""
    definition = {
        "tenant": "acme",
        "event": "CLIENT_CREATED",
        "workflow": "Collector",
        "task_queue": f"nobody-{uuid.uuid4().hex}",
        **terms,
    }
    return compile_trigger(trigger_id, definition)


class Rig:
    """Recording and sending as one process does them."""

    def __init__(self, database: Database, url: str, client: Client) -> None:
        self.url = url
        self.suffix = urlsplit(url).path.strip("/")
        self.database = database
        self.client = client
        self.waits = Waits(database)
        self.matcher = Matcher(
            database, Matching(owner="me", lease=LEASE, namespaces=(client.namespace,))
        )
        self.store = LaunchStore(database, "me", LEASE, [client.namespace])
        self.launcher = Launcher(
            self.store, TemporalStarter(client), LaunchLimits(claim_period=SOON)
        )
        self.dispatcher = Dispatcher(
            DeliveryStore(database, "me", LEASE, [client.namespace]),
            TemporalSignaller(client),
            DispatchLimits(claim_period=SOON),
        )
        self.outgoing = Outgoing(
            {client.namespace: self.dispatcher}, {client.namespace: self.launcher}
        )

    def of(self, tenant: str) -> str:
        """A tenant of this test alone: workflow ids are derived, and the namespace is shared."""
        return f"{tenant}-{self.suffix}"

    async def apply(self, *triggers: Trigger) -> None:
        mine = [replace(trigger, tenant=TenantId(self.of(trigger.tenant))) for trigger in triggers]
        await apply_triggers(self.database, mine, actor="test")

    def incoming(self, tenant: str = "acme", **terms: Any) -> IncomingEvent:
        return incoming(**{"name": "CLIENT_CREATED", "tenant": self.of(tenant), **terms})

    def wait(self, **terms: Any) -> Wait:
        ours = {"tenant": self.of("acme"), "namespace": self.client.namespace}
        return a_wait(**{"event_name": "CLIENT_CREATED", **ours, **terms})

    async def record(self, **terms: Any) -> Recorded:
        return await self.matcher.record([self.incoming(**terms)])

    async def publish(self, **terms: Any) -> None:
        recorded = await self.record(**terms)
        await self.outgoing.submit(recorded.deliveries)
        if recorded.left_to_claim:
            self.outgoing.wake()

    def launches(self) -> list[dict[str, Any]]:
        with psycopg.connect(self.url) as connection:
            cursor = connection.execute(
                "SELECT event_id, trigger_id, status, reason, workflow_id, run_id, attempts, input"
                " FROM workflow_event_launches ORDER BY trigger_id, event_id"
            )
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    async def settled(self, count: int = 1) -> list[dict[str, Any]]:
        def all_ended() -> bool:
            found = self.launches()
            return len(found) == count and all(row["status"] != "pending" for row in found)

        await wait_until(all_ended, description=f"{count} launches have their end")
        return self.launches()

    async def runs_of_eventually(self, workflow_id: str) -> int:
        """How many runs Temporal has of a workflow id, once its index knows of any."""
        query = f"WorkflowId = '{workflow_id}'"

        async def known() -> int:
            return (await self.client.count_workflows(query)).count

        return await wait_until(known, description="Temporal's index knows the workflow")

    async def first_argument(self, workflow_id: str) -> Mapping[str, Any]:
        """What Temporal was given to start the workflow with."""
        history = await self.client.get_workflow_handle(workflow_id).fetch_history()
        started = history.events[0].workflow_execution_started_event_attributes
        [argument] = await self.client.data_converter.decode(started.input.payloads)
        assert isinstance(argument, Mapping)
        return argument


@asynccontextmanager
async def a_rig(url: str, client: Client, *, sending: bool = True) -> AsyncIterator[Rig]:
    """The rig; without `sending` it only records."""
    async with open_database(url, DatabaseLimits()) as database:
        rig = Rig(database, url, client)
        if not sending:
            yield rig
            return
        async with in_background(rig.outgoing.run()):
            yield rig
