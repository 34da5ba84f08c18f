"""What is drawn of an event's way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from correlation.reason import Outcome
from routing.audit_pages import SummaryLine
from routing.audit_records import DeliveryRecord, EventRecord, EventStory, RejectedRecord
from worker.console.chart import HEIGHT, chart_of
from worker.console.differences import difference
from worker.console.track import track_of
from worker.console.wording import span_text

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def an_event_record(**changes: Any) -> EventRecord:
    values: dict[str, Any] = {
        "tenant": "acme", "event_id": "e", "name": "PAID", "outcome": Outcome.MATCHED,
        "reason": None, "detail": None, "keys": ("7",), "key_source": "explicit",
        "key_detail": None, "rules_version": "none", "payload": "{}", "context": {},
        "stream": "s", "entry_id": "1-0", "occurred_at": None, "received_at": NOW,
        "available_until": None, "redeliveries": 0,
    }  # fmt: skip
    return EventRecord(**(values | changes))


def a_delivery(**changes: Any) -> DeliveryRecord:
    values: dict[str, Any] = {
        "wait_id": "w", "workflow_id": "wf", "run_id": None, "signal_name": "s",
        "correlation_key": "7", "cardinality": "all", "status": "delivered",
        "looked_back": False, "attempts": 1, "reason": None, "detail": None,
        "disposition": None, "created_at": NOW, "due_at": NOW,
        "delivered_at": NOW + timedelta(seconds=2), "disposed_at": None,
        "wait_status": "waiting", "wait_disposition": None,
    }  # fmt: skip
    return DeliveryRecord(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "titles", "end"),
    [
        ({"disposition": "accepted"}, ["Matched", "Signalled", "Accepted"], "clear"),
        ({"disposition": "filtered"}, ["Matched", "Signalled", "Refused by the filter"], "caution"),
        ({}, ["Matched", "Signalled", "No word yet"], "caution"),
        ({"status": "pending", "delivered_at": None}, ["Matched", "On its way"], "caution"),
        ({"status": "withdrawn", "delivered_at": None}, ["Matched", "Withdrawn"], "stop"),
        ({"status": "dead", "delivered_at": None}, ["Matched", "Dead"], "stop"),
    ],
)
def test_a_branch_ends_as_its_delivery_did(
    changes: dict[str, Any], titles: list[str], end: str
) -> None:
    story = EventStory(tenant="acme", event=an_event_record(), deliveries=(a_delivery(**changes),))

    [branch] = track_of(story, None).branches

    assert [station.title for station in branch.stations] == titles
    assert branch.signal == end


def test_without_a_key_the_way_stops_there_and_waits_are_never_reached() -> None:
    event = an_event_record(outcome=Outcome.UNRESOLVED, keys=(), detail="nothing there")

    track = track_of(EventStory(tenant="acme", event=event), None)

    assert [(s.kind, s.signal) for s in track.stations] == [
        ("entry", "clear"), ("event", "clear"), ("key", "stop"), ("waits", "idle"),
    ]  # fmt: skip


def test_an_entry_that_is_no_event_stops_at_decoding() -> None:
    entry = RejectedRecord(
        tenant="acme", stream="s", entry_id="1-0", outcome=Outcome.MALFORMED,
        reason="invalid_json", detail="no JSON", event_id=None, name=None, raw=b"",
        received_at=NOW,
    )  # fmt: skip

    track = track_of(EventStory(tenant="acme", event=None, rejected=(entry,)), None)

    assert [s.signal for s in track.stations] == ["clear", "stop", "idle", "idle"]


def test_a_chart_holds_every_count_in_the_bar_of_its_span() -> None:
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    counts = [
        SummaryLine(since=NOW, name="A", outcome="matched", reason=None, count=3),
        SummaryLine(since=NOW, name="B", outcome="matched", reason=None, count=4),
        SummaryLine(since=NOW, name="B", outcome="no_wait", reason="r", count=1),
    ]

    chart = chart_of(counts, since=NOW - hour, until=NOW + minute, bucket=minute)

    assert len(chart.bars) == 61
    [bar] = [bar for bar in chart.bars if bar.total]
    assert bar.since == NOW
    assert [(p.outcome, p.count) for p in bar.pieces] == [("matched", 7), ("no_wait", 1)]
    assert all(0 <= piece.y <= HEIGHT for piece in bar.pieces)


def test_keys_side_by_side_show_what_they_do_not_share() -> None:
    left, right = difference("42", "0042")

    assert [(part.text, part.shared) for part in left] == [("42", True)]
    assert [(part.text, part.shared) for part in right] == [("00", False), ("42", True)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-0.0001, "0 ms"), (0.04, "40 ms"), (3.2, "3.2 s"), (6, "6 s"), (300, "5 min"), (9000, "2 h")],
)
def test_spans_are_said_in_their_largest_fitting_unit(seconds: float, text: str) -> None:
    assert span_text(timedelta(seconds=seconds)) == text
