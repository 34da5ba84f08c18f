"""An order that waits for its invoice to be paid, and a quote that waits for its answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypedDict

from temporalio import workflow

from pointsman.workflow import EventWaitTimeout, WaitFor, first_of, wait_for_event

LOOKBACK = timedelta(minutes=10)


class Order(TypedDict):
    tenant: str
    order_id: str
    invoice_id: str
    timeout_seconds: float


class Quote(TypedDict):
    tenant: str
    quote_id: str
    timeout_seconds: float


@workflow.defn
class OrderWorkflow:
    """One event or a time-out."""

    @workflow.run
    async def run(self, order: Order) -> dict[str, Any]:
        try:
            paid = await wait_for_event(
                "INVOICE_PAID",
                key=order["invoice_id"],
                tenant=order["tenant"],
                timeout=timedelta(seconds=order["timeout_seconds"]),
                lookback=LOOKBACK,
            )
        except EventWaitTimeout:
            return {"order_id": order["order_id"], "status": "expired", "event_id": None}
        return {"order_id": order["order_id"], "status": "paid", "event_id": paid.event_id}


@workflow.defn
class QuoteWorkflow:
    """The first of two events; the wait for the other one is withdrawn."""

    @workflow.run
    async def run(self, quote: Quote) -> dict[str, Any]:
        quote_id, tenant = quote["quote_id"], quote["tenant"]
        try:
            answer = await first_of(
                WaitFor("QUOTE_ACCEPTED", key=quote_id, tenant=tenant, lookback=LOOKBACK),
                WaitFor("QUOTE_REJECTED", key=quote_id, tenant=tenant, lookback=LOOKBACK),
                timeout=timedelta(seconds=quote["timeout_seconds"]),
            )
        except EventWaitTimeout:
            return {"quote_id": quote_id, "status": "expired", "event_id": None}
        status = "accepted" if answer.name == "QUOTE_ACCEPTED" else "rejected"
        return {"quote_id": quote_id, "status": status, "event_id": answer.event_id}
