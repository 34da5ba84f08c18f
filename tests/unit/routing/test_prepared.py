"""Which batches may be recorded at the same time."""

from __future__ import annotations

from routing.incoming import IncomingEvent
from routing.prepared import PreparedEvents
from tests.builders import incoming


def batch(*events: IncomingEvent, locks: int = 100) -> PreparedEvents:
    return PreparedEvents(events, locks)


def test_batches_of_other_keys_and_other_events_are_independent() -> None:
    one = batch(incoming(key="1"), incoming(key="2"))
    other = batch(incoming(key="3"), incoming())

    assert one.independent_of(other)
    assert other.independent_of(one)


def test_a_batch_of_nothing_is_independent_of_all() -> None:
    assert batch().independent_of(batch(incoming(key="1")))
    assert batch(incoming(key="1")).independent_of(batch())


def test_events_of_one_key_keep_their_order() -> None:
    one = batch(incoming(key="1"), incoming(key="2"))

    assert not one.independent_of(batch(incoming(key="3"), incoming(key="2")))


def test_events_of_one_key_keep_their_order_whatever_their_names() -> None:
    one = batch(incoming(key="1", name="INVOICE_SENT"))

    assert not one.independent_of(batch(incoming(key="1", name="INVOICE_PAID")))


def test_a_key_of_another_tenant_is_another_key() -> None:
    one = batch(incoming(key="1"))

    assert one.independent_of(batch(incoming(key="1", tenant="globex")))


def test_of_two_events_with_one_id_the_first_stays_the_first() -> None:
    one = batch(incoming(key="1", event_id="e-1"))

    assert not one.independent_of(batch(incoming(key="2", event_id="e-1")))
    assert one.independent_of(batch(incoming(key="2", event_id="e-1", tenant="globex")))


def test_together_two_batches_take_no_more_locks_than_one_may() -> None:
    one, other = [[incoming(key=f"{n}-{k}") for k in range(3)] for n in range(2)]

    assert batch(*one, locks=6).independent_of(batch(*other, locks=6))
    assert not batch(*one, locks=5).independent_of(batch(*other, locks=5))


def test_a_batch_of_several_transactions_goes_alone() -> None:
    parts = batch(incoming(key="1"), incoming(key="2"), incoming(key="3"), locks=2)

    assert len(parts.parts) == 2
    assert not parts.independent_of(batch(incoming(key="4"), locks=2))
    assert not batch(incoming(key="4"), locks=2).independent_of(parts)
