"""The demo must notice whatever goes otherwise than its file says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from correlation.reason import Outcome
from routing.audit_records import AuditLine
from worker.demo.examples import Ends, ExampleEntry, ExampleWorkflow, Repeats
from worker.demo.findings import Audited, Published, differences, differing_results
from worker.demo.runs import Run

LINE = AuditLine(
    source="event",
    tenant="acme",
    event_id="e-1",
    name="X",
    outcome=Outcome.NO_WAIT,
    reason="no_open_wait",
    detail=None,
    key="7",
    matched=0,
    delivered=0,
    received_at=datetime(2026, 11, 2, tzinfo=UTC),
    stream="s",
    entry_id="1-0",
)
EXPECTED = Ends.model_validate({"outcome": "no_wait", "reason": "no_open_wait"})
WORKFLOW = ExampleWorkflow(
    workflow_id="order-7",
    workflow_type="OrderWorkflow",
    start="before",
    waits=1,
    input={"tenant": "acme"},
    result={"status": "paid"},
)


def an_entry(entry_id: str, expect: Ends | Repeats) -> Published:
    return Published(ExampleEntry(1, {}, expect), entry_id, ("acme", "e-1"))


def found(entries: list[Published], *lines: AuditLine) -> list[tuple[str, str]]:
    audited = Audited({line.entry_id: line for line in lines}, {})
    return [(each.expected, each.found) for each in differences(entries, audited)]


def test_what_happened_as_it_should_is_no_difference() -> None:
    assert found([an_entry("1-0", EXPECTED)], LINE) == []


def test_another_outcome_is_a_difference() -> None:
    other = replace(LINE, outcome=Outcome.UNRESOLVED, reason="no_rule")

    assert found([an_entry("1-0", EXPECTED)], other) == [
        ("no_wait (no_open_wait)", "unresolved (no_rule)")
    ]


def test_a_lost_entry_is_a_difference() -> None:
    assert found([an_entry("1-0", EXPECTED)]) == [("no_wait (no_open_wait)", "no row")]


def test_a_match_without_its_deliveries_is_a_difference() -> None:
    expected = Ends.model_validate({"outcome": "matched", "wakes": ["order-7"]})
    matched = replace(LINE, outcome=Outcome.MATCHED, reason=None)

    assert found([an_entry("1-0", expected)], matched) == [("accepted", "not signalled")]


def test_a_row_of_its_own_for_a_repetition_is_a_difference() -> None:
    entries = [an_entry("1-0", EXPECTED), an_entry("2-0", Repeats(repeats=True))]

    assert found(entries, LINE, replace(LINE, entry_id="2-0")) == [
        ("a repetition: no row of its own", "no_wait")
    ]


def test_a_row_that_nobody_published_is_a_difference() -> None:
    stranger = replace(LINE, entry_id="9-0")

    assert found([an_entry("1-0", EXPECTED)], LINE, stranger) == [("no such row", "no_wait")]


def test_another_result_of_a_workflow_is_a_difference() -> None:
    expired = {"order-7": Run("order-7", {"status": "expired"}, {})}
    paid = {"order-7": Run("order-7", {"status": "paid"}, {})}

    assert [each.where for each in differing_results([WORKFLOW], expired)] == ["order-7"]
    assert list(differing_results([WORKFLOW], paid)) == []
