"""A ticket that waits for the customer's reply, or gives up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypedDict

from temporalio import workflow

from pointsman.workflow import EventWaitTimeout, ReceivedEvent, wait_for_event

LOOKBACK = timedelta(minutes=10)


class Ticket(TypedDict):
    tenant: str
    ticket_id: str
    timeout_seconds: float


def by_the_customer(comment: ReceivedEvent) -> bool:
    """The comment's author is the customer"""
    return comment.payload.get("author") == "customer"


@workflow.defn
class TicketWorkflow:
    """One event that passes a filter; a colleague's comment leaves the ticket waiting."""

    @workflow.run
    async def run(self, ticket: Ticket) -> dict[str, Any]:
        try:
            reply = await wait_for_event(
                "TICKET_COMMENT_ADDED",
                key=ticket["ticket_id"],
                tenant=ticket["tenant"],
                filter=by_the_customer,
                timeout=timedelta(seconds=ticket["timeout_seconds"]),
                lookback=LOOKBACK,
            )
        except EventWaitTimeout:
            return {"ticket_id": ticket["ticket_id"], "status": "timed_out", "event_id": None}
        return {"ticket_id": ticket["ticket_id"], "status": "answered", "event_id": reply.event_id}
