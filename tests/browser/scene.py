"""What the pages show: a few tenants' events, each of which ended in a way of its own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace

from correlation.closing import Closing
from correlation.event import EventContext
from correlation.reason import Outcome, Reason
from correlation.rules import Rules, compile_rules
from ingress.dead_letters import RedisDeadLetters
from ingress.entry import EntryId, StreamName, entry_of
from pointsman.contract import Cardinality, Disposition
from routing.database import Database
from routing.delivery_store import DeliveryStatus, DeliveryStore, Settlement
from routing.incoming import Delivery, Origin, RejectedEntry
from routing.matching import Matcher, Matching
from routing.waits import Waits
from tests.builders import a_wait, an_event, incoming

STREAM: Final = "workflow:events:global"
OWNER: Final = "scene"
CANARY: Final = "canary-hidden-9b1f"
HOSTILE: Final = "<script>document.title='owned'</script>"
RULES: Final[Rules] = compile_rules(
    {
        "INVOICE_PAID": ["invoice.id", "$.lines[*].invoiceId"],
        "QUOTE_ACCEPTED": "quote.id",
        "TICKET_COMMENT_ADDED": ["ticket.id"],
        "*": ["ticketId"],
    }
)


async def set_scene(database: Database, dead_letters: RedisDeadLetters) -> None:
    """Record everything; when this returns it is committed."""
    await _wait(database)
    await _publish(database)
    await _reject(database)
    await dead_letters.set_aside(
        entry_of(
            StreamName(STREAM),
            EntryId("1763722800123-0"),
            {
                b"event_id": b"poison-1",
                b"event_type": b"INVOICE_PAID",
                b"tenant": b"acme",
                b"payload_json": json.dumps({"invoice": {"id": 9}, "token": CANARY}).encode(),
            },
        ),
        Reason.POISON,
        "recording it failed 5 times, alone, in a healthy database",
    )


async def _wait(database: Database) -> None:
    soon = datetime.now(UTC) + timedelta(hours=6)
    await Waits(database).register(
        [
            a_wait(key="INV-1001", workflow_id="invoice-INV-1001", wait_id="w-paid-1001",
                   run_id="0198f0aa-6f43-7c11-8d9b-51f0cf2a7d01"),
            a_wait(key="INV-1001", workflow_id="dunning-INV-1001", wait_id="w-dunning-1001",
                   filter="payload.amount >= 100", run_id="0198f0aa-6f43-7c11-8d9b-51f0cf2a7d02"),
            a_wait(key="INV-1001", workflow_id="archive-2024", wait_id="w-archive"),
            a_wait(key="INV-1002", workflow_id="invoice-INV-1002", wait_id="w-paid-1002",
                   expires_at=soon, cardinality=Cardinality.EXCLUSIVE),
            a_wait(key="0042", event_name="TICKET_COMMENT_ADDED", workflow_id="ticket-0042",
                   wait_id="w-ticket-0042"),
            a_wait(key="Q-7", event_name="QUOTE_ACCEPTED", workflow_id="quote-Q-7",
                   wait_id="w-quote-7", expires_at=soon),
            a_wait(key="INV-1", tenant="globex", workflow_id="globex-invoice-1",
                   wait_id="w-globex-1"),
        ]
    )  # fmt: skip


async def _publish(database: Database) -> None:
    matcher = Matcher(database, Matching(owner=OWNER))
    recorded = await matcher.record(
        [
            _came("INVOICE_PAID", "evt-paid-1001",
                  {"invoice": {"id": "INV-1001"}, "amount": 240, "apiKey": CANARY}),
            _came("INVOICE_PAID", "evt-paid-1002-lower", {"invoice": {"id": "inv-1002"}}),
            _came("QUOTE_ACCEPTED", "evt-quote-8", {"quote": {"id": "Q-8"}}),
            _came("TICKET_COMMENT_ADDED", "evt-ticket-42", {"ticket": {"id": 42}, "text": HOSTILE}),
            _came("TICKET_COMMENT_ADDED", "evt-no-key", {"comment": {"id": 7}, "ticket": {}}),
            _came("PROJECT_APPROVED", "evt-hostile", {"note": HOSTILE}, key=HOSTILE),
            _came("INVOICE_PAID", "globex-paid-1", {"invoice": {"id": "INV-1"}}, tenant="globex"),
            *(_came("QUOTE_ACCEPTED", f"evt-many-{n:03}", {"quote": {"id": f"M-{n}"}})
              for n in range(60)),
        ]
    )  # fmt: skip
    store = DeliveryStore(database, OWNER, timedelta(minutes=1))
    await store.settle([_settled(delivery) for delivery in recorded.deliveries])
    closings = [
        _closing(delivery, disposition)
        for delivery in recorded.deliveries
        for workflow, disposition in (
            ("invoice-INV-1001", Disposition.ACCEPTED),
            ("dunning-INV-1001", Disposition.FILTERED),
        )
        if delivery.workflow_id == workflow
    ]
    await Waits(database).close(closings)


async def _reject(database: Database) -> None:
    entry = RejectedEntry(
        Origin(STREAM, "1763722800000-7"),
        Outcome.MALFORMED,
        Reason.INVALID_JSON,
        "payload_json: expected ',' or '}' in line 1, column 19",
        json.dumps(
            {"event_id": "evt-broken", "payload_json": '{"a": 1 "b"', "secret": CANARY}
        ).encode(),
        "acme",
        "evt-broken",
        "INVOICE_PAID",
    )  # fmt: skip
    await Matcher(database, Matching(owner=OWNER)).record([], [entry])


def _came(
    name: str, event_id: str, payload: dict[str, Any], *, tenant: str = "acme", key: Any = None
) -> Any:
    event = an_event(name=name, event_id=event_id, payload=payload, tenant=tenant, key=key)
    now = datetime.now(UTC)
    event = replace(
        event,
        occurred_at=now - timedelta(milliseconds=42),
        context=EventContext(execution_id="exec-77", user_id="user-3"),
    )
    return replace(
        incoming(event, rules=RULES), origin=Origin(STREAM, f"17637228{event_id[-3:]}-0")
    )


def _settled(delivery: Delivery) -> Settlement:
    if delivery.workflow_id == "archive-2024":
        detail = "workflow execution already completed"
        return Settlement(delivery, DeliveryStatus.DEAD, Reason.RUN_CLOSED, detail)
    if delivery.tenant == "globex":
        return Settlement(
            delivery, DeliveryStatus.PENDING, Reason.TEMPORAL_UNAVAILABLE, "connection refused",
            delay=timedelta(minutes=5),
        )  # fmt: skip
    return Settlement(delivery, DeliveryStatus.DELIVERED)


def _closing(delivery: Delivery, disposition: Disposition) -> Closing:
    return Closing(delivery.tenant, delivery.wait_id, disposition, delivery.event_id)
