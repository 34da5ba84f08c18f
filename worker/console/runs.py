"""A workflow's page: what it waits for, what it was handed, and why it is still waiting."""

from __future__ import annotations

from typing import Final

from fastapi import Response

from routing.actions_shown import actions_on_launch, actions_on_waits
from routing.audit_pages import (
    DeliveryQuery,
    EventQuery,
    WaitQuery,
    page_of_deliveries,
    page_of_events,
    page_of_waits,
)
from routing.explain_records import RunExplanation
from routing.explain_run import explain_run
from routing.failing_task import FailingTask
from routing.run_reconcile import RunKey
from routing.run_records import TEMPORAL, RunLine, RunQuery
from routing.runs import actions_of_runs, page_of_runs
from worker.api.reading import the_one
from worker.console.rendering import page
from worker.console.routes import console_router
from worker.console.visits import Visit, Visiting

router = console_router()

SHOWN: Final = 100


@router.get("/run")
async def show_run(visit: Visiting, id: str = "", of: str | None = None) -> Response:  # noqa: A002
    """All that the audit knows of a workflow id; `of` names its tenant."""
    reach = visit.owner(of)
    async with visit.parts.reading(reach) as connection:
        waits = await page_of_waits(
            connection, reach, WaitQuery(workflow_id=id, closed_too=True), limit=SHOWN
        )
        deliveries = await page_of_deliveries(
            connection, reach, DeliveryQuery(workflow_id=id), limit=SHOWN
        )
        events = await page_of_events(connection, reach, EventQuery(workflow_id=id), limit=SHOWN)
        runs = await page_of_runs(connection, reach, RunQuery(workflow_id=id), limit=SHOWN)
    tenants = {line.tenant for line in waits.lines} | {line.tenant for line in deliveries.lines}
    tenants |= {line.tenant for line in runs.lines}
    tenant = the_one(tenants, "workflow", several="a workflow")
    names = {(line.tenant, line.event_id): line.name for line in events.lines}
    named = [run.run_id for run in runs.lines]
    named += [wait.run_id for wait in waits.lines if wait.run_id]
    run_ids = list(dict.fromkeys(named))
    async with visit.parts.reading([tenant]) as connection:
        actions = await actions_of_runs(connection, tenant, run_ids)
        by_hand = await actions_on_waits(
            connection,
            tenant,
            [wait.wait_id for wait in waits.lines],
            [delivery.event_id for delivery in deliveries.lines],
        )
        for run in runs.lines:
            if run.event_id is not None:
                by_hand += await actions_on_launch(connection, tenant, run.event_id, id)
                break  # the runs of a chain have one launch
    return page(
        "run.html",
        visit,
        failing=await _failing(visit, runs.lines[0] if runs.lines else None),
        workflow_id=id,
        tenant=tenant,
        run_id=run_ids[0] if run_ids else None,
        runs=runs.lines,
        actions=actions,
        by_hand=by_hand,
        waits=waits.lines,
        open=[wait for wait in waits.lines if wait.status == "waiting"],
        deliveries=deliveries.lines,
        names=names,
        more=waits.next is not None or deliveries.next is not None,
        explanation=await _explanation(visit, id, tenant),
    )


async def _failing(visit: Visit, newest: RunLine | None) -> FailingTask | None:
    """Why the newest run stands still, in one call to Temporal."""
    if newest is None or newest.engine != TEMPORAL or newest.closed_at is not None:
        return None
    key = RunKey(newest.tenant, newest.workflow_id, newest.run_id, newest.namespace)
    return await visit.parts.failing_tasks.failing_task(key)


async def _explanation(visit: Visit, workflow_id: str, tenant: str) -> RunExplanation | None:
    found = await explain_run(
        visit.parts.database,
        workflow_id,
        tenant=tenant,
        behind_wall=not visit.principal.sees_every_tenant,
        across_tenants=visit.principal.sees_every_tenant,
    )
    return found[0] if found else None
