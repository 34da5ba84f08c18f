"""Each route with each scope, for workflows of each kind of owner: what a token may do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx
import pytest

from routing.database import DatabaseLimits, open_database
from routing.faults import ChainUnknown
from routing.owners import Described, Owners
from routing.ownership import Basis, OwnedRun, Target, Voucher
from routing.run_controls import ControlOrder, RunControls, Taken
from routing.run_reconcile import RunKey
from routing.tokens import Scope
from tests.builders import a_task, a_wait
from tests.integration.api.caller import Api, FakeDeadLetters, open_api
from tests.integration.api.test_run_pages import send, visitor
from tests.rows import execute, one_row, rows
from worker.api.parts import Parts

OPERATE, ADMIN = Scope.OPERATE, Scope.ADMIN
ORDER: Final = {"reason": "no longer needed"}
WHOSE: Final = ("own", "other", "unowned")
"""Of acme's rows: of a workflow of acme's, of one that is beta's, and of one that is nobody's."""


@dataclass
class NotingTemporal:
    """Takes every control, and notes of which workflow."""

    asked: list[str] = field(default_factory=list)

    async def ask(self, run: RunKey, order: ControlOrder, request_id: str) -> Taken:
        self.asked.append(run.workflow_id)
        return Taken()


def requests_of(whose: str) -> Mapping[str, tuple[str, str, Any, set[Scope]]]:
    """What reaches Temporal by each route, and the scopes that may ask for it."""
    wait = {
        "tenant": "acme",
        "wait_id": f"new-{whose}",
        "event_name": "A",
        "correlation_key": 7,
        "workflow_id": whose,
    }
    named = {**wait, "wait_id": f"named-{whose}", "run_id": f"run-{whose}"}
    approve = {**wait, "wait_id": f"approve-{whose}", "signal_name": "approve"}
    run = f"/runs/run-{whose}"
    return {
        "wait": ("POST", "/waits", wait, {OPERATE, ADMIN}),
        "wait of a run": ("POST", "/waits", named, {OPERATE, ADMIN}),
        "wait for a free signal": ("POST", "/waits", approve, {ADMIN}),
        "cancel": ("POST", f"{run}/cancel", ORDER, {OPERATE, ADMIN}),
        "terminate": ("POST", f"{run}/terminate", ORDER, {ADMIN}),
        "signal": ("POST", f"{run}/signal", {**ORDER, "signal": "approve"}, {ADMIN}),
        "bind": ("POST", "/events/e/bind", {"wait_id": whose, **ORDER}, {OPERATE, ADMIN}),
        "task": (
            "POST",
            f"/tasks/task-{whose}/complete",
            {"answer": {"amount": 1}},
            {OPERATE, ADMIN},
        ),
        "close": ("DELETE", f"/waits/{whose}?reason=gone", None, {OPERATE, ADMIN}),
    }


ROUTES: Final = tuple(requests_of("own"))


@pytest.fixture
def temporal() -> NotingTemporal:
    return NotingTemporal()


@pytest.fixture
async def api(
    database_url: str, letters: FakeDeadLetters, temporal: NotingTemporal
) -> AsyncIterator[Api]:
    def change(parts: Parts) -> Parts:
        return replace(parts, controls=RunControls(parts.database, temporal))

    async with (
        open_database(database_url, DatabaseLimits()) as database,
        open_api(database, letters, change) as api,
    ):
        for whose in WHOSE:
            proof = Voucher.ACTIVITY if whose == "own" else None
            terms: dict[str, Any] = {"workflow_id": whose, "vouched_by": proof}
            await api.register(
                a_wait(wait_id=whose, run_id=f"run-{whose}", key="other", **terms),
                a_task(wait_id=f"task-{whose}", **terms),
            )
        theirs = {"tenant": "beta", "workflow_id": "other", "run_id": "run-other"}
        await api.register(a_wait(wait_id="theirs", **theirs))
        await api.record(event_id="e", key=7)
        yield api


async def ask(client: httpx.AsyncClient, route: str, whose: str) -> httpx.Response:
    method, path, body, _ = requests_of(whose)[route]
    return await client.request(method, f"/v1{path}", json=body)


@pytest.mark.parametrize("whose", WHOSE)
@pytest.mark.parametrize("scope", Scope)
async def test_a_tenants_token_reaches_its_own_workflows_alone(
    api: Api, temporal: NotingTemporal, database_url: str, scope: Scope, whose: str
) -> None:
    client = await api.caller(scope, tenants=["acme"])

    answers = {route: (await ask(client, route, whose)).status_code for route in ROUTES}

    allowed = {route: scope in requests_of(whose)[route][3] for route in ROUTES}
    assert answers == {route: 200 if allowed[route] and whose == "own" else 403 for route in ROUTES}
    if whose != "own":
        assert temporal.asked == []
        [signals] = one_row(database_url, "SELECT count(*) FROM workflow_event_deliveries")
        assert signals == 0


@pytest.mark.parametrize("route", ROUTES)
async def test_an_administrator_of_every_tenant_reaches_every_workflow(
    api: Api, route: str
) -> None:
    client = await api.admin()
    suffix = "" if route in {"wait", "wait of a run", "wait for a free signal"} else "tenant=acme"

    answers = []
    for whose in WHOSE:
        method, path, body, _ = requests_of(whose)[route]
        path = f"{path}{'&' if '?' in path else '?'}{suffix}" if suffix else path
        answers.append((await client.request(method, f"/v1{path}", json=body)).status_code)

    assert answers == [200, 200, 200]


@pytest.mark.parametrize("route", ROUTES)
async def test_a_refusal_does_not_tell_whether_there_is_such_a_workflow(
    api: Api, route: str
) -> None:
    client = await api.caller(ADMIN, tenants=["acme"])

    answers = [(await ask(client, route, whose)).json() for whose in ("other", "unowned")]

    assert {answer.pop("request_id") for answer in answers}
    assert answers[0] == answers[1]
    assert answers[0]["code"] == "WORKFLOW_NOT_OWNED"


async def test_replaying_hands_nothing_to_a_workflow_that_is_not_the_tenants(
    api: Api, database_url: str
) -> None:
    for whose in WHOSE:
        proof = Voucher.ACTIVITY if whose == "own" else None
        await api.register(
            a_wait(event_name="B", wait_id=f"b-{whose}", workflow_id=whose, vouched_by=proof)
        )
    execute(
        database_url, "UPDATE workflow_run_waits SET status = 'closed' WHERE wait_id LIKE 'b-%'"
    )
    await api.record(event_id="b", name="B", key="invoice-7")
    execute(
        database_url, "UPDATE workflow_run_waits SET status = 'waiting' WHERE wait_id LIKE 'b-%'"
    )
    operator = await api.caller(OPERATE)
    everyone = await api.admin()

    replayed = await operator.post("/v1/events/b/replay", json=ORDER)
    then = await everyone.post("/v1/events/b/replay?tenant=acme", json=ORDER)

    assert replayed.json()["waits"] == ["b-own"]
    assert then.json()["waits"] == ["b-other", "b-unowned"]


async def test_what_a_token_registers_projects_no_run_of_another_tenant(
    api: Api, database_url: str
) -> None:
    operator = await api.caller(OPERATE)
    before = rows(database_url, "SELECT tenant_id, run_id FROM workflow_runs ORDER BY 1, 2")
    wait = {**requests_of("elsewhere")["wait of a run"][2], "run_id": "run-of-theirs"}

    answer = await operator.post("/v1/waits", json=wait)

    assert answer.status_code == 403
    after = rows(database_url, "SELECT tenant_id, run_id FROM workflow_runs ORDER BY 1, 2")
    assert after == before


@pytest.mark.parametrize("run_id", ["", " "])
@pytest.mark.parametrize("everywhere", [False, True])
async def test_a_wait_of_a_blank_run_is_refused(api: Api, run_id: str, *, everywhere: bool) -> None:
    caller = await (api.admin() if everywhere else api.caller(OPERATE))
    wait = {**requests_of("own")["wait"][2], "run_id": run_id}

    answer = await caller.post("/v1/waits", json=wait)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "run_id")


async def test_a_wait_over_http_dies_with_the_chain_that_was_proved(
    api: Api, database_url: str
) -> None:
    operator = await api.caller(OPERATE)
    wait = {**requests_of("own")["wait"][2], "first_run_id": "the-chain-of-another"}

    await operator.post("/v1/waits", json=wait)

    bound = one_row(
        database_url,
        "SELECT run_id, first_run_id, vouched_by FROM workflow_run_waits WHERE wait_id = 'new-own'",
    )
    assert bound == ("run-own", None, "token")


async def test_a_run_that_a_trigger_launched_is_its_tenants(api: Api, database_url: str) -> None:
    await api.register(
        a_wait(workflow_id="launched", run_id="run-launched", vouched_by=None, key="x")
    )
    operator = await api.caller(OPERATE)

    before = await ask(operator, "cancel", "launched")
    execute(
        database_url,
        "UPDATE workflow_runs SET origin = 'launched', trigger_id = 't'"
        " WHERE workflow_id = 'launched'",
    )
    after = await ask(operator, "cancel", "launched")

    assert (before.status_code, after.status_code) == (403, 200)


@dataclass
class Memos:
    """The tenants that workflows' attributes name; None: Temporal does not answer."""

    tenants: Mapping[str, str] | None

    async def describe(self, target: Target) -> Described | None:
        if self.tenants is None:
            raise ChainUnknown("away")
        tenant = self.tenants.get(target.workflow_id)
        return None if tenant is None else Described(OwnedRun("run-9", "run-1"), [tenant])


def owned_by(api: Api, memos: Memos | None = None, **settings: Any) -> Owners:
    terms = replace(api.parts.settings.ownership_terms, **settings)
    return Owners(api.database, terms, memos)


async def test_a_memo_names_the_tenant_whatever_was_registered(api: Api) -> None:
    owners = owned_by(api, Memos({"own": "acme", "other": "beta"}), basis=Basis.MEMO)

    found = [await owners.owned("acme", Target("default", whose)) for whose in WHOSE]

    assert found == [OwnedRun("run-9", "run-1"), None, None]


async def test_without_an_answer_of_temporals_the_request_is_to_be_repeated(
    database_url: str, letters: FakeDeadLetters
) -> None:
    def change(parts: Parts) -> Parts:
        terms = parts.settings.ownership_terms
        return replace(parts, owners=Owners(parts.database, terms, Memos(None)))

    async with (
        open_database(database_url, DatabaseLimits()) as database,
        open_api(database, letters, change, ownership="memo") as api,
    ):
        operator = await api.caller(OPERATE)

        answer = await ask(operator, "wait", "own")

    assert answer.status_code == 503


async def test_an_id_is_that_of_the_longest_tenant_that_there_is(
    database_url: str, letters: FakeDeadLetters
) -> None:
    async with (
        open_database(database_url, DatabaseLimits()) as database,
        open_api(database, letters, ownership="id", tenant_workflow_id="{tenant}-*") as api,
    ):
        acme = await api.caller(OPERATE, tenants=["acme"])
        wait = requests_of("acme-eu-1")["wait"][2]

        alone = await acme.post("/v1/waits", json=wait)
        europe = await api.caller(OPERATE, tenants=["acme-eu"])
        beside = await acme.post("/v1/waits", json={**wait, "wait_id": "second"})
        theirs = await europe.post("/v1/waits", json={**wait, "tenant": "acme-eu"})
        own = await acme.post("/v1/waits", json={**wait, "wait_id": "3", "workflow_id": "acme-1"})

    statuses = [answer.status_code for answer in (alone, beside, theirs, own)]
    assert statuses == [200, 403, 200, 200]


@pytest.mark.parametrize("whose", WHOSE)
async def test_the_console_reaches_what_the_api_reaches(
    api: Api, temporal: NotingTemporal, database_url: str, whose: str
) -> None:
    client = await visitor(api, ADMIN)
    forms = {
        "/console/run/cancel": {"id": f"run-{whose}", "of": "acme"},
        "/console/run/terminate": {"id": f"run-{whose}", "of": "acme"},
        "/console/run/signal": {"id": f"run-{whose}", "of": "acme", "signal": "approve"},
        "/console/bind": {"id": "e", "of": "acme", "wait_id": whose},
        "/console/task/complete": {"id": f"task-{whose}", "of": "acme", "answer.amount": "1"},
        "/console/wait/close": {"id": whose, "of": "acme"},
    }
    page = "/console/run?id=own&of=acme"

    answers = {
        path: (await send(client, page, path, **ORDER, **fields)).status_code
        for path, fields in forms.items()
    }

    assert answers == dict.fromkeys(forms, 303 if whose == "own" else 403)
    assert temporal.asked == (["own"] * 3 if whose == "own" else [])
    [signals] = one_row(database_url, "SELECT count(*) FROM workflow_event_deliveries")
    assert signals == (2 if whose == "own" else 0)
