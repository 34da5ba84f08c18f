"""What Temporal says of the tenant that a workflow's memo names."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from temporalio.client import Client

from correlation.event import EventId, EventName, TenantId
from routing.faults import ChainUnknown
from routing.incoming import WorkflowId
from routing.launches import Launch, Launched
from routing.ownership import Basis, Ownership, Target
from routing.temporal_owners import TemporalAttributes
from routing.temporal_start import TemporalStarter
from tests.conftest import TemporalTarget


@pytest.fixture
async def client(temporal: TemporalTarget) -> Client:
    return await Client.connect(temporal.address, namespace=temporal.namespace)


def attributes(client: Client, name: str = "pointsman.tenant") -> TemporalAttributes:
    return TemporalAttributes({client.namespace: client}, name, is_memo=True)


async def test_a_memo_that_any_sdk_sets_names_the_tenant(client: Client) -> None:
    workflow_id = f"owned-{uuid.uuid4().hex}"
    handle = await client.start_workflow(
        "Nobody", id=workflow_id, task_queue="nobody", memo={"pointsman.tenant": "acme"}
    )
    target = Target(client.namespace, workflow_id)

    newest = await attributes(client).describe(target)
    exact = await attributes(client).describe(replace(target, run_id=handle.first_execution_run_id))
    unnamed = await attributes(client, "team").describe(target)

    assert newest == exact
    assert newest is not None
    assert (newest.run.run_id, newest.tenants) == (handle.first_execution_run_id, ["acme"])
    assert unnamed is not None
    assert unnamed.tenants == []


async def test_what_a_trigger_launches_has_the_memo_of_the_settings(client: Client) -> None:
    workflow_id = WorkflowId(f"launched-{uuid.uuid4().hex}")
    launch = Launch(
        tenant=TenantId("acme"),
        event_id=EventId("e"),
        trigger_id="t",
        workflow_id=workflow_id,
        workflow_type="Nobody",
        task_queue="nobody",
        input_text="{}",
        event_name=EventName("A"),
        correlation_key=None,
        payload_text="{}",
        received_at=datetime.now(UTC),
        namespace=client.namespace,
    )
    starter = TemporalStarter(client, ownership=Ownership(Basis.MEMO, attribute="team"))

    started = await starter.start(launch)
    found = await attributes(client, "team").describe(Target(client.namespace, workflow_id))

    assert isinstance(started, Launched)
    assert found is not None
    assert found.tenants == ["acme"]


@pytest.mark.parametrize(
    "target",
    [
        Target("", "unknown"),
        Target("", "unknown", "no-uuid"),
        Target("", "unknown", str(uuid.uuid4())),
        Target("not-served", "unknown"),
    ],
)
async def test_of_an_unknown_workflow_there_is_nothing_to_describe(
    client: Client, target: Target
) -> None:
    named = replace(target, namespace=target.namespace or client.namespace)

    assert await attributes(client).describe(named) is None


async def test_without_an_answer_nothing_is_concluded() -> None:
    nowhere = await Client.connect("127.0.0.1:9", lazy=True)

    with pytest.raises(ChainUnknown):
        await attributes(nowhere).describe(Target("default", "w"))
