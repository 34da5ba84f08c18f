"""The events that wake somebody, and those that only look as if they did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from examples.event_forms import CONFLICT, REPEATS, Desk, Line, matched, no_wait, unresolved
from examples.waiting_workflows import order_id

PAID = "INVOICE_PAID"
COMMENT = "TICKET_COMMENT_ADDED"


def awaited_events() -> Iterator[Sequence[Line]]:
    """Sequences of lines; within one the order matters."""
    desk = Desk("evt")
    for lines in (
        _explicit_keys(desk),
        _derived_keys(desk),
        _twins(desk),
        _near_misses(desk),
        _cloudevents(desk),
    ):
        yield from ([line] for line in lines)
    yield from _repetitions(desk)
    yield from _tickets(desk)
    yield from ([line] for line in _quotes_and_projects(desk))
    yield from _appointments(desk)


def _payment(invoice: object, amount: str = "119.00", **members: Any) -> dict[str, Any]:
    return {"invoice": {"id": invoice, "amount": amount, "currency": "EUR"}, **members}


def _explicit_keys(desk: Desk) -> Iterator[Line]:
    """The three explicit places, and that each goes before the next and before any rule."""

    def paid(
        event_id: str, invoice: str, payload: Mapping[str, Any], key: str | None = None
    ) -> Line:
        fields = {"event_id": event_id} | ({} if key is None else {"workflow_correlation_key": key})
        entry = desk.native("acme", PAID, payload, **fields)
        return Line(entry, matched(order_id("acme", invoice)))

    yield paid("paid-7001", "INV-7001", {"amount": 119}, "INV-7001")
    yield paid("paid-7002", "INV-7002", {"workflowCorrelationKey": "INV-7002"})
    yield paid("paid-7003", "INV-7003", {"correlationKey": "INV-7003"})
    yield paid("paid-7010", "INV-7010", _payment("INV-7011"), "INV-7010")
    all_three = {"workflowCorrelationKey": "INV-7015", "correlationKey": "INV-7016"}
    yield paid("paid-7014", "INV-7014", {**_payment("INV-7016"), **all_three}, "INV-7014")
    yield paid("paid-7015", "INV-7015", {**_payment("INV-7016"), **all_three})
    yield paid("paid-7025", "INV-7025", _payment("INV-7025"), "   ")
    # The same letter in another Unicode form, with white space around it.
    yield paid("paid-rechnung-17", "Rechnung Ä-17", {}, "\u00a0Rechnung A\u0308-17 ")


def _derived_keys(desk: Desk) -> Iterator[Line]:
    """Keys that the rules find in the payload."""

    def paid(event_id: str, payload: Mapping[str, Any] | str, *invoices: str) -> Line:
        entry = desk.native("acme", PAID, payload, event_id=event_id)
        return Line(entry, matched(*(order_id("acme", invoice) for invoice in invoices)))

    yield paid("paid-7004", _payment("INV-7004", customer={"id": "C-7"}), "INV-7004")
    yield paid("paid-7011", _payment("INV-7011"), "INV-7011")
    yield paid("paid-4711", _payment(4711), "4711")
    yield paid("paid-4712", '{"invoice": {"id": 4712.0, "amount": 80.50}}', "4712")
    yield paid("paid-long-number", _payment(90071992547409931234), "90071992547409931234")
    invoices = ("INV-7005", "INV-7006", "INV-7007")
    lines = [{"invoiceId": invoice, "amount": 40 + n} for n, invoice in enumerate(invoices)]
    yield paid("paid-batch-1", {"payer": "Bank of Acme", "lines": lines}, *invoices)
    both = (order_id("acme", "INV-7026", "-a"), order_id("acme", "INV-7026", "-b"))
    shared = desk.native("acme", PAID, _payment("INV-7026"), event_id="paid-7026")
    yield Line(shared, matched(*both))
    # Its order begins to wait when this is long recorded, and looks back.
    yield paid("paid-7030", _payment("INV-7030"), "INV-7030")


def _twins(desk: Desk) -> Iterator[Line]:
    """Two tenants with equal keys, even with equal event ids, never meet."""

    def paid(tenant: str, event_id: str, invoice: str, expect: Mapping[str, Any]) -> Line:
        entry = desk.native(tenant, PAID, _payment(invoice, "77.00"), event_id=event_id)
        return Line(entry, expect)

    yield paid("globex", "paid-7001", "INV-7001", matched(order_id("globex", "INV-7001")))
    yield paid("globex", "paid-globex-7002", "INV-7002", matched(order_id("globex", "INV-7002")))
    yield paid("globex", "paid-globex-7027", "INV-7027", matched(order_id("globex", "INV-7027")))
    # The order that waits for this invoice is globex's.
    yield paid("acme", "paid-acme-7024", "INV-7024", no_wait())
    yield paid("globex", "paid-globex-7004", "INV-7004", no_wait())
    yield paid("ACME", "paid-upper-case-tenant", "INV-7001", no_wait())


def _near_misses(desk: Desk) -> Iterator[Line]:
    """INV-70 is awaited; nothing that merely resembles it counts."""
    for invoice in ("INV-700", "INV-7", "inv-70", "INV-70-B", "INV 70", "INV-7O", "XINV-70"):
        yield Line(desk.native("acme", PAID, _payment(invoice)), no_wait())
    # Text stays text: only a number is brought into its shortest form.
    yield Line(desk.native("acme", PAID, _payment("4713.0")), no_wait())
    yield Line(desk.native("acme", PAID, _payment("04713")), no_wait())
    # Another name with the same key.
    refunded = desk.native("acme", "INVOICE_REFUNDED", {"correlationKey": "INV-70"})
    yield Line(refunded, no_wait())
    # The event id is never a key.
    entry = desk.native("acme", PAID, {"amount": 5}, event_id="paid-as-event-id")
    yield Line(entry, unresolved("no_value"))


def _repetitions(desk: Desk) -> Iterator[Sequence[Line]]:
    """The same event again, and another event under the same id."""
    first = desk.native("acme", PAID, _payment("INV-7018"), event_id="paid-7018")
    woken = matched(order_id("acme", "INV-7018"))
    yield [Line(first, woken), Line(first, REPEATS), Line(first, REPEATS)]
    respelt = {**first, "payload_json": str(first["payload_json"]).replace(": ", ":")}
    twin = [{**entry, "tenant": "globex"} for entry in (first, respelt)]
    yield [Line(twin[0], no_wait()), Line(twin[1], REPEATS)]

    one = desk.native("acme", PAID, _payment("INV-7019", "10.00"), event_id="paid-7019")
    other = {**one, "payload_json": '{"invoice": {"id": "INV-7019", "amount": "99999.00"}}'}
    renamed = {**one, "event_type": "INVOICE_CANCELLED"}
    woken = matched(order_id("acme", "INV-7019"))
    yield [Line(one, woken), Line(other, CONFLICT), Line(renamed, CONFLICT), Line(one, REPEATS)]


def _cloudevents(desk: Desk) -> Iterator[Line]:
    """The CloudEvents forms, with derived keys and with a key of their own."""
    entry = desk.structured("acme", PAID, _payment("INV-7020"), id="ce-7020")
    yield Line(entry, matched(order_id("acme", "INV-7020")))
    binary = desk.binary("acme", PAID, _payment("INV-7021"), id="ce-7021")
    yield Line(binary, matched(order_id("acme", "INV-7021")))
    keyed = desk.binary("acme", PAID, {}, id="ce-7022", correlationkey="INV-7022")
    yield Line(keyed, matched(order_id("acme", "INV-7022")))
    unknown = desk.structured("globex", "CONTRACT_RENEWED", {"contract": {"id": "K-9"}})
    yield Line(unknown, no_wait())


def _comment(ticket: object, author: str, text: str) -> dict[str, Any]:
    return {"ticket": {"id": ticket}, "author": author, "text": text}


def _tickets(desk: Desk) -> Iterator[Sequence[Line]]:
    """A workflow wakes for the customer's comment; its filter refuses a colleague's."""

    def line(event_id: str, payload: Mapping[str, Any], expect: Mapping[str, Any]) -> Line:
        tenant = "globex" if "globex" in event_id else "acme"
        return Line(desk.native(tenant, COMMENT, payload, event_id=event_id), expect)

    first, third = "ticket-acme-T-1001", "ticket-acme-T-1003"
    yield [
        line("note-1001", _comment("T-1001", "agent", "Asked back."), matched(refused_by=[first])),
        line("reply-1001", _comment("T-1001", "customer", "It works now."), matched(first)),
    ]
    # An older system writes `ticketId` at the top; the rules of every name know it.
    legacy = {"ticketId": " T-1002 ", "author": "customer", "text": "Danke!"}
    yield [line("reply-1002", legacy, matched("ticket-acme-T-1002"))]
    yield [
        line("note-1003-1", _comment("T-1003", "agent", "Any news?"), matched(refused_by=[third])),
        line("note-1003-2", _comment("T-1003", "bot", "Reminder."), matched(refused_by=[third])),
    ]
    yield [line("reply-5001", _comment(5001, "customer", "Yes."), matched("ticket-acme-5001"))]
    globex = _comment("T-1001", "customer", "Another company's ticket.")
    yield [line("reply-globex-1001", globex, matched("ticket-globex-T-1001"))]
    early = _comment("T-1030", "customer", "I wrote before you looked.")
    yield [line("reply-1030", early, matched("ticket-acme-T-1030"))]


def _quotes_and_projects(desk: Desk) -> Iterator[Line]:
    """The first of two events, and all of two events."""
    for tenant, name, kind, number, event_id in (
        ("acme", "QUOTE_ACCEPTED", "quote", "Q-301", "accepted-301"),
        ("acme", "QUOTE_REJECTED", "quote", "Q-302", "rejected-302"),
        ("acme", "PROJECT_APPROVED", "project", "P-801", "approved-801"),
        ("acme", "PROJECT_STAFFED", "project", "P-801", "staffed-801"),
        ("acme", "PROJECT_APPROVED", "project", "P-802", "approved-802"),
        ("globex", "PROJECT_APPROVED", "project", "P-801", "approved-globex-801"),
        ("globex", "PROJECT_STAFFED", "project", "P-801", "staffed-globex-801"),
    ):
        payload = {kind: {"id": number, "title": f"{kind} {number}"}}
        entry = desk.native(tenant, name, payload, event_id=event_id)
        yield Line(entry, matched(f"{kind}-{tenant}-{number}"))
    missed = desk.native("globex", "PROJECT_STAFFED", {"project": {"id": "P-802"}})
    yield Line(missed, no_wait())


def _appointments(desk: Desk) -> Iterator[Sequence[Line]]:
    """A stream of events on one wait."""
    for client, count in (("C-41", 3), ("C-42", 2)):
        lines = []
        for number in range(1, count + 1):
            slot = f"2026-11-1{number}T09:30"
            payload = {"appointment": {"client": {"id": client}, "slot": slot}}
            event_id = f"booked-{client[2:]}-{number}"
            entry = desk.native("acme", "APPOINTMENT_BOOKED", payload, event_id=event_id)
            lines.append(Line(entry, matched(f"appointments-acme-{client}")))
        yield lines
