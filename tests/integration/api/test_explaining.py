"""Explaining, replaying, binding and shadow rules over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from correlation.rules import compile_rules
from routing.tokens import Scope
from tests.builders import a_wait
from tests.integration.api.caller import Api
from tests.rows import one_row

RULES = compile_rules({"INVOICE_PAID": "invoice"})


def a_paid(**members: Any) -> dict[str, Any]:
    return {"event_type": "INVOICE_PAID", "event_id": "paid", "tenant": "acme", **members}


async def json_of(sent: httpx.Response) -> dict[str, Any]:
    assert sent.status_code == 200, sent.text
    found: dict[str, Any] = sent.json()
    return found


ASKED = {"event": a_paid(workflow_correlation_key="7")}


async def test_a_recorded_event_is_explained_with_its_near_miss(api: Api) -> None:
    await api.register(a_wait(key="INV-7", workflow_id="order-7"))
    await api.record(key="inv-7", event_id="paid")
    client = await api.caller(Scope.READ)

    found = await json_of(await client.post("/v1/explain/event", json={"event_id": "paid"}))

    [miss] = found["near_misses"]
    assert (miss["resemblance"], miss["wait"]["workflow_id"]) == ("case", "order-7")
    assert found["what_to_do"] == [miss["what_to_do"]]


async def test_an_event_that_has_not_come_is_explained_and_not_recorded(
    api: Api, database_url: str
) -> None:
    await api.register(a_wait(key="12345678901234567890", workflow_id="order-7"))
    api.rules[0] = RULES
    client = await api.caller(Scope.READ)
    body = (
        '{"event": {"event_type": "INVOICE_PAID", "payload": {"invoice": 12345678901234567890.0}}}'
    )

    found = await json_of(await client.post("/v1/explain/event", content=body))

    assert (found["outcome"], found["hypothetical"]) == ("matched", True)
    assert found["keys"] == ["12345678901234567890"]
    assert one_row(database_url, "SELECT count(*) FROM workflow_runtime_events") == (0,)


@pytest.mark.parametrize("question", [{"event_id": "paid"}, ASKED])
async def test_another_tenants_wait_is_told_to_whoever_sees_every_tenant_only(
    api: Api, question: dict[str, Any]
) -> None:
    await api.register(a_wait(tenant="globex", key="7", workflow_id="their-order"))
    await api.record(key="7", event_id="paid")
    bound, admin = await api.caller(Scope.READ), await api.admin()

    for_bound = await json_of(await bound.post("/v1/explain/event", json=question))
    for_admin = await json_of(await admin.post("/v1/explain/event", json=question))

    assert for_bound["near_misses"] == []
    assert "another tenant" not in str(for_bound["sentences"])
    assert [miss["kind"] for miss in for_admin["near_misses"]] == ["other_tenant"]
    assert "globex" not in str(for_admin)
    assert "their-order" not in str(for_admin)


async def test_another_tenants_event_is_told_to_whoever_sees_every_tenant_only(api: Api) -> None:
    await api.register(a_wait(key="7", workflow_id="order-7"))
    await api.record(tenant="globex", key="7", event_id="theirs")
    callers = (await api.caller(Scope.READ), await api.caller(Scope.ADMIN), await api.admin())

    told = [
        "another tenant" in str(await json_of(await each.get("/v1/explain/run/order-7")))
        for each in callers
    ]

    assert told == [False, False, True]


async def test_a_wrong_question_is_answered_with_field_and_fix(api: Api) -> None:
    client = await api.caller(Scope.READ)
    bodies = (
        "[]",
        "{}",
        '{"event_id": "a", "event": {}}',
        '{"event": 7}',
        '{"event": {"tenant": "acme"}}',
        '{"event_id": "a", "colour": "red"}',
        '{"event_id": 7}',
        '{"event": {"specversion": "1.0"}}',
        "",
    )

    answers = [await client.post("/v1/explain/event", content=body) for body in bodies]

    assert {answered.status_code for answered in answers} == {422}
    assert all(fault["fix"] for answered in answers for fault in answered.json()["errors"])


async def test_a_waiting_workflow_is_explained(api: Api) -> None:
    await api.register(a_wait(key="7", workflow_id="order/7"))
    client = await api.caller(Scope.READ)

    found = await json_of(await client.get("/v1/explain/run/order/7"))

    assert found["sentences"] == ["order/7 waits for INVOICE_PAID with the key '7'."]


async def test_an_event_is_replayed_and_the_dispatcher_woken(api: Api, database_url: str) -> None:
    await api.register(a_wait(key="7", wait_id="w-7"))
    client = await api.caller(Scope.OPERATE, Scope.PUBLISH)
    await client.post("/v1/events", json=a_paid(payload={"invoice": "7"}))
    api.rules[0], api.sink.woken = RULES, 0

    dry = await json_of(await client.post("/v1/events/replay", json={"outcome": "unresolved"}))
    done = await json_of(
        await client.post("/v1/events/paid/replay", json={"reason": "rule was missing"})
    )
    again = await json_of(
        await client.post("/v1/events/replay", json={"dry_run": False, "reason": "once more"})
    )

    assert (dry["events"], dry["changing"], dry["would_wake"]) == (1, 1, 1)
    assert (done["outcome"], done["waits"]) == ("matched", ["w-7"])
    assert [each["waits"] for each in again["replayed"]] == [[]]
    assert api.sink.woken == 1
    row = one_row(database_url, "SELECT min(reason), count(*) FROM workflow_operator_actions")
    assert row == ("once more", 2)


async def test_replaying_several_needs_a_reason(api: Api) -> None:
    client = await api.caller(Scope.OPERATE)

    answered = await client.post("/v1/events/replay", json={"dry_run": False})

    assert answered.status_code == 422
    assert answered.json()["errors"][0]["field"] == "reason"


async def test_an_event_is_bound_once(api: Api) -> None:
    await api.record(event_id="paid")
    await api.register(a_wait(key="9", wait_id="w-9", workflow_id="order-9"))
    client = await api.caller(Scope.OPERATE)
    order = {"wait_id": "w-9", "reason": "they belong together"}

    bound = await json_of(await client.post("/v1/events/paid/bind", json=order))
    again = await client.post("/v1/events/paid/bind", json=order)
    unknown = await client.post("/v1/events/paid/bind", json={**order, "wait_id": "none"})

    assert (bound["workflow_id"], api.sink.woken) == ("order-9", 1)
    assert (again.status_code, unknown.status_code) == (409, 404)


async def test_rules_are_tried_in_the_shadow(api: Api) -> None:
    await api.register(a_wait(key="7"))
    client = await api.caller(Scope.OPERATE, Scope.PUBLISH)
    await client.post("/v1/events", json=a_paid(payload={"invoice": "7"}))

    found = await json_of(
        await client.post("/v1/rules/shadow", json={"rules": {"INVOICE_PAID": "invoice"}})
    )
    wrong = await client.post("/v1/rules/shadow", json={"rules": {"A": "$..b"}})

    assert (found["waking_events"], found["woken_runs"], found["stopping"]) == (1, 1, 0)
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["field"] == "rules"
