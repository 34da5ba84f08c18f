"""The workflows of the demo: what each is started with, and what it should return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

WOKEN_SECONDS = 300
"""Time-out of a workflow whose event comes: never reached."""
EXPIRING_SECONDS = 20
"""Time-out of a workflow that nothing wakes."""
PARTLY_SECONDS = 25
"""Time-out of a workflow that gets some events, and waits in vain for the rest."""

PAID_ORDERS: Mapping[tuple[str, str], str] = {
    ("acme", "INV-7001"): "paid-7001",
    ("globex", "INV-7001"): "paid-7001",
    ("acme", "INV-7002"): "paid-7002",
    ("acme", "INV-7003"): "paid-7003",
    ("acme", "INV-7004"): "paid-7004",
    ("acme", "INV-7005"): "paid-batch-1",
    ("acme", "INV-7006"): "paid-batch-1",
    ("acme", "INV-7007"): "paid-batch-1",
    ("acme", "4711"): "paid-4711",
    ("acme", "4712"): "paid-4712",
    ("acme", "90071992547409931234"): "paid-long-number",
    ("acme", "INV-7010"): "paid-7010",
    ("acme", "INV-7011"): "paid-7011",
    ("acme", "INV-7014"): "paid-7014",
    ("acme", "INV-7015"): "paid-7015",
    ("acme", "Rechnung Ä-17"): "paid-rechnung-17",
    ("acme", "INV-7018"): "paid-7018",
    ("acme", "INV-7019"): "paid-7019",
    ("acme", "INV-7020"): "/acme/billing|ce-7020",
    ("acme", "INV-7021"): "/acme/billing|ce-7021",
    ("acme", "INV-7022"): "/acme/billing|ce-7022",
    ("acme", "INV-7025"): "paid-7025",
    ("globex", "INV-7002"): "paid-globex-7002",
    ("globex", "INV-7027"): "paid-globex-7027",
}
"""Orders that are paid: tenant and invoice, and the event that says so."""

EXPIRED_ORDERS = (
    ("acme", "INV-70"),
    ("acme", "INV-7016"),
    ("acme", "paid-as-event-id"),
    ("acme", "4713"),
    ("globex", "INV-7024"),
)
"""Orders whose invoice is never paid, whatever their neighbours' events look like."""

SHARED_INVOICE = "INV-7026"
"""Two orders of acme wait for it; one event wakes both."""
EARLY_INVOICE = "INV-7030"
"""Paid before its order begins to wait."""


def order_id(tenant: str, invoice: str, copy: str = "") -> str:
    """The workflow id of an order."""
    return f"order-{tenant}-{invoice}{copy}".replace(" ", "-")


def workflows() -> Iterator[dict[str, Any]]:
    """Every workflow, in the order in which they are started."""
    yield from _paid_orders()
    yield from _expired_orders()
    yield from _tickets()
    yield from _quotes()
    yield from _projects()
    yield from _appointments()


def _paid_orders() -> Iterator[dict[str, Any]]:
    for (tenant, invoice), event_id in PAID_ORDERS.items():
        yield _order(tenant, invoice, event_id)
    for copy in ("-a", "-b"):
        yield _order("acme", SHARED_INVOICE, "paid-7026", copy=copy)
    yield _order("acme", EARLY_INVOICE, "paid-7030", start="after")


def _expired_orders() -> Iterator[dict[str, Any]]:
    for tenant, invoice in EXPIRED_ORDERS:
        yield _order(tenant, invoice, None)


def _order(
    tenant: str, invoice: str, event_id: str | None, *, copy: str = "", start: str = "before"
) -> dict[str, Any]:
    workflow_id = order_id(tenant, invoice, copy)
    seconds = WOKEN_SECONDS if event_id else EXPIRING_SECONDS
    terms = {"order_id": workflow_id, "invoice_id": invoice, "timeout_seconds": seconds}
    status = "paid" if event_id else "expired"
    result = {"order_id": workflow_id, "status": status, "event_id": event_id}
    return _workflow("OrderWorkflow", workflow_id, tenant, terms, result, start=start)


def _tickets() -> Iterator[dict[str, Any]]:
    yield _ticket("acme", "T-1001", "reply-1001")
    yield _ticket("acme", "T-1002", "reply-1002")
    yield _ticket("acme", "T-1003", None)
    yield _ticket("acme", "5001", "reply-5001")
    yield _ticket("globex", "T-1001", "reply-globex-1001")
    yield _ticket("acme", "T-1030", "reply-1030", start="after")


def _ticket(
    tenant: str, ticket: str, event_id: str | None, *, start: str = "before"
) -> dict[str, Any]:
    seconds = WOKEN_SECONDS if event_id else PARTLY_SECONDS
    terms = {"ticket_id": ticket, "timeout_seconds": seconds}
    status = "answered" if event_id else "timed_out"
    result = {"ticket_id": ticket, "status": status, "event_id": event_id}
    workflow_id = f"ticket-{tenant}-{ticket}"
    return _workflow("TicketWorkflow", workflow_id, tenant, terms, result, start=start)


def _quotes() -> Iterator[dict[str, Any]]:
    for quote, status, event_id in (
        ("Q-301", "accepted", "accepted-301"),
        ("Q-302", "rejected", "rejected-302"),
        ("Q-303", "expired", None),
    ):
        seconds = WOKEN_SECONDS if event_id else EXPIRING_SECONDS
        terms = {"quote_id": quote, "timeout_seconds": seconds}
        result = {"quote_id": quote, "status": status, "event_id": event_id}
        yield _workflow("QuoteWorkflow", f"quote-acme-{quote}", "acme", terms, result, waits=2)


def _projects() -> Iterator[dict[str, Any]]:
    for tenant, project, status, event_ids in (
        ("acme", "P-801", "started", ["approved-801", "staffed-801"]),
        ("acme", "P-802", "stalled", ["approved-802"]),
        ("globex", "P-801", "started", ["approved-globex-801", "staffed-globex-801"]),
    ):
        seconds = WOKEN_SECONDS if status == "started" else PARTLY_SECONDS
        terms = {"project_id": project, "timeout_seconds": seconds}
        result = {"project_id": project, "status": status, "event_ids": event_ids}
        workflow_id = f"project-{tenant}-{project}"
        yield _workflow("ProjectWorkflow", workflow_id, tenant, terms, result, waits=2)


def _appointments() -> Iterator[dict[str, Any]]:
    for client, wanted, status, event_ids in (
        ("C-41", 3, "complete", ["booked-41-1", "booked-41-2", "booked-41-3"]),
        ("C-42", 5, "idle", ["booked-42-1", "booked-42-2"]),
    ):
        seconds = WOKEN_SECONDS if status == "complete" else PARTLY_SECONDS
        terms = {"client_id": client, "appointments": wanted, "idle_seconds": seconds}
        result = {"client_id": client, "status": status, "event_ids": event_ids}
        workflow_id = f"appointments-acme-{client}"
        yield _workflow("AppointmentsWorkflow", workflow_id, "acme", terms, result)


def _workflow(
    workflow_type: str,
    workflow_id: str,
    tenant: str,
    terms: Mapping[str, Any],
    result: Mapping[str, Any],
    *,
    start: str = "before",
    waits: int = 1,
) -> dict[str, Any]:
    return {
        "workflow_id": workflow_id,
        "workflow_type": workflow_type,
        "start": start,
        "waits": waits,
        "input": {"tenant": tenant, **terms},
        "result": dict(result),
    }
