"""The kit as its users see it: the words of its failures, rules on recorded events."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from pointsman.domain_event import DomainEvent
from pointsman.testing import (
    ChangedKeys,
    InMemoryPointsman,
    InvalidWait,
    RulesError,
    UnreadableEvents,
    WaitConflict,
    assert_keys,
    changed_keys,
    explain_keys,
    keys_of,
    recorded_events,
)

HOUR: Final = timedelta(hours=1)
PAYLOAD: Final = '{"invoice": {"id": 7}}'
DATA: Final = {"data": PAYLOAD}
EXPORTED: Final = {
    "name": "INVOICE_PAID",
    "tenant": "acme",
    "event_id": "e",
    "source": "derived",
    "key": "old",
}
EXAMPLES: Final = Path(__file__).parents[3] / "examples"


def paid(key: str | int | None = "7", event_id: str = "paid-1", **payload: object) -> DomainEvent:
    return DomainEvent(
        name="INVOICE_PAID", tenant="acme", event_id=event_id, correlation_key=key, payload=payload
    )


@pytest.fixture
def twin() -> InMemoryPointsman:
    return InMemoryPointsman({"INVOICE_PAID": "invoice.id"})


def test_a_wait_receives_the_event_as_its_workflow_would(twin: InMemoryPointsman) -> None:
    wait = twin.wait_for("INVOICE_PAID", key=7, tenant="acme", workflow_id="order-1")

    published = twin.publish(paid(amount=12))

    published.assert_woke("order-1")
    wait.assert_woken(by="paid-1")
    [event] = wait.events
    assert (event.event_id, event.correlation_key, event.payload) == ("paid-1", "7", {"amount": 12})


def test_a_failure_names_the_wait_that_the_event_nearly_met(twin: InMemoryPointsman) -> None:
    twin.wait_for("INVOICE_PAID", key="0007", tenant="acme", workflow_id="order-1")
    published = twin.publish(paid("7"))

    with pytest.raises(AssertionError) as failure:
        published.assert_woke("order-1")

    assert str(failure.value) == (
        "expected to wake order-1; woke nobody\n"
        "INVOICE_PAID 'paid-1' of tenant 'acme': no_wait (no_open_wait)\n"
        "  key '7', found at event.workflow_correlation_key\n"
        "  nearly:\n"
        "  - order-1 (wait wait-1) waits for the key '0007'; the event's '7' differs in leading "
        "zeros only. Text keeps its zeros: pad on both sides alike, or send the number as a "
        "number."
    )


def test_a_failure_says_where_a_key_was_looked_for(twin: InMemoryPointsman) -> None:
    twin.wait_for("INVOICE_PAID", key="7", tenant="acme", workflow_id="order-1")

    published = twin.publish(paid(None, invoiceId="7"))

    assert (published.outcome, published.reason) == ("unresolved", "no_value")
    assert "INVOICE_PAID: invoice.id: nothing there" in published.explain()
    assert "stands in the payload at $.invoiceId" in published.explain()


def test_a_wait_tells_which_event_it_missed(twin: InMemoryPointsman) -> None:
    twin.publish(paid())
    wait = twin.wait_for("INVOICE_PAID", key="7", tenant="acme", workflow_id="order-1")

    with pytest.raises(AssertionError, match="does not look back") as failure:
        wait.assert_woken()

    assert "missed INVOICE_PAID 'paid-1'" in str(failure.value)


def test_a_failure_says_that_an_older_exclusive_wait_comes_first(twin: InMemoryPointsman) -> None:
    for workflow in ("older", "younger"):
        twin.wait_for(
            "INVOICE_PAID", key="7", tenant="acme", workflow_id=workflow, cardinality="exclusive"
        )

    published = twin.publish(paid())

    published.assert_woke("older")
    assert "not to younger (wait wait-2): it is exclusive, and older" in published.explain()


def test_an_event_that_wakes_nobody_can_be_expected(twin: InMemoryPointsman) -> None:
    published = twin.publish(paid())

    published.assert_woke_nobody("no_open_wait")
    with pytest.raises(AssertionError, match="expected the reason no_rule; it is no_open_wait"):
        published.assert_woke_nobody("no_rule")


def test_a_duplicate_wakes_nobody_again_and_a_conflict_is_refused(twin: InMemoryPointsman) -> None:
    wait = twin.wait_for("INVOICE_PAID", key="7", tenant="acme", stream=True)
    twin.publish(paid(a=1))

    again, other = twin.publish(paid(a=1.0)), twin.publish(paid(a=2))

    assert (again.duplicate, other.outcome, other.reason) == (
        True,
        "rejected",
        "conflicting_duplicate",
    )
    assert len(wait.events) == 1


def test_time_that_passes_ends_waits_and_look_backs(twin: InMemoryPointsman) -> None:
    published = twin.publish(paid())
    wait = twin.wait_for("ANYTHING", key="7", tenant="acme", expires_in=HOUR)

    twin.advance(2 * HOUR)
    twin.wait_for("INVOICE_PAID", key="7", tenant="acme", lookback=HOUR)

    assert (wait.status, wait.ended) == ("closed", "wait_expired")
    published.assert_woke_nobody()


def test_a_workflows_word_moves_an_exclusive_event_on(twin: InMemoryPointsman) -> None:
    first, second, third = (
        twin.wait_for("INVOICE_PAID", key="7", tenant="acme", cardinality="exclusive")
        for _ in range(3)
    )
    twin.publish(paid())

    first.refuse("paid-1")
    second.time_out()
    third.accept("paid-1")

    assert [each.status for each in (first, second, third)] == ["waiting", "closed", "closed"]
    assert (second.ended, third.ended) == ("timed_out", "accepted")
    third.assert_woken()


@pytest.mark.parametrize("key", ["", "  ", "a\u0007b", 10**70])
def test_a_key_that_the_service_refuses_is_refused(twin: InMemoryPointsman, key: str | int) -> None:
    with pytest.raises(InvalidWait, match=r"^key (is|holds|has) "):
        twin.wait_for("INVOICE_PAID", key=key, tenant="acme")


def test_a_wait_id_used_for_another_wait_is_refused(twin: InMemoryPointsman) -> None:
    twin.wait_for("INVOICE_PAID", key="7", tenant="acme", wait_id="w")

    with pytest.raises(WaitConflict, match="'w' is registered with other content"):
        twin.wait_for("INVOICE_PAID", key="8", tenant="acme", wait_id="w")


def test_rules_that_the_service_refuses_are_refused() -> None:
    with pytest.raises(RulesError, match="INVOICE_PAID"):
        InMemoryPointsman({"INVOICE_PAID": "$..id"})


def test_the_recorded_examples_resolve_by_the_rules_of_the_examples(tmp_path: Path) -> None:
    lines = (EXAMPLES / "events.jsonl").read_text().splitlines()
    usable = [line for line in lines if '"outcome": "matched"' in line]
    recording = tmp_path / "events.jsonl"
    recording.write_text("\n".join(usable))

    events = recorded_events(recording)

    assert len(events) == len(usable) > 20
    for event in events:
        assert_keys(event, EXAMPLES / "rules.toml")


@pytest.mark.parametrize(
    "line",
    [
        {"event_name": "INVOICE_PAID", "payload": {"invoice": {"id": 7.0}}},
        {**EXPORTED, "payload": {"invoice": {"id": "7"}}},
        {"event_type": "INVOICE_PAID", "tenant": "a", "event_id": "e", "payload_json": PAYLOAD},
        {"ce_type": "INVOICE_PAID", "ce_tenantid": "a", "ce_source": "/s", "ce_id": "e", **DATA},
    ],
    ids=["as resolve reads it", "exported", "native", "CloudEvent"],
)
def test_a_line_may_hold_an_event_in_any_form(tmp_path: Path, line: dict[str, object]) -> None:
    recording = tmp_path / "events.jsonl"
    recording.write_text(f"{json.dumps(line)}\n\n")

    [event] = recorded_events(recording)

    assert keys_of(event, {"INVOICE_PAID": "invoice.id"}) == ("7",)


@pytest.mark.parametrize("line", ["[1]", "{", '{"payload": {}}', '{"name": "A", "payload": [1]}'])
def test_a_line_that_holds_no_event_is_named(tmp_path: Path, line: str) -> None:
    recording = tmp_path / "events.jsonl"
    recording.write_text(f"\n{line}\n")

    with pytest.raises(UnreadableEvents, match=r"events\.jsonl:2: "):
        recorded_events(recording)


def test_a_failure_on_keys_lists_every_place_that_was_read() -> None:
    event = paid(None, invoice={"id": {"no": 7}})

    with pytest.raises(AssertionError) as failure:
        assert_keys(event, {"INVOICE_PAID": "invoice.id"}, "7")

    assert "expected the keys '7'" in str(failure.value)
    assert "INVOICE_PAID: invoice.id: not_scalar" in str(failure.value)
    assert "payload.correlationKey: nothing" in explain_keys(event, None)


def test_a_change_of_rules_names_the_events_whose_keys_change() -> None:
    events = [
        paid(None, invoice={"id": 7}, client=1),
        paid(None, "paid-2", client=1),
        paid("7", "paid-3"),
    ]

    changed = changed_keys(
        events,
        before={"INVOICE_PAID": "invoice.id"},
        after={"INVOICE_PAID": ["invoice.id", "client"]},
    )

    assert changed == [
        ChangedKeys("INVOICE_PAID 'paid-1'", ("7",), ("7", "1")),
        ChangedKeys("INVOICE_PAID 'paid-2'", (), ("1",)),
    ]
