"""Controls over HTTP against a real Temporal server: what is taken, what is refused, and how."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.worker import Worker

from routing.database import Database, DatabaseLimits, open_database
from routing.run_controls import Control, ControlOrder, Done, NotTaken, RunControls, Taken
from routing.run_reconcile import RunKey, RunReconciler
from routing.runs import find_runs
from routing.temporal_runs import TemporalRun
from routing.tokens import Scope
from tests.builders import a_wait
from tests.conftest import TemporalTarget
from tests.integration.api.caller import Api, FakeDeadLetters, open_api
from tests.rows import execute, one_row
from tests.workflows import Collector, Unmoved
from worker.api.parts import Parts
from worker.embedded import Part, embedded_servers

WHY: Final = {"reason": "no longer needed"}


@pytest.fixture
async def client(temporal: TemporalTarget) -> Client:
    return await Client.connect(temporal.address, namespace=temporal.namespace)


@asynccontextmanager
async def api_on(database_url: str, client: Client) -> AsyncIterator[Api]:
    async with open_database(database_url, DatabaseLimits()) as database:

        def with_temporal(parts: Parts) -> Parts:
            return replace(parts, controls=RunControls(database, TemporalRun(client)))

        async with open_api(database, FakeDeadLetters(), with_temporal) as api:
            yield api


@pytest.fixture
async def api(database_url: str, client: Client) -> AsyncIterator[Api]:
    async with api_on(database_url, client) as api:
        yield api


async def a_run(api: Api, client: Client, temporal: TemporalTarget) -> WorkflowHandle[Any, Any]:
    """A running workflow with one open wait."""
    handle = await client.start_workflow(
        Collector.run, [], id=f"collector-{uuid.uuid4()}", task_queue=temporal.task_queue
    )
    await api.register(a_wait(workflow_id=handle.id, run_id=handle.first_execution_run_id))
    return handle


async def ask(
    caller: httpx.AsyncClient, run_id: str | None, action: str, **body: Any
) -> httpx.Response:
    return await caller.post(f"/v1/runs/{run_id}/{action}", json={**WHY, **body})


def standing(database_url: str) -> tuple[object, ...]:
    """How the one run and its wait stand."""
    return one_row(
        database_url,
        "SELECT r.status, w.status, w.disposition FROM workflow_runs AS r"
        " JOIN workflow_run_waits AS w USING (tenant_id, workflow_id)",
    )


UNTOUCHED: Final = ("running", "waiting", None)


async def test_cancelling_is_requested_and_leaves_the_run_and_its_waits_alone(
    api: Api, client: Client, temporal: TemporalTarget, database_url: str
) -> None:
    handle = await a_run(api, client, temporal)
    operator = await api.caller(Scope.OPERATE, name="Dana")

    answered = await ask(operator, handle.first_execution_run_id, "cancel")

    assert (answered.status_code, answered.json()["closed_waits"]) == (200, 0)
    assert answered.json()["status"] == "requested"
    assert standing(database_url) == UNTOUCHED
    [run] = (await operator.get("/v1/runs?status=running&requested=cancel")).json()["runs"]
    assert (run["requested_control"], run["closed_at"]) == ("cancel", None)
    shown = (await operator.get(f"/v1/runs/{handle.first_execution_run_id}")).json()
    assert [(act["actor"], act["state"]) for act in shown["actions"]] == [("token:Dana", "taken")]
    history = await handle.fetch_history()
    asked = [
        event.workflow_execution_cancel_requested_event_attributes.cause
        for event in history.events
        if event.HasField("workflow_execution_cancel_requested_event_attributes")
    ]
    assert asked == ["no longer needed"]
    audited = one_row(
        database_url,
        "SELECT DISTINCT actor, action, target_id, reason FROM workflow_operator_actions",
    )
    assert audited == (
        "token:Dana",
        "cancel_run",
        handle.first_execution_run_id,
        "no longer needed",
    )


async def test_a_cancelled_run_is_canceled_once_temporal_says_so(
    api: Api, client: Client, temporal: TemporalTarget, database_url: str
) -> None:
    handle = await a_run(api, client, temporal)
    operator = await api.caller(Scope.OPERATE)
    run_id = handle.first_execution_run_id

    await ask(operator, run_id, "cancel")
    async with Worker(client, task_queue=temporal.task_queue, workflows=[Collector]):
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    reconciler = RunReconciler(api.database, TemporalRun(client), grace=timedelta(0))
    async for _ in reconciler.walk():
        pass

    [run] = (await operator.get("/v1/runs?status=canceled")).json()["runs"]
    assert run["closed_at"] is not None
    assert run["requested_control"] == "cancel"
    assert (await operator.get("/v1/runs?requested=cancel")).json()["runs"] == []


async def test_a_refused_cancel_says_why_and_changes_nothing(
    api: Api, client: Client, temporal: TemporalTarget, database_url: str
) -> None:
    handle = await a_run(api, client, temporal)
    await handle.terminate()
    operator = await api.caller(Scope.OPERATE)

    answered = await ask(operator, handle.first_execution_run_id, "cancel")

    body = answered.json()
    assert answered.status_code == 409
    assert {name: body[name] for name in ("code", "action", "engine", "runId", "reason")} == {
        "code": "WORKFLOW_TEMPORAL_CANCEL_FAILED",
        "action": "cancel",
        "engine": "temporal",
        "runId": handle.first_execution_run_id,
        "reason": "run_closed",
    }
    assert "has ended" in body["hint"]
    assert standing(database_url) == UNTOUCHED
    outcomes = one_row(
        database_url,
        "SELECT array_agg(detail ->> 'refused' ORDER BY at) FROM workflow_operator_actions",
    )
    assert outcomes == ([None, "run_closed"],)


@pytest.mark.usefixtures("temporal")
async def test_while_temporal_is_stopped_every_control_is_refused_and_changes_nothing(
    database_url: str, tmp_path: Path
) -> None:
    only = [Part.TEMPORAL]
    async with embedded_servers(
        tmp_path,
        announce=lambda _: None,
        parts=only,
        environment=os.environ | {"TEMPORAL_ADDRESS": ""},
    ) as servers:
        client = await Client.connect(servers.temporal_address)
        async with api_on(database_url, client) as api:
            handle = await client.start_workflow(
                Collector.run, [], id=f"collector-{uuid.uuid4()}", task_queue="nobody"
            )
            await api.register(a_wait(workflow_id=handle.id, run_id=handle.first_execution_run_id))
            admin = await api.admin()
            await servers.processes[Part.TEMPORAL].kill()

            answers = {
                "CANCEL": await ask(admin, handle.first_execution_run_id, "cancel"),
                "TERMINATE": await ask(admin, handle.first_execution_run_id, "terminate"),
                "SIGNAL": await ask(admin, handle.first_execution_run_id, "signal", signal="x"),
            }

    for action, answered in answers.items():
        assert answered.status_code == 409
        assert answered.json()["code"] == f"WORKFLOW_TEMPORAL_{action}_FAILED"
        assert answered.json()["reason"] in {"temporal_unavailable", "temporal_timeout"}
        assert answered.json()["runId"] == handle.first_execution_run_id
    assert standing(database_url) == UNTOUCHED


@pytest.mark.parametrize("action", ["cancel", "terminate", "signal"])
async def test_a_run_that_temporal_does_not_know_is_refused(
    api: Api, database_url: str, action: str
) -> None:
    run_id = str(uuid.uuid4())
    await api.register(a_wait(workflow_id="nobody", run_id=run_id))
    admin = await api.admin()
    body = {"signal": "x"} if action == "signal" else {}

    answered = await ask(admin, run_id, action, **body)

    assert (answered.status_code, answered.json()["reason"]) == (409, "run_not_found")
    assert standing(database_url) == UNTOUCHED


@pytest.mark.parametrize("action", ["resume", "retry", "requeue_event_wait"])
async def test_what_temporal_runs_cannot_be_asked_is_refused_with_a_hint(
    api: Api, client: Client, temporal: TemporalTarget, database_url: str, action: str
) -> None:
    handle = await a_run(api, client, temporal)
    operator = await api.caller(Scope.OPERATE)

    answered = await ask(operator, handle.first_execution_run_id, action)

    body = answered.json()
    assert answered.status_code == 409
    assert {name: body[name] for name in ("code", "action", "engine", "runId")} == {
        "code": "WORKFLOW_TEMPORAL_ACTION_UNSUPPORTED",
        "action": action,
        "engine": "temporal",
        "runId": handle.first_execution_run_id,
    }
    assert body["hint"]
    assert standing(database_url) == UNTOUCHED
    await handle.terminate()


async def test_another_tenants_run_is_not_there(
    api: Api, client: Client, temporal: TemporalTarget, database_url: str
) -> None:
    handle = await a_run(api, client, temporal)
    stranger = await api.caller(Scope.ADMIN, tenants=["globex"])
    run_id = handle.first_execution_run_id

    answers = [
        await ask(stranger, run_id, action, **({"signal": "x"} if action == "signal" else {}))
        for action in ("cancel", "terminate", "signal", "resume", "retry", "requeue_event_wait")
    ]

    assert {answered.status_code for answered in answers} == {404}
    assert (await stranger.get(f"/v1/runs/{run_id}")).status_code == 404
    assert (await stranger.get("/v1/runs")).json()["runs"] == []
    assert standing(database_url) == UNTOUCHED
    await handle.terminate()


@dataclass(frozen=True)
class SlowAnswer:
    """Temporal's real answer, which comes when the run has completed and everybody knows it."""

    inner: TemporalRun
    database: Database
    run: WorkflowHandle[Any, Any]

    async def ask(self, run: RunKey, order: ControlOrder, request_id: str) -> Taken | NotTaken:
        answer = await self.inner.ask(run, order, request_id)
        await self.run.result()
        reconciler = RunReconciler(self.database, self.inner, grace=timedelta(0))
        async for _ in reconciler.walk():
            pass
        return answer


async def test_a_cancel_that_races_completion_never_writes_over_the_end(
    api: Api, client: Client, temporal: TemporalTarget, database_url: str
) -> None:
    handle = await client.start_workflow(
        Unmoved.run, id=f"unmoved-{uuid.uuid4()}", task_queue=temporal.task_queue
    )
    await api.register(a_wait(workflow_id=handle.id, run_id=handle.first_execution_run_id))
    port = SlowAnswer(TemporalRun(client), api.database, handle)
    async with api.database.transaction() as connection:
        [run] = await find_runs(connection, ["acme"], str(handle.first_execution_run_id))
    order = ControlOrder(control=Control.CANCEL, actor="test", reason="ordered twice")

    async with Worker(client, task_queue=temporal.task_queue, workflows=[Unmoved]):
        end = await RunControls(api.database, port).carry_out(run, order)

    assert isinstance(end, Done)
    ended = one_row(database_url, "SELECT status, closed_at IS NOT NULL FROM workflow_runs")
    assert ended == ("completed", True)


async def test_a_cancel_that_comes_after_completion_is_refused_and_the_end_stands(
    api: Api, client: Client, temporal: TemporalTarget, database_url: str
) -> None:
    handle = await a_run(api, client, temporal)
    operator = await api.caller(Scope.OPERATE)

    async with Worker(client, task_queue=temporal.task_queue, workflows=[Collector]):
        await handle.signal(Collector.end)
        await handle.result()
    # Nobody has told the projection: it still says that the run goes on.
    answered = await ask(operator, handle.first_execution_run_id, "cancel")

    assert (answered.status_code, answered.json()["reason"]) == (409, "run_closed")
    assert standing(database_url) == UNTOUCHED


@pytest.mark.parametrize(
    "action", ["cancel", "terminate", "signal", "resume", "retry", "requeue_event_wait"]
)
async def test_a_run_of_another_engine_is_touched_by_no_control(
    api: Api, client: Client, temporal: TemporalTarget, database_url: str, action: str
) -> None:
    handle = await a_run(api, client, temporal)
    execute(database_url, "UPDATE workflow_runs SET engine = 'legacy'")
    admin = await api.admin()
    body = {"signal": "end"} if action == "signal" else {}

    answered = await ask(admin, handle.first_execution_run_id, action, **body)

    assert answered.status_code == 409
    assert (answered.json()["code"], answered.json()["engine"]) == (
        "WORKFLOW_ENGINE_UNSUPPORTED",
        "legacy",
    )
    assert standing(database_url) == UNTOUCHED
    assert (await handle.describe()).status is not None
    assert len((await handle.fetch_history()).events) == 2
    await handle.terminate()


async def test_terminating_ends_the_run_and_needs_an_administrator(
    api: Api, client: Client, temporal: TemporalTarget, database_url: str
) -> None:
    handle = await a_run(api, client, temporal)
    operator, admin = await api.caller(Scope.OPERATE), await api.admin()
    run_id = handle.first_execution_run_id

    refused = await ask(operator, run_id, "terminate")
    taken = await ask(admin, run_id, "terminate")

    assert (refused.status_code, taken.status_code) == (403, 200)
    assert taken.json()["status"] == "terminated"
    assert standing(database_url) == ("terminated", "closed", None)
    assert one_row(database_url, "SELECT reason, detail FROM workflow_run_waits") == (
        "run_closed",
        "the run is terminated",
    )
    description = await handle.describe()
    assert description.close_time is not None


async def test_a_signal_is_passed_on_as_it_is(
    api: Api, client: Client, temporal: TemporalTarget, database_url: str
) -> None:
    handle = await a_run(api, client, temporal)
    admin = await api.admin()

    async with Worker(client, task_queue=temporal.task_queue, workflows=[Collector]):
        answered = await ask(admin, handle.first_execution_run_id, "signal", signal="end")
        result = await handle.result()

    assert (answered.status_code, result) == (200, [])
    assert standing(database_url) == UNTOUCHED


@pytest.mark.parametrize("reason", ["", "no", "  x  "])
async def test_a_control_needs_a_reason(api: Api, reason: str) -> None:
    operator = await api.caller(Scope.OPERATE)

    answered = await operator.post("/v1/runs/some/cancel", json={"reason": reason})

    assert answered.status_code == 422
    assert [fault["field"] for fault in answered.json()["errors"]] == ["reason"]
