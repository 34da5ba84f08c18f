"""Who may do what, and whose: every route, every scope, every tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx
import pytest
from fastapi.routing import APIRoute

from correlation.triggers import compile_trigger
from ingress.entry import EntryId, StreamName
from ingress.letter import DeadLetter
from routing.faults import DatabaseUnavailable
from routing.tokens import Scope, create_token, revoke_token
from routing.triggers import apply_triggers
from tests.builders import a_task, a_wait
from tests.integration.api.caller import Api, FakeDeadLetters
from tests.rows import execute, one_row
from worker.api.app import ROUTERS

WAIT: Final = {
    "tenant": "acme",
    "wait_id": "new",
    "event_name": "A",
    "correlation_key": 7,
    "workflow_id": "known",
}
EVENT: Final = {"event_id": "new", "event_type": "A", "tenant": "acme"}
ORDER: Final = {"reason": "no longer needed"}
READ, OPERATE, PUBLISH, ADMIN = Scope.READ, Scope.OPERATE, Scope.PUBLISH, Scope.ADMIN

# Route → a request about something of acme's, and the scopes that may make it.
REQUESTS: Final[Mapping[tuple[str, str], tuple[str, Any, set[Scope]]]] = {
    ("POST", "/events"): ("/events", EVENT, {PUBLISH, ADMIN}),
    ("GET", "/events"): ("/events?tenant=acme", None, {READ, OPERATE, ADMIN}),
    ("GET", "/events/summary"): ("/events/summary?tenant=acme", None, {READ, OPERATE, ADMIN}),
    ("GET", "/events/export"): ("/events/export?tenant=acme", None, {READ, OPERATE, ADMIN}),
    ("GET", "/events/{event_id:path}"): ("/events/known", None, {READ, OPERATE, ADMIN}),
    ("GET", "/waits"): ("/waits?tenant=acme", None, {READ, OPERATE, ADMIN}),
    ("POST", "/waits"): ("/waits", WAIT, {OPERATE, ADMIN}),
    ("GET", "/waits/{wait_id:path}"): ("/waits/known", None, {READ, OPERATE, ADMIN}),
    ("POST", "/explain/event"): ("/explain/event", {"event": EVENT}, {READ, OPERATE, ADMIN}),
    ("GET", "/explain/run/{workflow_id:path}"): (
        "/explain/run/known",
        None,
        {READ, OPERATE, ADMIN},
    ),
    ("POST", "/events/replay"): ("/events/replay", {"tenant": "acme"}, {OPERATE, ADMIN}),
    ("POST", "/events/{event_id:path}/replay"): (
        "/events/known/replay",
        {"reason": "r"},
        {OPERATE, ADMIN},
    ),
    # To the wait that was registered above.
    ("POST", "/events/{event_id:path}/bind"): (
        "/events/known/bind",
        {"wait_id": "new", "reason": "r"},
        {OPERATE, ADMIN},
    ),
    ("POST", "/rules/shadow"): (
        "/rules/shadow",
        {"rules": {}, "tenant": "acme"},
        {OPERATE, ADMIN},
    ),
    ("DELETE", "/waits/{wait_id:path}"): ("/waits/known?reason=r", None, {OPERATE, ADMIN}),
    ("GET", "/deliveries"): ("/deliveries?tenant=acme", None, {READ, OPERATE, ADMIN}),
    ("GET", "/dlq"): ("/dlq?tenant=acme", None, {READ, OPERATE, ADMIN}),
    ("POST", "/dlq/{letter_id}/requeue"): (
        "/dlq/5-0/requeue?reason=r",
        None,
        {OPERATE, ADMIN},
    ),
    ("GET", "/triggers"): ("/triggers?tenant=acme", None, {READ, OPERATE, ADMIN}),
    ("GET", "/triggers/{trigger_id}"): ("/triggers/known", None, {READ, OPERATE, ADMIN}),
    ("PUT", "/triggers/{trigger_id}"): (
        "/triggers/known?tenant=acme",
        {"event": "A", "workflow": "W", "task_queue": "q"},
        {OPERATE, ADMIN},
    ),
    ("POST", "/triggers/{trigger_id}/disable"): (
        "/triggers/known/disable",
        {"reason": "r"},
        {OPERATE, ADMIN},
    ),
    ("GET", "/launches"): ("/launches?tenant=acme", None, {READ, OPERATE, ADMIN}),
    ("GET", "/launches/counts"): ("/launches/counts?tenant=acme", None, {READ, OPERATE, ADMIN}),
    ("POST", "/launches/retry"): (
        "/launches/retry",
        {"tenant": "acme", "trigger_id": "known", "reason": "mended"},
        {OPERATE, ADMIN},
    ),
    ("GET", "/runs"): ("/runs?tenant=acme", None, {READ, OPERATE, ADMIN}),
    ("GET", "/runs/export"): ("/runs/export?tenant=acme", None, {READ, OPERATE, ADMIN}),
    ("GET", "/runs/{run_id}"): ("/runs/known", None, {READ, OPERATE, ADMIN}),
    ("GET", "/tasks"): ("/tasks?tenant=acme", None, {READ, OPERATE, ADMIN}),
    ("GET", "/tasks/{task_id:path}"): ("/tasks/asked", None, {READ, OPERATE, ADMIN}),
    ("POST", "/tasks/{task_id:path}/comment"): (
        "/tasks/asked/comment",
        {"text": "look"},
        {OPERATE, ADMIN},
    ),
    ("POST", "/tasks/{task_id:path}/reassign"): (
        "/tasks/asked/reassign",
        {"assignees": [], "reason": "anybody may"},
        {OPERATE, ADMIN},
    ),
    ("POST", "/tasks/{task_id:path}/claim"): ("/tasks/free/claim", None, {OPERATE, ADMIN}),
    ("POST", "/tasks/{task_id:path}/complete"): (
        "/tasks/asked/complete",
        {"answer": {"amount": 1}},
        {OPERATE, ADMIN},
    ),
    ("POST", "/runs/{run_id}/cancel"): ("/runs/known/cancel", ORDER, {OPERATE, ADMIN}),
    ("POST", "/runs/{run_id}/terminate"): ("/runs/known/terminate", ORDER, {ADMIN}),
    ("POST", "/runs/{run_id}/signal"): (
        "/runs/known/signal",
        {**ORDER, "signal": "s"},
        {ADMIN},
    ),
    ("POST", "/runs/{run_id}/{action}"): ("/runs/known/resume", ORDER, {OPERATE, ADMIN}),
}
REFUSED: Final = {("POST", "/runs/{run_id}/{action}")}
"""What is refused to whoever may ask."""
OBJECTS: Final = {path for path in REQUESTS if "{" in path[1]}


@pytest.fixture
async def filled(api: Api, letters: FakeDeadLetters) -> Api:
    """One of each thing, of acme's."""
    await api.register(a_wait(key=7, wait_id="known", workflow_id="known", run_id="known"))
    await api.register(a_task(wait_id="asked"), a_task(wait_id="free"))
    await api.record(key=7, event_id="known")
    definition = {"tenant": "acme", "event": "A", "workflow": "W", "task_queue": "q"}
    await apply_triggers(api.database, [compile_trigger("known", definition)], actor="test")
    fields = {b"tenant": b"acme", b"event_id": b"poison", b"event_type": b"A"}
    letters.letters.append(
        DeadLetter(EntryId("5-0"), StreamName("s"), EntryId("1-0"), "poison", "d", fields)
    )
    return api


async def send(client: httpx.AsyncClient, route: tuple[str, str]) -> httpx.Response:
    path, body, _ = REQUESTS[route]
    return await client.request(route[0], f"/v1{path}", json=body)


def test_every_route_is_in_the_matrix() -> None:
    routes = {
        (method, route.path)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }

    assert routes == set(REQUESTS)


@pytest.mark.parametrize("scope", Scope)
async def test_a_scope_opens_the_routes_that_it_is_for_and_no_other(
    filled: Api, scope: Scope
) -> None:
    client = await filled.caller(scope)

    opened = {route: (await send(client, route)).status_code for route in REQUESTS}

    assert opened == {
        route: (409 if route in REFUSED else 200) if scope in scopes else 403
        for route, (_, _, scopes) in REQUESTS.items()
    }


async def test_another_tenants_things_are_out_of_reach_by_every_route(
    filled: Api, letters: FakeDeadLetters, database_url: str
) -> None:
    client = await filled.caller(ADMIN, tenants=["globex", "initech"])

    answers = {route: (await send(client, route)).status_code for route in REQUESTS}

    assert answers == {route: 404 if route in OBJECTS else 403 for route in REQUESTS}
    assert len(letters.letters) == 1
    waits = one_row(
        database_url, "SELECT count(*), bool_and(status = 'waiting') FROM workflow_run_waits"
    )
    assert waits == (3, True)


async def test_naming_the_other_tenant_tells_no_more_than_a_tenant_that_is_none(
    filled: Api,
) -> None:
    client = await filled.caller(ADMIN, tenants=["globex"])

    async def said(route: tuple[str, str], tenant: str) -> dict[str, Any]:
        path, body, _ = REQUESTS[route]
        address = f"/v1{path}{'&' if '?' in path else '?'}tenant={tenant}"
        answered: dict[str, Any] = (await client.request(route[0], address, json=body)).json()
        del answered["request_id"]
        return answered

    of_acme = {route: await said(route, "acme") for route in OBJECTS}
    of_nobody = {route: await said(route, "nobody") for route in OBJECTS}

    assert of_acme == of_nobody
    assert {answered["status"] for answered in of_acme.values()} == {404}


async def test_without_a_good_token_every_route_is_closed(filled: Api) -> None:
    async with filled.database.transaction() as connection:
        revoked = await create_token(connection, name="r", scopes=[ADMIN], tenants=["*"])
        await revoke_token(connection, revoked.token_id)
    forged = f"{revoked.text[:-1]}{'A' if revoked.text[-1] != 'A' else 'B'}"

    answers = [
        await send(filled.with_token(token), route)
        for token in (None, "x", "pmt_", revoked.text, forged, "a.b.c")
        for route in REQUESTS
    ]

    assert {answered.status_code for answered in answers} == {401}
    assert all("Bearer" in answered.headers["www-authenticate"] for answered in answers)


async def test_an_expired_token_is_worth_nothing(api: Api, database_url: str) -> None:
    client = await api.caller(READ)
    execute(database_url, "UPDATE workflow_api_tokens SET expires_at = now()")

    answered = await client.get("/v1/events")

    assert answered.status_code == 401


async def test_lists_hold_the_tokens_tenants_alone(filled: Api) -> None:
    await filled.record(tenant="globex", event_id="theirs")
    await filled.register(a_wait(tenant="globex", wait_id="theirs"))
    one = await filled.caller(READ, tenants=["globex"])
    both = await filled.caller(READ, tenants=["acme", "globex"])
    everyone = await filled.admin()

    seen = [
        {event["tenant"] for event in (await client.get("/v1/events")).json()["events"]}
        for client in (one, both, everyone)
    ]
    waits = (await one.get("/v1/waits")).json()["waits"]

    assert seen == [{"globex"}, {"acme", "globex"}, {"acme", "globex"}]
    assert [wait["wait_id"] for wait in waits] == ["theirs"]


async def test_one_id_in_two_tenants_is_asked_back(filled: Api) -> None:
    await filled.record(tenant="globex", event_id="known", key=7)
    both = await filled.caller(READ, tenants=["acme", "globex"])

    unclear = await both.get("/v1/events/known")
    clear = await both.get("/v1/events/known?tenant=globex")

    assert (unclear.status_code, unclear.json()["errors"][0]["field"]) == (409, "tenant")
    assert clear.json()["tenant"] == "globex"


async def test_what_an_operator_does_is_written_down_with_actor_and_reason(
    filled: Api, database_url: str
) -> None:
    operator = await filled.caller(OPERATE, name="Dana")

    closed = await operator.delete("/v1/waits/known?reason=the+run+was+reset")

    assert closed.json()["status"] == "closed"
    row = one_row(
        database_url,
        "SELECT tenant_id, actor, action, target_id, reason FROM workflow_operator_actions"
        " WHERE target_kind = 'wait'",
    )
    assert row == ("acme", "token:Dana", "close_wait", "known", "the run was reset")


async def test_tokens_are_kept_as_hashes_and_seen_by_no_tenant(api: Api, database_url: str) -> None:
    client = await api.caller(READ)
    token = client.headers["authorization"].removeprefix("Bearer ")

    [kept] = one_row(database_url, "SELECT row(t.*)::text FROM workflow_api_tokens AS t")

    assert token[4:16] in str(kept)
    assert token[17:] not in str(kept)
    with pytest.raises(DatabaseUnavailable, match="permission denied"):
        async with api.database.transaction(tenant="acme") as connection:
            await connection.execute("SELECT * FROM workflow_api_tokens")
