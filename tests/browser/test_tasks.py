"""A person completes a task in the console, and the workflow that asked goes on."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest_asyncio
from playwright.async_api import expect
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from routing.delivery_store import DeliveryStore
from routing.dispatch import Dispatcher, DispatchLimits
from routing.temporal import TemporalSignaller
from routing.tokens import Scope
from routing.waits import Waits
from tests.browser.conftest import Console, keep
from tests.builders import a_task
from tests.conftest import TemporalTarget
from tests.integration.sdk_workflows import AskedPerson, Waiting
from tests.running import in_background
from tests.waiting import wait_until
from worker.activities import WaitActivities


@pytest_asyncio.fixture(loop_scope="session")
async def asking(
    console: Console, temporal: TemporalTarget
) -> AsyncIterator[WorkflowHandle[Any, Any]]:
    """A workflow that asks Ada for an approval, with all that brings her answer to it."""
    client = await Client.connect(temporal.address, namespace=temporal.namespace)
    database = console.parts.database
    dispatcher = Dispatcher(
        DeliveryStore(database, "tasks", timedelta(seconds=60)),
        TemporalSignaller(client),
        DispatchLimits(claim_period=timedelta(milliseconds=50)),
    )
    activities = WaitActivities(Waits(database), dispatcher.wake)
    async with (
        Worker(
            client,
            task_queue=temporal.task_queue,
            workflows=[AskedPerson],
            activities=[activities.register_wait, activities.close_wait],
        ),
        in_background(dispatcher.run()),
    ):
        yield await client.start_workflow(
            AskedPerson.run,
            Waiting(temporal.task_queue, key="approval-1", timeout_seconds=None),
            id=f"asking-{uuid.uuid4()}",
            task_queue=temporal.task_queue,
        )


async def registered(console: Console) -> None:
    async def is_there() -> bool:
        async with console.parts.database.transaction() as connection:
            cursor = await connection.execute("SELECT count(*) FROM workflow_human_tasks")
            row = await cursor.fetchone()
        return row is not None and row[0] > 0

    await wait_until(is_there, description="the task is registered")


async def test_a_person_completes_a_task_and_the_workflow_goes_on(
    console: Console, asking: WorkflowHandle[Any, Any]
) -> None:
    await registered(console)
    page = await console.visitor(Scope.OPERATE)
    # The token's name is Ada, and the task is for ada: it is given to her by her full name.
    await page.goto("/console/tasks?show=open")
    await page.get_by_role("link", name="Approve it").click()
    await expect(page.get_by_text("the task is for ada, bob, not for token:Ada")).to_be_visible()
    await page.get_by_text("Reassign the task").click()
    await page.get_by_label("Assignees").fill("token:Ada")
    await page.get_by_label("Reason").fill("that is me")
    await page.get_by_role("button", name="Reassign").click()
    await page.get_by_role("button", name="Claim it for me").click()
    await page.get_by_label("Comment").fill("looks good")
    await page.get_by_role("button", name="Add the comment").click()
    await keep(page, "task")

    await page.get_by_label("approved").select_option(label="yes")
    await page.get_by_role("button", name="Complete the task").click()

    await expect(page.get_by_text("completed", exact=True).first).to_be_visible()
    assert (await asking.result()).startswith("token:Ada True human-task-")
    history = page.get_by_role("table").locator("tbody")
    for line in ("reassign to token:Ada", "claim", "looks good", "complete"):
        await expect(history).to_contain_text(line)
    await page.goto("/console/tasks")
    await expect(page.get_by_text("No tasks here")).to_be_visible()


async def test_an_answer_that_does_not_fit_comes_back_with_what_is_wrong(console: Console) -> None:
    await Waits(console.parts.database).register([a_task(wait_id="amount", title="Say how much")])
    page = await console.visitor(Scope.OPERATE)
    await page.goto("/console/tasks")
    await keep(page, "tasks")
    await page.get_by_role("link", name="Say how much").click()

    await page.get_by_label("amount").fill("0")
    await page.get_by_role("button", name="Complete the task").click()

    await expect(page.get_by_role("alert")).to_contain_text("answer.amount")
    await expect(page.get_by_label("amount")).to_have_value("0")


async def test_who_may_only_read_sees_a_task_and_cannot_act(console: Console) -> None:
    await Waits(console.parts.database).register([a_task(wait_id="t", title="Say how much")])
    page = await console.visitor(Scope.READ)

    await page.goto("/console/task?id=t&of=acme")

    await expect(page.get_by_role("heading", name="Say how much")).to_be_visible()
    await expect(page.get_by_role("button", name="Complete the task")).to_have_count(0)


async def test_nullable_listed_and_preset_members_are_fields(console: Console) -> None:
    form = {
        "$defs": {"Colour": {"enum": ["red", "blue"]}},
        "type": "object",
        "properties": {
            "colour": {"$ref": "#/$defs/Colour", "default": "blue"},
            "note": {"type": ["string", "null"]},
            "at": {"type": "string", "format": "date-time"},
        },
        "required": ["colour", "note"],
    }
    task = a_task(wait_id="paint", title="Choose a colour", form=json.dumps(form))
    await Waits(console.parts.database).register([task])
    page = await console.visitor(Scope.OPERATE)
    await page.goto("/console/task?id=paint&of=acme")

    await expect(page.get_by_label("colour")).to_have_value('"blue"')
    await page.get_by_label("at").fill("2026-11-30T08:15:30")
    await page.get_by_role("button", name="Complete the task").click()

    await expect(page.get_by_text("completed", exact=True).first).to_be_visible()
    async with console.parts.database.transaction() as connection:
        cursor = await connection.execute(
            "SELECT payload FROM workflow_runtime_events WHERE correlation_key = 'paint'"
        )
        row = await cursor.fetchone()
    assert row is not None
    payload = json.loads(row[0]) if isinstance(row[0], str) else row[0]
    expected = {"colour": "blue", "note": None, "at": "2026-11-30T08:15:30Z"}
    assert payload["answer"] == expected
