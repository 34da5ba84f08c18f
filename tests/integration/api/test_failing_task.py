"""A run whose workflow task fails: its page and the API say so, and ask Temporal once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from routing.database import Database
from routing.failing_task import FailingTask
from routing.run_reconcile import RunKey
from routing.tokens import Scope
from tests.builders import a_wait
from tests.integration.api.caller import Api, FakeDeadLetters, open_api
from tests.integration.api.test_run_pages import visitor

FAILED_AT = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Failing:
    def __init__(self) -> None:
        self.asked: list[RunKey] = []

    async def failing_task(self, run: RunKey) -> FailingTask | None:
        self.asked.append(run)
        return FailingTask(FAILED_AT, "KeyError: 'amount' <b>")


@pytest.fixture
def failing() -> Failing:
    return Failing()


@pytest.fixture
async def api(database: Database, failing: Failing) -> AsyncIterator[Api]:
    async with open_api(
        database, FakeDeadLetters(), lambda parts: replace(parts, failing_tasks=failing)
    ) as api:
        yield api


async def test_the_page_of_a_run_shows_what_its_workflow_task_fails_with(
    api: Api, failing: Failing
) -> None:
    await api.register(a_wait(key="7", workflow_id="order-7", run_id="run-7"))
    client = await visitor(api, Scope.READ)

    shown = (await client.get("/console/run?id=order-7")).text

    assert "its workflow task fails" in shown
    assert "KeyError: &#39;amount&#39; &lt;b&gt;" in shown
    assert failing.asked == [RunKey("acme", "order-7", "run-7", "default")]


async def test_a_run_is_answered_with_what_its_workflow_task_fails_with(
    api: Api, failing: Failing
) -> None:
    await api.register(a_wait(key="7", workflow_id="order-7", run_id="run-7"))
    caller = await api.caller(Scope.READ, tenants=["acme"])

    answered = (await caller.get("/v1/runs/run-7")).json()

    assert answered["failing_task"]["message"] == "KeyError: 'amount' <b>"
    assert datetime.fromisoformat(answered["failing_task"]["at"]) == FAILED_AT
    assert failing.asked == [RunKey("acme", "order-7", "run-7", "default")]
