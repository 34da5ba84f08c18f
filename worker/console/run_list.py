"""The list of runs, and the triggers that launch them."""

from __future__ import annotations

from typing import Final

from fastapi import Response
from pydantic import BaseModel, ConfigDict

from routing.run_records import RunQuery, RunStatus
from routing.runs import page_of_runs
from routing.triggers import FROM_THE_BEGINNING, disable_trigger, find_trigger, list_triggers
from worker.api.cursors import cursor_text, read_cursor
from worker.api.reading import CursorText, Key, Text, not_found
from worker.api.runs import Why
from worker.api.triggers import trigger_cursor
from worker.console.lists import list_page, narrowing
from worker.console.rendering import page
from worker.console.routes import console_router, go_to
from worker.console.visits import Operating, Visiting, form_fields
from worker.trigger_secrets import without_secrets

router = console_router()

KEPT: Final = ("status", "key", "workflow_id", "trigger_id")
LINES: Final = 50


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    status: RunStatus | None = None
    key: Key | None = None
    workflow_id: Text | None = None
    trigger_id: Text | None = None
    cursor: CursorText = None


class _Order(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Text
    of: Text | None = None
    reason: Why


@router.get("/runs")
async def show_runs(visit: Visiting) -> Response:
    """Runs, the newest first."""
    given = narrowing(visit)
    wanted = _Wanted.model_validate(given)
    query = RunQuery(
        status=None if wanted.status is None else wanted.status.value,
        key=wanted.key,
        workflow_id=wanted.workflow_id,
        trigger_id=wanted.trigger_id,
    )
    after = read_cursor(wanted.cursor)
    async with visit.parts.reading(visit.tenants) as connection:
        found = await page_of_runs(connection, visit.tenants, query, after=after, limit=LINES)
    return await list_page(
        "runs.html",
        visit,
        found,
        first=wanted.cursor is None,
        filters={name: given.get(name, "") for name in KEPT},
        statuses=[status.value for status in RunStatus],
    )


@router.get("/triggers")
async def show_triggers(visit: Visiting, cursor: str | None = None) -> Response:
    """Triggers by tenant and id, with what they are made of."""
    after = FROM_THE_BEGINNING if not cursor else trigger_cursor(cursor)
    async with visit.parts.reading(visit.tenants) as connection:
        lines = await list_triggers(connection, visit.tenants, after=after, limit=LINES + 1)
    shown = lines[:LINES]
    more = len(lines) > len(shown)
    return page(
        "triggers.html",
        visit,
        lines=[without_secrets(line, visit.parts.redaction) for line in shown],
        next=cursor_text((shown[-1].tenant, shown[-1].trigger_id)) if more else None,
        first=not cursor,
    )


@router.post("/trigger/disable")
async def post_disable(visit: Operating) -> Response:
    """The trigger launches nothing any more; who and why is written down."""
    wanted = _Order.model_validate(await form_fields(visit.request))
    reach = visit.owner(wanted.of)
    tenant = wanted.of if wanted.of and (reach is None or wanted.of in reach) else None
    if tenant is None:
        raise not_found("trigger")
    async with visit.parts.reading([tenant]) as connection:
        if await find_trigger(connection, tenant, wanted.id) is None:
            raise not_found("trigger")
        await disable_trigger(
            connection, tenant, wanted.id, actor=visit.principal.actor, reason=wanted.reason
        )
    return go_to("/triggers", tenant=visit.tenant)
