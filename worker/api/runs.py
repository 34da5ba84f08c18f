"""`/v1/runs`: runs as they were seen of Temporal, and the controls over them."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from correlation.exact_writing import exact_json, json_fault
from routing.failing_task import FailingTask
from routing.run_controls import Control, ControlOrder, Done, Refusal
from routing.run_reconcile import RunKey
from routing.run_records import TEMPORAL, RunLine, RunQuery, RunStatus
from routing.runs import find_runs, page_of_runs, run_story
from worker.api.answers import ONE, READING, documented
from worker.api.authentication import Administrator, Operator, PartsOf, Reader
from worker.api.cursors import cursor_text, read_cursor
from worker.api.exact_bodies import api_router
from worker.api.owned import check_run
from worker.api.parts import Parts
from worker.api.principal import Principal
from worker.api.problems import Problem
from worker.api.reading import (
    Instant,
    Key,
    OneTenant,
    PageParameters,
    Tenant,
    Text,
    answer,
    the_one,
)
from worker.api.run_answers import ControlShown, RunPage, RunStoryShown

router = api_router("runs")

SHORTEST_REASON: Final = 3


def _reason(text: str) -> str:
    if len(text.strip()) < SHORTEST_REASON:
        raise ValueError(f"say why in at least {SHORTEST_REASON} characters")
    return text.strip()


Why = Annotated[
    Text,
    AfterValidator(_reason),
    Field(description="At least three characters; stands in the audit beside who did it."),
]


class RunFilters(BaseModel):
    """Which runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: Tenant = None
    workflow_id: Text | None = None
    run_id: Text | None = None
    status: RunStatus | None = None
    requested: Annotated[
        Literal["cancel", "terminate"] | None,
        Field(description="Of which this was requested, and which have not ended yet."),
    ] = None
    engine: Text | None = None
    workflow_type: Text | None = None
    origin: Text | None = None
    trigger_id: Text | None = None
    event_id: Annotated[Text | None, Field(description="The event of their launch.")] = None
    key: Annotated[Key | None, Field(description="A correlation key of one of its waits.")] = None
    since: Annotated[Instant | None, Field(description="Started then or later.")] = None
    until: Annotated[Instant | None, Field(description="Started before then.")] = None

    def query(self) -> RunQuery:
        """The same for the projection."""
        return RunQuery(
            workflow_id=self.workflow_id,
            run_id=self.run_id,
            status=None if self.status is None else self.status.value,
            requested=self.requested,
            engine=self.engine,
            workflow_type=self.workflow_type,
            origin=self.origin,
            trigger_id=self.trigger_id,
            event_id=self.event_id,
            key=self.key,
            since=self.since,
            until=self.until,
        )


class RunParameters(RunFilters, PageParameters):
    """Which runs, and which page of them."""


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Why


class ControlBody(_Order):
    """Why the run is cancelled, or terminated."""


class SignalBody(_Order):
    """Which signal the run gets, and why."""

    signal: Text
    input: Annotated[Any, Field(description="The signal's one argument; absent: none.")] = None


@router.get("/runs", summary="List runs", responses=documented(RunPage, "", *READING))
async def list_runs(
    parts: PartsOf, caller: Reader, wanted: Annotated[RunParameters, Query()]
) -> Response:
    """Runs, the newest first: those that events launched, and those that registered a wait."""
    tenants = caller.reach(wanted.tenant)
    after = read_cursor(wanted.cursor)
    async with parts.reading(tenants) as connection:
        page = await page_of_runs(
            connection, tenants, wanted.query(), after=after, limit=wanted.limit
        )
    return answer({"runs": page.lines, "next": cursor_text(page.next)})


@router.get("/runs/{run_id}", summary="One run", responses=documented(RunStoryShown, "", *ONE))
async def show_run(
    parts: PartsOf, caller: Reader, run_id: str, wanted: Annotated[OneTenant, Query()]
) -> Response:
    """A run with its waits, the events that met them, what operators did, and all of it in time."""
    run = await one_run(parts, caller, run_id, wanted.tenant)
    async with parts.reading([run.tenant]) as connection:
        story = await run_story(connection, run)
    return answer(replace(story, failing_task=await _failing(parts, run)))


async def _failing(parts: Parts, run: RunLine) -> FailingTask | None:
    if run.engine != TEMPORAL or run.closed_at is not None:
        return None
    return await parts.failing_tasks.failing_task(
        RunKey(run.tenant, run.workflow_id, run.run_id, run.namespace)
    )


async def _control(
    parts: Parts, caller: Principal, run_id: str, tenant: str | None, order: ControlOrder
) -> Response:
    run = await one_run(parts, caller, run_id, tenant)
    await check_run(parts, caller, run)
    end = await parts.controls.carry_out(run, order)
    match end:
        case Done(action_id=action_id, closed_waits=closed, status=status):
            if closed:
                parts.sink.wake()
            return answer(
                {
                    "tenant": run.tenant,
                    "run_id": run.run_id,
                    "workflow_id": run.workflow_id,
                    "action": order.control.value,
                    "closed_waits": closed,
                    "status": status,
                    "action_id": action_id,
                }
            )
        case Refusal():
            raise refused(end)


@router.post(
    "/runs/{run_id}/cancel",
    summary="Ask a run to cancel",
    responses=documented(ControlShown, "", *ONE),
)
async def cancel_run(
    parts: PartsOf,
    caller: Operator,
    run_id: str,
    body: ControlBody,
    wanted: Annotated[OneTenant, Query()],
) -> Response:
    """The run shows as running with the cancellation requested until Temporal says it has ended.

    Its waits stay its own meanwhile: a workflow may tidy up, or ignore the request.
    """
    order = ControlOrder(control=Control.CANCEL, actor=caller.actor, reason=body.reason)
    return await _control(parts, caller, run_id, wanted.tenant, order)


@router.post(
    "/runs/{run_id}/terminate",
    summary="End a run at once",
    responses=documented(ControlShown, "", *ONE),
)
async def terminate_run(
    parts: PartsOf,
    caller: Administrator,
    run_id: str,
    body: ControlBody,
    wanted: Annotated[OneTenant, Query()],
) -> Response:
    """The workflow is not asked and cannot tidy up: cancel it if it should."""
    order = ControlOrder(control=Control.TERMINATE, actor=caller.actor, reason=body.reason)
    return await _control(parts, caller, run_id, wanted.tenant, order)


@router.post(
    "/runs/{run_id}/signal",
    summary="Send a run a signal",
    responses=documented(ControlShown, "", *ONE),
)
async def signal_run(
    parts: PartsOf,
    caller: Administrator,
    run_id: str,
    body: SignalBody,
    wanted: Annotated[OneTenant, Query()],
) -> Response:
    """Passed on to exactly this run as it is."""
    if fault := json_fault(body.input):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"the signal's input {fault}",
            field="input",
            fix="send another input",
        )
    given = "input" in body.model_fields_set
    order = ControlOrder(
        control=Control.SIGNAL,
        actor=caller.actor,
        reason=body.reason,
        signal_name=body.signal,
        signal_input=exact_json(body.input) if given else None,
    )
    return await _control(parts, caller, run_id, wanted.tenant, order)


@router.post(
    "/runs/{run_id}/{action}",
    summary="Refused: what Temporal runs cannot be asked",
    responses=documented(ControlShown, "", *ONE),
)
async def refuse_action(
    parts: PartsOf,
    caller: Operator,
    run_id: str,
    action: Control,
    body: ControlBody,
    wanted: Annotated[OneTenant, Query()],
) -> Response:
    """`resume`, `retry` and `requeue_event_wait` change nothing: the hint says what to do."""
    order = ControlOrder(control=action, actor=caller.actor, reason=body.reason)
    return await _control(parts, caller, run_id, wanted.tenant, order)


def refused(end: Refusal) -> Problem:
    """The answer to what was not done."""
    return Problem(
        HTTPStatus.CONFLICT,
        f"nothing was changed: {end.detail}",
        fix=end.hint,
        code=end.code,
        action=end.action,
        engine=end.engine,
        runId=end.run_id,
        reason=end.reason,
        hint=end.hint,
    )


async def one_run(parts: Parts, caller: Principal, run_id: str, tenant: str | None) -> RunLine:
    """The run of this id among the caller's tenants; raises Problem."""
    tenants = caller.reach_of_object(tenant)
    async with parts.reading(tenants) as connection:
        found = await find_runs(connection, tenants, run_id)
    return the_one(found, "run", several="a run")
