"""Triggers over HTTP: made, changed, listed, switched off, and nobody else's."""

from __future__ import annotations

from typing import Any, Final

import pytest

from routing.tokens import Scope
from tests.integration.api.caller import Api
from tests.rows import one_row

TRIGGER: Final[dict[str, Any]] = {
    "event": "CLIENT_CREATED",
    "workflow": "Onboarding",
    "task_queue": "onboarding",
    "input": {"clientId": {"path": "client.id"}},
}


async def test_a_trigger_is_made_changed_and_left_alone(api: Api, database_url: str) -> None:
    operator = await api.caller(Scope.OPERATE, tenants=["acme"])

    made = await operator.put("/v1/triggers/onboarding", json=TRIGGER)
    again = await operator.put("/v1/triggers/onboarding", json=TRIGGER)
    changed = await operator.put(
        "/v1/triggers/onboarding", json={**TRIGGER, "where": {"client.plan": "gold"}}
    )

    answers = [(a.json()["change"], a.json()["version"]) for a in (made, again, changed)]
    assert answers == [("created", 1), ("unchanged", 1), ("changed", 2)]
    shown = (await operator.get("/v1/triggers/onboarding")).json()
    assert (shown["input"], shown["where"]) == (
        {"clientId": {"path": "client.id"}},
        {"client.plan": ["gold"]},
    )
    actions = one_row(
        database_url,
        "SELECT count(*), min(action), min(actor) FROM workflow_operator_actions",
    )
    assert actions == (2, "apply_trigger", "token:tester")


async def test_a_dry_run_changes_nothing(api: Api) -> None:
    operator = await api.caller(Scope.OPERATE, tenants=["acme"])

    answer = await operator.put("/v1/triggers/onboarding?dry_run=true", json=TRIGGER)

    assert answer.json()["change"] == "created"
    assert (await operator.get("/v1/triggers/onboarding")).status_code == 404


async def test_a_wrong_definition_is_told_field_and_fix(api: Api) -> None:
    operator = await api.caller(Scope.OPERATE, tenants=["acme"])
    wrong = {**TRIGGER, "input": {"clientId": {"path": "$..id"}}}

    answer = await operator.put("/v1/triggers/onboarding", json=wrong)

    assert answer.status_code == 422
    [fault] = answer.json()["errors"]
    assert fault["field"] == "input.clientId"
    assert "not allowed" in fault["problem"]


async def test_a_disabled_trigger_stays_listed(api: Api) -> None:
    operator = await api.caller(Scope.OPERATE, tenants=["acme"])
    await operator.put("/v1/triggers/onboarding", json=TRIGGER)

    disabled = await operator.post("/v1/triggers/onboarding/disable", json={"reason": "too many"})

    assert (disabled.json()["enabled"], disabled.json()["version"]) == (False, 2)
    listed = (await operator.get("/v1/triggers")).json()
    assert [line["enabled"] for line in listed["triggers"]] == [False]


async def test_triggers_are_paged_and_another_tenants_are_not_there(api: Api) -> None:
    operator = await api.caller(Scope.OPERATE, tenants=["acme", "globex"])
    for tenant in ("acme", "globex"):
        for number in range(3):
            await operator.put(f"/v1/triggers/t-{number}?tenant={tenant}", json=TRIGGER)
    stranger = await api.caller(Scope.OPERATE, tenants=["initech"])

    seen, cursor = [], ""
    while True:
        page = (await operator.get(f"/v1/triggers?limit=2{cursor}")).json()
        seen += [(line["tenant"], line["trigger_id"]) for line in page["triggers"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"

    assert seen == [(t, f"t-{n}") for t in ("acme", "globex") for n in range(3)]
    assert (await stranger.get("/v1/triggers")).json()["triggers"] == []
    assert (await stranger.get("/v1/triggers/t-0")).status_code == 404
    order = {"reason": "mine now"}
    refused = await stranger.post("/v1/triggers/t-0/disable?tenant=acme", json=order)
    assert refused.status_code == 404
    assert (await stranger.put("/v1/triggers/t-0?tenant=acme", json=TRIGGER)).status_code == 404


@pytest.mark.parametrize(
    ("scope", "tenant", "change", "status"),
    [
        (Scope.OPERATE, "acme", {"task_queue": "q"}, 200),
        (Scope.OPERATE, "acme", {"task_queue": "payments"}, 403),
        (Scope.OPERATE, "globex", {"task_queue": "q"}, 403),
        (Scope.OPERATE, "globex", {"task_queue": "payments"}, 403),
        (Scope.ADMIN, "globex", {"task_queue": "q"}, 403),
        (Scope.ADMIN, "globex", {"task_queue": "payments"}, 200),
        (Scope.ADMIN, "*", {"task_queue": "q"}, 200),
        (Scope.ADMIN, "*", {"task_queue": "payments"}, 200),
    ],
)
async def test_a_token_lets_triggers_start_what_its_tenant_may(
    api: Api, scope: Scope, tenant: str, change: dict[str, Any], status: int
) -> None:
    caller = await api.caller(scope, tenants=[tenant])
    whose = "globex" if tenant == "*" else tenant

    answer = await caller.put(f"/v1/triggers/onboarding?tenant={whose}", json={**TRIGGER, **change})

    assert answer.status_code == status
    shown = await caller.get(f"/v1/triggers/onboarding?tenant={whose}")
    assert shown.status_code == (200 if status == 200 else 404)
