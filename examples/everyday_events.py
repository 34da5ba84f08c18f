"""The day's other business of two companies: nobody waits for any of it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from examples.event_forms import Desk, Line, no_wait, unresolved

TENANTS = ("acme", "globex")
CUSTOMERS = ("Brandt & Sohn", "Café Lumière", "Nørrebro Cykler", "Łódź Metal", "Okada 商店")
SUBJECTS = ("Heating fails", "Invoice unclear", "New colleague", "Login broken", "Appointment")
SERVICES = ("maintenance", "consulting", "installation", "inspection")


def everyday_events() -> Iterator[Sequence[Line]]:
    """Sequences of one line each."""
    for tenant in TENANTS:
        desk = Desk(f"{tenant}-day")
        chance = random.Random(tenant)  # noqa: S311 - the same choices every time
        for lines in (
            _with_unawaited_keys(desk, tenant, chance),
            _with_explicit_keys(desk, tenant, chance),
            _without_keys(desk, tenant, chance),
            _as_cloudevents(desk, tenant, chance),
        ):
            yield from ([line] for line in lines)


def _with_unawaited_keys(desk: Desk, tenant: str, chance: random.Random) -> Iterator[Line]:
    """Their names and keys are well known; no workflow waits for these ones."""
    for number in range(9):
        customer = chance.choice(CUSTOMERS)
        amount = f"{chance.randint(40, 4000)}.{chance.randint(0, 99):02d}"
        events: Mapping[str, Mapping[str, Any]] = {
            "INVOICE_PAID": {"invoice": {"id": f"INV-{8000 + number}", "amount": amount}},
            "TICKET_OPENED": {
                "ticketId": f"T-{2000 + number}",
                "customer": customer,
                "subject": chance.choice(SUBJECTS),
            },
            "TICKET_COMMENT_ADDED": {
                "ticket": {"id": f"T-{2000 + number}"},
                "author": chance.choice(("agent", "customer")),
            },
            "APPOINTMENT_BOOKED": {
                "appointment": {"client": {"id": f"C-{500 + number}"}, "service": _service(chance)}
            },
            "CONTRACT_SIGNED": {"contractId": f"K-{300 + number}", "customer": customer},
        }
        for name, payload in events.items():
            yield Line(desk.native(tenant, name, payload), no_wait())


def _with_explicit_keys(desk: Desk, tenant: str, chance: random.Random) -> Iterator[Line]:
    for number in range(6):
        payload = {"state": {"from": "draft", "to": "sent"}, "amount": chance.randint(100, 900)}
        key = f"INV-{8100 + number}"
        entry = desk.native(
            tenant,
            "INVOICE_SENT",
            payload,
            workflow_correlation_key=key,
            from_state="draft",
            to_state="sent",
            user_id=f"user-{chance.randint(1, 9)}",
        )
        yield Line(entry, no_wait())


def _without_keys(desk: Desk, tenant: str, chance: random.Random) -> Iterator[Line]:
    """No rule finds a key in them: they are recorded, and wake nobody."""
    for _ in range(5):
        user = f"user-{chance.randint(1, 9)}"
        yield Line(desk.native(tenant, "USER_LOGGED_IN", {"user": user}), unresolved("no_value"))
        created = {"invoice": {"id": f"INV-{chance.randint(9000, 9999)}"}, "by": user}
        yield Line(desk.native(tenant, "INVOICE_CREATED", created), unresolved("no_value"))


def _as_cloudevents(desk: Desk, tenant: str, chance: random.Random) -> Iterator[Line]:
    for number in range(3):
        payload = {"contract": {"id": f"K-{600 + number}"}, "years": chance.randint(1, 5)}
        yield Line(desk.structured(tenant, "CONTRACT_RENEWED", payload), no_wait())
        cancelled = {"appointment": {"client": {"id": f"C-{700 + number}"}}}
        yield Line(desk.binary(tenant, "APPOINTMENT_CANCELLED", cancelled), no_wait())


def _service(chance: random.Random) -> str:
    return chance.choice(SERVICES)
