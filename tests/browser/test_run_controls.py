"""Runs of a real Temporal server are cancelled, signalled and ended from the console."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import expect
from temporalio.client import Client, WorkflowHandle

from routing.run_controls import RunPort
from routing.temporal_runs import TemporalRun
from routing.tokens import Scope
from routing.waits import Waits
from tests.browser.conftest import Console, keep
from tests.builders import a_wait
from tests.conftest import TemporalTarget
from tests.workflows import Collector


@pytest_asyncio.fixture(loop_scope="session")
async def client(temporal: TemporalTarget) -> Client:
    return await Client.connect(temporal.address, namespace=temporal.namespace)


@pytest.fixture
def run_port(client: Client) -> RunPort:
    return TemporalRun(client)


@pytest_asyncio.fixture(loop_scope="session")
async def run(
    console: Console, client: Client, temporal: TemporalTarget
) -> AsyncIterator[WorkflowHandle[Any, Any]]:
    """A run that waits; no worker is needed, for Temporal itself takes what is asked of it."""
    handle = await client.start_workflow(
        Collector.run, [], id=f"collector-{uuid.uuid4()}", task_queue=temporal.task_queue
    )
    wait = a_wait(workflow_id=handle.id, run_id=handle.first_execution_run_id)
    await Waits(console.parts.database).register([wait])
    yield handle
    if (await handle.describe()).close_time is None:
        await handle.terminate()


async def test_who_operates_cancels_a_run_and_is_offered_no_more(
    console: Console, run: WorkflowHandle[Any, Any]
) -> None:
    page = await console.visitor(Scope.OPERATE)
    await page.goto(f"/console/run?id={run.id}&of=acme")
    await expect(page.get_by_text("Terminate run")).to_have_count(0)

    await page.get_by_text("Cancel run").click()
    await page.get_by_label("Reason").fill("ordered twice")
    await page.get_by_role("button", name="Cancel the run").click()

    asked = page.get_by_role("row", name="ordered twice")
    await expect(asked).to_contain_text("token:Ada")
    await expect(page.get_by_text("cancellation requested")).to_be_visible()
    assert "cancel_requested" in await asked_of(run)


async def test_an_administrator_signals_a_run_then_terminates_it(
    console: Console, run: WorkflowHandle[Any, Any]
) -> None:
    page = await console.visitor(Scope.ADMIN)
    await page.goto(f"/console/run?id={run.id}&of=acme")

    signalling = page.locator("details", has_text="Send a signal to run")
    await signalling.locator("summary").click()
    await signalling.get_by_label("Signal").fill("approve")
    await signalling.get_by_label("Input, as JSON").fill('{"by": "dana"}')
    await signalling.get_by_label("Reason").fill("approved by phone")
    await signalling.get_by_role("button", name="Send the signal").click()
    await expect(page.get_by_role("row", name="approved by phone")).to_contain_text("approve")

    terminating = page.locator("details", has_text="Terminate run")
    await terminating.locator("summary").click()
    await keep(page, "run-controls")
    await terminating.get_by_label("Reason").fill("stuck in a loop")
    await terminating.get_by_role("button", name="Terminate the run").click()

    await expect(page.get_by_text("terminated", exact=True)).to_be_visible()
    await expect(page.get_by_role("row", name="stuck in a loop")).to_contain_text("terminate")
    assert await asked_of(run) == ["signaled", "terminated"]


async def asked_of(run: WorkflowHandle[Any, Any]) -> list[str]:
    """What Temporal's own history says that the run was asked."""
    kinds = ("signaled", "terminated", "cancel_requested")
    asked = {f"workflow_execution_{kind}_event_attributes": kind for kind in kinds}
    happened = [event.WhichOneof("attributes") for event in (await run.fetch_history()).events]
    return [asked[name] for name in happened if name in asked]
