"""Testing workflows that wait and rules that find keys, without any server of Pointsman's.

    def test_a_payment_wakes_its_order(pointsman):          # a fixture, found by pytest itself
        wait = pointsman.wait_for("INVOICE_PAID", key="7", tenant="acme", workflow_id="order-1")
        paid = pointsman.publish(
            DomainEvent(name="INVOICE_PAID", tenant="acme", correlation_key=7)
        )
        paid.assert_woke("order-1")

Needs the extra `testing`, and `temporal` to serve workflows (`InMemoryPointsman.serving`). It is
the twin of the service's matcher: the same keys, by the same code, and the same matching, held to
it by one suite of tests that both pass.
"""

from __future__ import annotations

from pointsman.correlation.rules import RulesError
from pointsman.testing.events import RecordedEvent, UnreadableEvents, recorded_events
from pointsman.testing.handles import Published, Wait
from pointsman.testing.in_memory import InMemoryPointsman, InvalidWait, WaitConflict
from pointsman.testing.rules import (
    ChangedKeys,
    RulesSource,
    assert_keys,
    changed_keys,
    explain_keys,
    keys_of,
)

__all__ = [
    "ChangedKeys",
    "InMemoryPointsman",
    "InvalidWait",
    "Published",
    "RecordedEvent",
    "RulesError",
    "RulesSource",
    "UnreadableEvents",
    "Wait",
    "WaitConflict",
    "assert_keys",
    "changed_keys",
    "explain_keys",
    "keys_of",
    "recorded_events",
]
