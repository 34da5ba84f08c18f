"""The match transaction on a real Postgres: who meets whom, and what is recorded of it."""

from __future__ import annotations

import pytest

from correlation.reason import Outcome, Reason
from correlation.rules import compile_rules
from routing.database import Database
from routing.matching import Matcher, Matching
from routing.waits import Waits
from tests.builders import a_wait, an_event, incoming
from tests.rows import one_row


async def test_an_event_meets_the_wait_of_its_key(matcher: Matcher, waits: Waits) -> None:
    wait = a_wait(key="invoice-7")
    await waits.register([wait])

    recorded = await matcher.record([incoming(key="invoice-7", payload={"amount": 12})])

    assert [event.outcome for event in recorded.events] == [Outcome.MATCHED]
    [delivery] = recorded.deliveries
    assert delivery.wait_id == wait.wait_id
    assert delivery.workflow_id == wait.workflow_id
    assert delivery.payload_text == '{"amount": 12}'


async def test_two_tenants_with_the_same_key_never_meet(matcher: Matcher, waits: Waits) -> None:
    await waits.register([a_wait(key="7", tenant="globex")])

    recorded = await matcher.record([incoming(key="7", tenant="acme")])

    assert recorded.deliveries == []
    assert recorded.events[0].outcome is Outcome.NO_WAIT
    assert recorded.events[0].reason is Reason.NO_OPEN_WAIT


async def test_foo_does_not_match_foobar(matcher: Matcher, waits: Waits) -> None:
    await waits.register([a_wait(key="foobar"), a_wait(key="FOO"), a_wait(key="foo ")])

    recorded = await matcher.record([incoming(key="foo")])

    assert [delivery.correlation_key for delivery in recorded.deliveries] == ["foo"]


async def test_a_numeric_key_equals_its_text(matcher: Matcher, waits: Waits) -> None:
    await waits.register([a_wait(key=42)])

    recorded = await matcher.record([incoming(key="42")])

    assert len(recorded.deliveries) == 1


async def test_every_waiting_run_is_woken_once(matcher: Matcher, waits: Waits) -> None:
    waiting = [a_wait(key="7") for _ in range(5)]
    await waits.register(waiting)

    recorded = await matcher.record([incoming(key="7")])

    assert [delivery.wait_id for delivery in recorded.deliveries] == [
        wait.wait_id for wait in waiting
    ]
    assert recorded.events[0].matched_waits == 5


async def test_an_event_with_several_keys_signals_each_wait_once(
    matcher: Matcher, waits: Waits
) -> None:
    rules = compile_rules({"INVOICE_PAID": ["$.lines[*].invoice", "client"]})
    one, two, other = a_wait(key='in"v\\1'), a_wait(key="inv-2"), a_wait(key="inv-3")
    await waits.register([one, two, other])
    payload = {"lines": [{"invoice": 'in"v\\1'}, {"invoice": "inv-2"}], "client": "c-1"}

    recorded = await matcher.record([incoming(payload=payload, rules=rules)])

    assert {delivery.wait_id for delivery in recorded.deliveries} == {one.wait_id, two.wait_id}


async def test_an_unresolved_event_is_audited_and_signals_nobody(
    matcher: Matcher, waits: Waits, database_url: str
) -> None:
    await waits.register([a_wait(key="7")])
    event = an_event(payload={"invoice": "7"})

    recorded = await matcher.record([incoming(event)])

    assert recorded.deliveries == []
    assert recorded.events[0].outcome is Outcome.UNRESOLVED
    row = one_row(database_url, "SELECT outcome, reason FROM workflow_runtime_events")
    assert row == ("unresolved", "no_rule")


async def test_a_redelivered_event_wakes_nobody_twice(
    matcher: Matcher, waits: Waits, database_url: str
) -> None:
    await waits.register([a_wait(key="7")])
    event = incoming(key="7")
    await matcher.record([event])

    again = await matcher.record([event])

    assert again.deliveries == []
    assert again.events[0].duplicate
    assert again.events[0].outcome is Outcome.MATCHED
    assert one_row(database_url, "SELECT redeliveries FROM workflow_runtime_events") == (1,)


async def test_the_same_content_in_other_words_is_a_redelivery(matcher: Matcher) -> None:
    first = an_event(event_id="e-1", payload={"a": 1, "b": [1.5]})
    other_words = an_event(event_id="e-1", payload={"b": [1.50], "a": 1})
    await matcher.record([incoming(first)])

    recorded = await matcher.record([incoming(other_words)])

    assert recorded.events[0].duplicate
    assert recorded.events[0].outcome is Outcome.UNRESOLVED


@pytest.mark.parametrize("together", [True, False])
async def test_the_same_id_with_another_payload_is_a_conflict(
    matcher: Matcher, database_url: str, together: bool
) -> None:
    first = incoming(event_id="e-1", key="7", payload={"amount": 1})
    other = incoming(event_id="e-1", key="7", payload={"amount": 2})

    if together:
        events = (await matcher.record([first, other])).events
    else:
        events = [*(await matcher.record([first])).events, *(await matcher.record([other])).events]

    assert [event.outcome for event in events] == [Outcome.NO_WAIT, Outcome.REJECTED]
    assert events[1].reason is Reason.CONFLICTING_DUPLICATE
    stored = one_row(database_url, "SELECT payload FROM workflow_runtime_events")
    assert stored == ('{"amount": 1}',)
    row = one_row(database_url, "SELECT tenant_id, event_id, reason FROM workflow_rejected_entries")
    assert row == ("acme", "e-1", "conflicting_duplicate")


async def test_a_batch_with_more_keys_than_locks_is_recorded_whole(
    database: Database, waits: Waits
) -> None:
    matcher = Matcher(database, Matching(owner="me", locks_per_transaction=3))
    await waits.register([a_wait(key=str(number)) for number in range(10)])

    recorded = await matcher.record([incoming(key=str(number)) for number in range(10)])

    assert [delivery.correlation_key for delivery in recorded.deliveries] == [
        str(number) for number in range(10)
    ]
