"""Human tasks over HTTP: who may do what, once, and what the refusals say."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from correlation.closing import Closing
from pointsman.contract import HUMAN_TASK_COMPLETED, Disposition
from routing.tokens import Scope
from routing.waits import Waits
from tests.builders import a_task, a_wait
from tests.integration.api.caller import Api
from tests.rows import one_row

ANSWER = {"answer": {"amount": 7}}


@pytest.fixture
async def ada(api: Api) -> httpx.AsyncClient:
    return await api.caller(Scope.OPERATE, name="ada")


@pytest.fixture
async def bob(api: Api) -> httpx.AsyncClient:
    return await api.caller(Scope.OPERATE, name="bob")


def faults(answered: httpx.Response) -> list[str]:
    return [fault["field"] for fault in answered.json()["errors"]]


async def test_a_task_is_completed_once(
    api: Api, ada: httpx.AsyncClient, bob: httpx.AsyncClient, database_url: str
) -> None:
    await api.register(a_task(wait_id="t/1"))

    first = await ada.post("/v1/tasks/t/1/complete", json={**ANSWER, "comment": "seen"})
    second = await bob.post("/v1/tasks/t/1/complete", json=ANSWER)

    assert first.status_code == 200
    assert api.sink.woken == 1
    assert second.status_code == 409
    assert second.json()["code"] == "TASK_COMPLETED"
    assert "token:ada" in second.json()["detail"]
    delivered = one_row(database_url, "SELECT wait_id, event_id FROM workflow_event_deliveries")
    assert delivered == ("t/1", first.json()["event_id"])
    audited = "SELECT actor, reason FROM workflow_operator_actions WHERE action = 'complete_task'"
    assert one_row(database_url, audited) == ("token:ada", "seen")


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        ({"amount": 0}, ["answer.amount"]),
        ({"amount": "7"}, ["answer.amount"]),
        ({}, ["answer.amount"]),
    ],
)
async def test_an_answer_that_does_not_fit_names_the_place(
    api: Api, ada: httpx.AsyncClient, answer: dict[str, Any], fields: list[str]
) -> None:
    await api.register(a_task(wait_id="t"))

    answered = await ada.post("/v1/tasks/t/complete", json={"answer": answer})

    assert answered.status_code == 422
    assert faults(answered) == fields


async def test_only_assignees_complete_and_a_claim_keeps_others_away(
    api: Api, ada: httpx.AsyncClient, bob: httpx.AsyncClient
) -> None:
    await api.register(a_task(wait_id="hers", assignees=["ada"]), a_task(wait_id="free"))
    await bob.post("/v1/tasks/free/claim")

    not_his = await bob.post("/v1/tasks/hers/complete", json=ANSWER)
    claimed = await ada.post("/v1/tasks/free/complete", json=ANSWER)
    given = {"assignees": ["ada"], "reason": "Bob is away"}
    await ada.post("/v1/tasks/free/reassign", json=given)
    after = await ada.post("/v1/tasks/free/complete", json=ANSWER)

    assert (not_his.status_code, not_his.json()["code"]) == (403, "NOT_ASSIGNED")
    assert (claimed.status_code, claimed.json()["code"]) == (409, "TASK_CLAIMED")
    assert after.status_code == 200


async def test_a_task_that_nobody_waits_for_is_gone_with_the_reason(
    api: Api, ada: httpx.AsyncClient
) -> None:
    task = a_task(wait_id="t")
    await api.register(task)
    closing = Closing(task.tenant, task.wait_id, Disposition.TIMED_OUT)
    await Waits(api.database).close([closing])

    answered = await ada.post("/v1/tasks/t/complete", json=ANSWER)
    shown = (await ada.get("/v1/tasks/t")).json()["task"]

    assert answered.status_code == 410
    assert "timed_out" in answered.json()["reason"]
    assert (shown["status"], shown["why_closed"]) == ("closed", "timed_out")


async def test_another_tenants_task_is_not_there(api: Api) -> None:
    await api.register(a_task(wait_id="t"))
    stranger = await api.caller(Scope.ADMIN, tenants=["globex"])

    answers = [
        await stranger.get("/v1/tasks/t"),
        await stranger.post("/v1/tasks/t/complete", json=ANSWER),
        await stranger.post("/v1/tasks/t/comment", json={"text": "hello"}),
        await stranger.post("/v1/tasks/t/complete?tenant=acme", json=ANSWER),
    ]

    assert {answered.status_code for answered in answers} == {404}
    assert (await stranger.get("/v1/tasks")).json()["tasks"] == []


async def test_my_tasks_are_those_that_i_may_complete(
    api: Api, ada: httpx.AsyncClient, bob: httpx.AsyncClient
) -> None:
    await api.register(
        a_task(wait_id="hers", assignees=["token:ada"]),
        a_task(wait_id="his", assignees=["bob"]),
        a_task(wait_id="anybodys"),
        a_task(wait_id="claimed"),
    )
    await bob.post("/v1/tasks/claimed/claim")

    listed = (await ada.get("/v1/tasks?mine=true")).json()["tasks"]

    assert {task["task_id"] for task in listed} == {"hers", "anybodys"}
    assert listed[0]["form"]["required"] == ["amount"]


async def test_a_posted_event_completes_a_task_and_a_wrong_one_says_so(api: Api) -> None:
    await api.register(a_task(wait_id="t"))
    publisher = await api.caller(Scope.PUBLISH)

    async def post(event_id: str, **answer: Any) -> httpx.Response:
        payload = {"taskId": "t", "answer": answer, "completedBy": "crm"}
        event = {"event_id": event_id, "event_type": HUMAN_TASK_COMPLETED, "payload": payload}
        return await publisher.post("/v1/events", json=event)

    wrong, right, second = await post("a"), await post("b", amount=1), await post("c", amount=2)

    assert [each.status_code for each in (wrong, right, second)] == [422, 200, 409]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"approved": True}, {"answer", "approved"}),
        ({"answer": {}, "approved": True}, {"approved"}),
        ({"answer": True}, {"answer"}),
        ({"answer": None}, {"answer"}),
    ],
)
async def test_an_answer_beside_its_place_is_refused_by_name(
    api: Api, ada: httpx.AsyncClient, body: dict[str, Any], fields: set[str]
) -> None:
    await api.register(a_task(wait_id="t", form=None))

    answered = await ada.post("/v1/tasks/t/complete", json=body)

    assert answered.status_code == 422
    assert set(faults(answered)) == fields


async def test_a_posted_event_without_an_answer_is_refused_by_name(api: Api) -> None:
    await api.register(a_task(wait_id="t", form=None))
    publisher = await api.caller(Scope.PUBLISH)
    event = {
        "event_id": "a",
        "event_type": HUMAN_TASK_COMPLETED,
        "payload": {"taskId": "t", "approved": True},
    }

    answered = await publisher.post("/v1/events", json=event)

    assert answered.status_code == 422
    assert "while there are approved" in answered.json()["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"task": {"title": "x", "form": {"type": "array"}}}, "task.form"),
        ({"task": {"title": "x", "form": {"type": "object", "$ref": "#"}}}, "task.form"),
        ({"task": {"title": "x", "form": {"type": "object", "$ref": "#/$defs/A"}}}, "task.form"),
        ({"task": {"title": "x" * 301}}, "task.title"),
        ({"task": None}, "body"),
        ({"correlation_key": "other"}, "body"),
        ({"lookback_seconds": 5}, "body"),
    ],
)
async def test_a_task_that_cannot_be_asked_is_refused_at_registering(
    api: Api, ada: httpx.AsyncClient, change: dict[str, Any], field: str
) -> None:
    wait = {
        "tenant": "acme",
        "wait_id": "t",
        "event_name": HUMAN_TASK_COMPLETED,
        "correlation_key": "t",
        "workflow_id": "w",
        "kind": "human",
        "task": {"title": "Approve", "due_at": "2030-01-01T00:00:00Z"},
    }
    await api.register(a_wait(workflow_id="w", run_id="r"))

    refused = await ada.post("/v1/waits", json={**wait, **change})
    taken = await ada.post("/v1/waits", json=wait)

    assert (refused.status_code, faults(refused)) == (422, [field])
    assert taken.status_code == 200
    assert "warnings" not in taken.json()
    due = (await ada.get("/v1/tasks/t")).json()["task"]["due_at"]
    assert due == "2030-01-01T00:00:00Z"
