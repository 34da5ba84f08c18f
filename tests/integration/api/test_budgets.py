"""Budgets of work and quotas over HTTP: refused by name, and done where they are not reached."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import pytest

from correlation.task_form import form_text
from pointsman.contract import HUMAN_TASK_COMPLETED
from routing.database import Database, DatabaseLimits, open_database
from routing.faults import QuotaReached
from routing.matching import Matcher, Matching
from routing.quotas import OpenWaitQuota
from routing.tokens import Scope, create_token
from tests.builders import a_task, a_wait
from tests.integration.api.caller import Api, FakeDeadLetters, open_api
from tests.rows import one_row
from worker.api.parts import Parts

TRIGGER: Final[dict[str, Any]] = {
    "event": "CLIENT_CREATED",
    "workflow": "Onboarding",
    "task_queue": "q",
}
NAMES: Final = {"type": "array", "items": {"type": ["string", "null"]}}
LARGE: Final = {"names": [1] * 50_000}
PATHS: Final = {f"NAME_{name}": [f"$.a[*].b{path}" for path in range(60)] for name in range(64)}


def judging(parts: Parts) -> Parts:
    ledger = Matcher(parts.database, Matching(owner="api"), parts.judge)
    return replace(parts, ledger=ledger)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url, DatabaseLimits()) as database:
        yield database


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    settings = {
        "quota_triggers_per_event": 2,
        "quota_open_waits": 2,
        "tenant_launches": '{"acme": [{"task_queue": "q"}]}',
    }
    async with open_api(database, FakeDeadLetters(), judging, **settings) as api:
        yield api


async def test_one_trigger_too_many_of_a_name_is_refused_by_name(api: Api) -> None:
    operator = await api.caller(Scope.OPERATE, tenants=["acme"])
    for trigger in ("a", "b"):
        assert (await operator.put(f"/v1/triggers/{trigger}", json=TRIGGER)).is_success

    third = await operator.put("/v1/triggers/c", json=TRIGGER)
    again = await operator.put("/v1/triggers/a", json=TRIGGER)
    of_another = await operator.put("/v1/triggers/c", json={**TRIGGER, "event": "CLIENT_LEFT"})
    moved = await operator.put("/v1/triggers/c", json=TRIGGER)
    await operator.post("/v1/triggers/a/disable", json={"reason": "no more"})
    after = await operator.put("/v1/triggers/c", json=TRIGGER)

    assert third.status_code == moved.status_code == 422
    assert (third.json()["code"], third.json()["reason"]) == ("QUOTA_REACHED", "triggers_per_event")
    assert again.is_success
    assert of_another.is_success
    assert after.is_success


async def test_one_open_wait_too_many_is_refused_and_a_repetition_is_not(api: Api) -> None:
    # Of every tenant: nobody vouched for this workflow.
    operator = await api.admin()

    def body(number: int) -> dict[str, Any]:
        return {
            "tenant": "acme",
            "wait_id": f"wait-{number}",
            "event_name": "INVOICE_PAID",
            "correlation_key": str(number),
            "workflow_id": "order-7",
            "run_id": "0e6e5ef0-9b0b-4c43-8f4b-7a7c1f5f0d4e",
        }

    answers = [await operator.post("/v1/waits", json=body(number)) for number in (1, 2, 3, 1)]

    assert [answer.status_code for answer in answers] == [200, 200, 422, 200]
    assert answers[2].json()["reason"] == "open_waits"


async def test_waits_that_end_make_room(database: Database, api: Api) -> None:
    clock = [0.0]
    quota = OpenWaitQuota(database, 1, lambda: clock[0])
    wait = a_wait()
    await quota.admit("acme", wait.wait_id)
    await api.register(wait)
    with pytest.raises(QuotaReached):
        await quota.admit("acme", "another")
    async with database.transaction() as connection:
        await connection.execute("UPDATE workflow_run_waits SET status = 'closed'")

    clock[0] += 1.5
    await quota.admit("acme", "another")

    with pytest.raises(QuotaReached):
        await quota.admit("acme", "a third")


async def test_tokens_have_a_quota_per_tenant(database: Database) -> None:
    async def make(name: str, tenant: str) -> None:
        async with database.transaction() as connection:
            await create_token(
                connection, name=name, scopes=[Scope.READ], tenants=[tenant], most_per_tenant=1
            )

    await make("a", "acme")
    await make("b", "globex")

    with pytest.raises(QuotaReached, match="acme has 1 tokens"):
        await make("c", "acme")


async def test_a_large_answer_is_judged_by_a_worker_whichever_way_it_comes(
    api: Api, database_url: str
) -> None:
    form = form_text({"type": "object", "properties": {"names": NAMES}})
    task = a_task(form=form)
    await api.register(task)
    operator = await api.caller(Scope.ADMIN, tenants=["acme"])
    payload = {"taskId": task.wait_id, "answer": LARGE}
    event = {"event_id": "e", "event_type": HUMAN_TASK_COMPLETED, "payload": payload}

    by_hand = await operator.post(f"/v1/tasks/{task.wait_id}/complete", json={"answer": LARGE})
    by_event = await operator.post("/v1/events", json=event)
    fitting = await operator.post(
        f"/v1/tasks/{task.wait_id}/complete", json={"answer": {"names": ["x", None] * 20_000}}
    )

    assert by_hand.status_code == by_event.status_code == 422
    assert [fault["field"] for fault in by_hand.json()["errors"]] == ["answer.names[0]"]
    rejected = one_row(database_url, "SELECT reason, detail FROM workflow_rejected_entries")
    assert rejected is not None
    assert rejected[0] == "answer_invalid"
    assert "$.names[0]" in str(rejected[1])
    assert fitting.is_success
    assert api.parts.workers.ran == 5


async def test_proposed_rules_are_compiled_by_a_worker_within_its_time(database: Database) -> None:
    async with open_api(database, FakeDeadLetters(), work_time="100ms") as api:
        operator = await api.caller(Scope.OPERATE, tenants=["acme"])

        answer = await operator.post("/v1/rules/shadow", json={"rules": PATHS})

        assert answer.status_code == 422
        assert (answer.json()["code"], answer.json()["reason"]) == ("BUDGET_EXCEEDED", "work_time")
        assert api.parts.workers.ran == 1


async def test_a_full_queue_is_said_by_name_and_asked_again_later(api: Api) -> None:
    operator = await api.caller(Scope.OPERATE, tenants=["acme"])
    rules = {"rules": {"INVOICE_PAID": "invoice.id"}}
    half = [api.parts.workers.place("token:tester") for _ in range(16)]
    for place in half:
        place.__enter__()

    full = await operator.post("/v1/rules/shadow", json=rules)
    for place in half:
        place.__exit__(None, None, None)
    free = await operator.post("/v1/rules/shadow", json=rules)

    assert (full.status_code, full.json()["reason"]) == (503, "work_queue")
    assert full.headers["Retry-After"]
    assert free.is_success
