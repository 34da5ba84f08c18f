"""What operators ask of a run: cancelling it and, for administrators, terminating and signalling.

As over HTTP: the same scopes, the same orders, the same audit. A refusal becomes a page that says
what to do.
"""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Response
from pydantic import BaseModel, ConfigDict

from correlation.exact_reading import NotJson, read_json
from correlation.exact_writing import exact_json, json_fault
from routing.run_controls import Control, ControlOrder, Refusal
from worker.api.owned import check_run
from worker.api.problems import Problem
from worker.api.reading import Text
from worker.api.runs import Why, one_run, refused
from worker.console.routes import console_router, go_to
from worker.console.visits import Administering, Operating, Visit, form_fields

router = console_router()


class _Order(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Text
    of: Text | None = None
    reason: Why


class _Signal(_Order):
    signal: Text
    input: str = ""


@router.post("/run/cancel")
async def cancel_run(visit: Operating) -> Response:
    """The run shows as running, with the request, until Temporal says that it has ended."""
    wanted = _Order.model_validate(await form_fields(visit.request))
    return await _control(visit, wanted, _order(visit, Control.CANCEL, wanted))


@router.post("/run/terminate")
async def terminate_run(visit: Administering) -> Response:
    """At once, and without the workflow's doing."""
    wanted = _Order.model_validate(await form_fields(visit.request))
    return await _control(visit, wanted, _order(visit, Control.TERMINATE, wanted))


@router.post("/run/signal")
async def signal_run(visit: Administering) -> Response:
    """Passed on as it is; an empty input is none."""
    wanted = _Signal.model_validate(await form_fields(visit.request))
    order = ControlOrder(
        control=Control.SIGNAL,
        actor=visit.principal.actor,
        reason=wanted.reason,
        signal_name=wanted.signal,
        signal_input=_input_of(wanted.input),
    )
    return await _control(visit, wanted, order)


def _order(visit: Visit, control: Control, wanted: _Order) -> ControlOrder:
    return ControlOrder(control=control, actor=visit.principal.actor, reason=wanted.reason)


async def _control(visit: Visit, wanted: _Order, order: ControlOrder) -> Response:
    run = await one_run(visit.parts, visit.principal, wanted.id, wanted.of)
    await check_run(visit.parts, visit.principal, run)
    end = await visit.parts.controls.carry_out(run, order)
    if isinstance(end, Refusal):
        raise refused(end)
    if end.closed_waits:
        visit.parts.sink.wake()
    return go_to("/run", id=run.workflow_id, of=run.tenant, tenant=visit.tenant)


def _input_of(text: str) -> str | None:
    if not text.strip():
        return None
    try:
        value = read_json(text)
    except NotJson:
        raise _unusable("is no JSON") from None
    if fault := json_fault(value):
        raise _unusable(fault)
    return exact_json(value)


def _unusable(fault: str) -> Problem:
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"nothing was sent: the signal's input {fault}",
        field="input",
        fix='go back and write JSON, such as "yes" with its quotes or {"by": "dana"}',
    )
