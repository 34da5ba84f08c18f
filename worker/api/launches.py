"""`/v1/launches`: what events start through triggers, and another chance for what died."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from correlation.reason import Reason
from routing.launch_pages import (
    MOST_RETRIED,
    LaunchQuery,
    count_launches,
    page_of_launches,
    retry_launches,
)
from worker.api.answers import READING, documented
from worker.api.authentication import Operator, PartsOf, Reader
from worker.api.cursors import cursor_text, read_cursor
from worker.api.problems import Problem
from worker.api.reading import PageParameters, Tenant, Text, answer
from worker.api.runs import Why

router = APIRouter(tags=["launches"])


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LaunchShown(_Answer):
    """One event and trigger that was considered."""

    tenant: str
    event_id: str
    trigger_id: str
    workflow_id: str
    workflow_type: str
    task_queue: str
    status: str = Field(description="`pending`, `launched`, `dead` or `skipped`.")
    attempts: int
    reason: str | None
    detail: str | None
    run_id: str | None
    created_at: datetime
    due_at: datetime
    launched_at: datetime | None


class LaunchPage(_Answer):
    """Launches, the newest first."""

    launches: list[LaunchShown]
    next: str | None


class LaunchCountShown(_Answer):
    """How many launches of one trigger stand in one way."""

    tenant: str
    trigger_id: str
    status: str
    reason: str | None
    count: int


class LaunchCounts(_Answer):
    """Launches by tenant, trigger, status and reason."""

    counts: list[LaunchCountShown]


class RetriedShown(_Answer):
    """A dead launch that is on its way again."""

    tenant: str
    event_id: str
    trigger_id: str
    workflow_id: str
    action_id: str


class RetriedLaunches(_Answer):
    """The launches that were given another chance; empty when none was dead."""

    retried: list[RetriedShown]


class LaunchParameters(PageParameters):
    """Which launches, and which page of them."""

    tenant: Tenant = None
    status: Literal["pending", "launched", "dead", "skipped"] | None = None
    reason: Reason | None = None
    event_id: Text | None = None
    trigger_id: Text | None = None
    workflow_id: Text | None = None
    since: Annotated[AwareDatetime | None, Field(description="Recorded then or later.")] = None


class CountParameters(BaseModel):
    """Whose launches, and since when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: Tenant = None
    since: AwareDatetime | None = None


class RetryOrder(BaseModel):
    """Which dead launches are tried again, and why; at least one of the filters is needed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Why
    tenant: Tenant = None
    event_id: Text | None = None
    trigger_id: Text | None = None
    died_of: Annotated[Reason | None, Field(description="Their own reason.")] = None
    limit: Annotated[int, Field(ge=1, le=MOST_RETRIED)] = MOST_RETRIED


@router.get("/launches", summary="List launches", responses=documented(LaunchPage, "", *READING))
async def list_launches(
    parts: PartsOf, caller: Reader, wanted: Annotated[LaunchParameters, Query()]
) -> Response:
    """One for each event and trigger that was considered, the newest first."""
    tenants = caller.reach(wanted.tenant)
    query = LaunchQuery(
        status=wanted.status,
        reason=None if wanted.reason is None else wanted.reason.value,
        event_id=wanted.event_id,
        trigger_id=wanted.trigger_id,
        workflow_id=wanted.workflow_id,
        since=wanted.since,
    )
    after = read_cursor(wanted.cursor)
    async with parts.reading(tenants) as connection:
        page = await page_of_launches(connection, tenants, query, after=after, limit=wanted.limit)
    return answer({"launches": page.lines, "next": cursor_text(page.next)})


@router.get(
    "/launches/counts", summary="Count launches", responses=documented(LaunchCounts, "", *READING)
)
async def show_counts(
    parts: PartsOf, caller: Reader, wanted: Annotated[CountParameters, Query()]
) -> Response:
    """By tenant, trigger, status and reason."""
    tenants = caller.reach(wanted.tenant)
    async with parts.reading(tenants) as connection:
        counts = await count_launches(connection, tenants, since=wanted.since)
    return answer({"counts": counts})


@router.post(
    "/launches/retry",
    summary="Try dead launches again",
    responses=documented(RetriedLaunches, "", *READING),
)
async def post_retry(parts: PartsOf, caller: Operator, order: RetryOrder) -> Response:
    """The oldest first; nothing is started twice. Who did it, and why, stands on each event."""
    if order.event_id is None and order.trigger_id is None and order.died_of is None:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "the request does not say which dead launches are meant",
            field="event_id",
            fix="give event_id, trigger_id or died_of",
        )
    tenants = caller.reach(order.tenant)
    query = LaunchQuery(
        event_id=order.event_id,
        trigger_id=order.trigger_id,
        reason=None if order.died_of is None else order.died_of.value,
    )
    async with parts.reading(tenants) as connection:
        retried = await retry_launches(
            connection, tenants, query, actor=caller.actor, why=order.reason, limit=order.limit
        )
    if retried:
        parts.sink.wake()
    return answer({"retried": retried})
