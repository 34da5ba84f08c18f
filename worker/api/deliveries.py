"""`GET /v1/deliveries`: matches on their way to Temporal."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from correlation.reason import Reason
from routing.audit_pages import DeliveryQuery, page_of_deliveries
from worker.api.answers import READING, DeliveryPage, documented
from worker.api.authentication import PartsOf, Reader
from worker.api.cursors import cursor_text, read_cursor
from worker.api.reading import PageParameters, Tenant, Text, answer

router = APIRouter(tags=["deliveries"])


class DeliveryParameters(PageParameters):
    """Which deliveries, and which page of them."""

    tenant: Tenant = None
    status: Literal["pending", "delivered", "dead", "withdrawn"] | None = None
    reason: Reason | None = None
    event_id: Text | None = None
    wait_id: Text | None = None
    workflow_id: Text | None = None


@router.get(
    "/deliveries", summary="List deliveries", responses=documented(DeliveryPage, "", *READING)
)
async def list_deliveries(
    parts: PartsOf, caller: Reader, wanted: Annotated[DeliveryParameters, Query()]
) -> Response:
    """One for each match of an event with a wait, the newest first."""
    tenants = caller.reach(wanted.tenant)
    query = DeliveryQuery(
        status=wanted.status,
        reason=None if wanted.reason is None else wanted.reason.value,
        event_id=wanted.event_id,
        wait_id=wanted.wait_id,
        workflow_id=wanted.workflow_id,
    )
    after = read_cursor(wanted.cursor)
    async with parts.reading(tenants) as connection:
        page = await page_of_deliveries(connection, tenants, query, after=after, limit=wanted.limit)
    return answer({"deliveries": page.lines, "next": cursor_text(page.next)})
