"""The console's pages of runs and triggers: what they show, and what they do."""

from __future__ import annotations

import re
from typing import Any

import httpx

from correlation.triggers import compile_trigger
from routing.tokens import Scope
from routing.triggers import apply_triggers
from tests.builders import a_wait
from tests.integration.api.caller import Api
from tests.rows import one_row
from worker.console.visits import COOKIE

DEFINITION: dict[str, Any] = {
    "tenant": "acme",
    "event": "CLIENT_CREATED",
    "workflow": "Onboarding",
    "task_queue": "onboarding",
    "where": {"client.plan": "gold"},
}


async def visitor(api: Api, scope: Scope, tenant: str = "acme") -> httpx.AsyncClient:
    """A browser of somebody who has logged in."""
    client = await api.caller(scope, tenants=[tenant])
    token = client.headers.pop("authorization").removeprefix("Bearer ")
    answered = await client.post("/console/login", data={"token": token})
    assert answered.cookies[COOKIE].startswith("pms_")
    return client


async def send(client: httpx.AsyncClient, page: str, path: str, **fields: str) -> httpx.Response:
    """Fill in a form that stands on a page."""
    text = (await client.get(page)).text
    found = re.search(r'<input type="hidden" name="([^"]+)" value="([0-9a-f]{64})">', text)
    assert found, "there is no form on the page"
    return await client.post(path, data={found[1]: found[2], **fields})


async def test_a_run_is_listed_shown_and_cancelled(api: Api, database_url: str) -> None:
    await api.register(a_wait(key="7", workflow_id="order-7", run_id="run-7"))
    client = await visitor(api, Scope.OPERATE)

    listed = (await client.get("/console/runs?key=7")).text
    shown = (await client.get("/console/run?id=order-7")).text
    answered = await send(
        client,
        "/console/run?id=order-7",
        "/console/run/cancel",
        id="run-7",
        of="acme",
        reason="ordered twice",
    )

    assert "order-7" in listed
    assert "Its runs" in shown
    assert answered.status_code == 303
    stands = one_row(database_url, "SELECT status, requested_control FROM workflow_runs")
    assert stands == ("running", "cancel")
    assert "cancellation requested" in (await client.get("/console/run?id=order-7")).text


async def test_an_administrator_signals_and_terminates_a_run(api: Api, database_url: str) -> None:
    await api.register(a_wait(key="7", workflow_id="order-7", run_id="run-7"))
    client = await visitor(api, Scope.ADMIN)
    page = "/console/run?id=order-7"
    target = {"id": "run-7", "of": "acme"}

    no_json = await send(
        client, page, "/console/run/signal", **target, signal="s", input="{", reason="try it"
    )
    signalled = await send(
        client,
        page,
        "/console/run/signal",
        **target,
        signal="go<b>",
        input="[1]",
        reason="by phone",
    )
    shown = (await client.get(page)).text
    terminated = await send(
        client, page, "/console/run/terminate", **target, reason="stuck in a loop"
    )
    afterwards = (await client.get(page)).text

    assert no_json.status_code == 422
    assert "input is no JSON" in no_json.text
    assert (signalled.status_code, terminated.status_code) == (303, 303)
    assert "go&lt;b&gt;" in shown
    assert "stuck in a loop" in afterwards
    assert "termination requested" in afterwards
    # This Temporal takes every request and never says that a run has ended.
    stands = one_row(database_url, "SELECT status, requested_control FROM workflow_runs")
    assert stands == ("running", "terminate")


async def test_who_operates_is_neither_offered_nor_granted_what_administrators_do(
    api: Api, database_url: str
) -> None:
    await api.register(a_wait(key="7", workflow_id="order-7", run_id="run-7"))
    client = await visitor(api, Scope.OPERATE)
    page = "/console/run?id=order-7"
    order = {"id": "run-7", "of": "acme", "reason": "let me"}

    shown = (await client.get(page)).text
    refused = [
        await send(client, page, "/console/run/terminate", **order),
        await send(client, page, "/console/run/signal", **order, signal="go"),
    ]

    assert "Cancel run" in shown
    assert "Terminate run" not in shown
    assert "Send a signal" not in shown
    assert [answered.status_code for answered in refused] == [403, 403]
    assert one_row(database_url, "SELECT count(*) FROM workflow_operator_actions") == (0,)
    assert one_row(database_url, "SELECT status FROM workflow_runs") == ("running",)


async def test_who_may_only_read_is_offered_no_control(api: Api) -> None:
    await api.register(a_wait(key="7", workflow_id="order-7", run_id="run-7"))
    client = await visitor(api, Scope.READ)

    shown = (await client.get("/console/run?id=order-7")).text

    assert "Its runs" in shown
    assert "Cancel run" not in shown


async def test_triggers_are_shown_and_disabled(api: Api, database_url: str) -> None:
    trigger = compile_trigger("onboarding", DEFINITION)
    await apply_triggers(api.database, [trigger], actor="test")
    client = await visitor(api, Scope.OPERATE)

    shown = (await client.get("/console/triggers")).text
    answered = await send(
        client,
        "/console/triggers",
        "/console/trigger/disable",
        id="onboarding",
        of="acme",
        reason="too many",
    )

    assert "CLIENT_CREATED" in shown
    assert "client.plan" in shown
    assert answered.status_code == 303
    assert one_row(database_url, "SELECT enabled FROM workflow_event_triggers") == (False,)


async def test_another_tenants_runs_and_triggers_are_not_there(api: Api, database_url: str) -> None:
    await api.register(a_wait(key="7", workflow_id="order-7", run_id="run-7"))
    trigger = compile_trigger("onboarding", DEFINITION)
    await apply_triggers(api.database, [trigger], actor="test")
    await api.register(a_wait(tenant="globex", workflow_id="own", run_id="own"))
    stranger = await visitor(api, Scope.OPERATE, "globex")

    listed = (await stranger.get("/console/runs")).text
    triggers = (await stranger.get("/console/triggers")).text
    answers = [
        await send(stranger, "/console/run?id=own", path, id=name, of="acme", reason="mine now")
        for path, name in (
            ("/console/run/cancel", "run-7"),
            ("/console/trigger/disable", "onboarding"),
        )
    ]

    assert "order-7" not in listed
    assert "onboarding" not in triggers
    assert [answered.status_code for answered in answers] == [404, 404]
    assert one_row(database_url, "SELECT status FROM workflow_runs WHERE tenant_id = 'acme'") == (
        "running",
    )
