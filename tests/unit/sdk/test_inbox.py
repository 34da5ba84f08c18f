"""What is received, once, late or not at all: the rules of the inbox, without Temporal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pointsman.inbox import (
    CLOSED_WAITS_CARRIED,
    CLOSED_WAITS_REMEMBERED,
    PAIRS_CARRIED,
    Inbox,
    OpenWait,
    WaitAddress,
)
from pointsman.received_event import ReceivedEvent
from pointsman.wait_request import Filter


class Reports:
    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.details: list[str | None] = []

    def __call__(
        self, wait: WaitAddress, disposition: str, event_id: str, detail: str | None = None
    ) -> None:
        self.told.append((wait.wait_id, disposition, event_id))
        self.details.append(detail)


def wait(wait_id: str = "w-1", *, accepts: Filter | None = None, **interest: Any) -> OpenWait:
    request = {
        "tenant": "acme",
        "wait_id": wait_id,
        "event_name": "INVOICE_PAID",
        "correlation_key": "I-1",
        "kind": "event",
        "cardinality": "all",
        **interest,
    }
    return OpenWait(request, WaitAddress("acme", wait_id, "pointsman"), None, accepts)


def signal(event_id: str, wait_id: str = "w-1", **payload: Any) -> dict[str, Any]:
    return {
        "waitId": wait_id,
        "eventId": event_id,
        "eventName": "INVOICE_PAID",
        "correlationKey": "I-1",
        "payload": payload,
        "receivedAt": "2026-11-21T12:00:00Z",
        "deliveryId": "d-1",
    }


def event_ids(wait: OpenWait) -> list[str]:
    return [event.event_id for _, event in wait.candidates]


def carried_into_the_next_run(inbox: Inbox) -> Inbox:
    state = json.loads(json.dumps(inbox.state()))
    following = Inbox(Reports())
    following.load(state)
    return following


def test_an_event_is_received_once() -> None:
    inbox, open_wait = Inbox(Reports()), wait()
    inbox.add(open_wait)

    for event_id in ("e-1", "e-2", "e-1"):
        inbox.receive(signal(event_id))

    assert event_ids(open_wait) == ["e-1", "e-2"]


def test_one_event_reaches_two_waits() -> None:
    inbox, first, second = Inbox(Reports()), wait("w-1"), wait("w-2")
    inbox.add(first)
    inbox.add(second)

    inbox.receive(signal("e-1", "w-1"))
    inbox.receive(signal("e-1", "w-2"))

    assert event_ids(first) == event_ids(second) == ["e-1"]


@pytest.mark.parametrize(
    "stray",
    [
        None,
        "text",
        {},
        {**signal("e-1"), "waitId": 7},
        {**signal("e-1"), "eventId": ""},
        {**signal("e-1"), "payload": None},
        {**signal("e-1"), "receivedAt": "yesterday"},
        {**signal("e-1"), "receivedAt": "2026-11-21T12:00:00"},
        signal("e-1", "another run's"),
    ],
)
def test_a_stray_signal_is_ignored(stray: object) -> None:
    reports = Reports()
    inbox, open_wait = Inbox(reports), wait()
    inbox.add(open_wait)

    inbox.receive(stray, "more", "than asked for")

    assert not open_wait.ready
    assert reports.told == []


def test_an_event_that_the_filter_refuses_is_reported_and_forgotten() -> None:
    reports = Reports()
    inbox = Inbox(reports)
    open_wait = wait(accepts=lambda event: event.payload["amount"] > 100)
    inbox.add(open_wait)

    inbox.receive(signal("small", amount=1))
    inbox.receive(signal("large", amount=1000))

    assert event_ids(open_wait) == ["large"]
    assert reports.told == [("w-1", "filtered", "small")]


def test_a_filter_that_raises_fails_its_wait() -> None:
    def broken(event: ReceivedEvent) -> bool:
        raise ZeroDivisionError(event.event_id)

    inbox, open_wait = Inbox(Reports()), wait(accepts=broken)
    inbox.add(open_wait)

    inbox.receive(signal("e-1"))
    inbox.receive(signal("e-2"))

    assert open_wait.ready
    assert isinstance(open_wait.failure, ZeroDivisionError)
    assert open_wait.failure.args == ("e-1",)


def test_a_closed_wait_reports_what_arrived_unused_and_what_arrives_later() -> None:
    reports = Reports()
    inbox, open_wait = Inbox(reports), wait()
    inbox.add(open_wait)
    inbox.receive(signal("unused"))

    inbox.close(open_wait)
    inbox.receive(signal("later"))
    inbox.receive(signal("later"))

    assert reports.told == [("w-1", "late", "unused"), ("w-1", "late", "later")]


def test_an_open_wait_and_its_events_are_carried_into_the_next_run() -> None:
    inbox = Inbox(Reports())
    inbox.add(wait("w-1"))
    inbox.add(wait("w-2", event_name="INVOICE_CANCELLED"))
    inbox.receive(signal("e-2", "w-2"))
    inbox.receive(signal("e-1", "w-1"))

    following = carried_into_the_next_run(inbox)
    claimed = following.claim(wait("new").request, None)
    other = following.claim(wait("new", event_name="INVOICE_CANCELLED").request, None)
    following.receive(signal("e-1", "w-1"))
    following.receive(signal("e-3", "w-1"))

    assert claimed is not None
    assert other is not None
    assert claimed.address.wait_id == "w-1"
    assert event_ids(claimed) == ["e-1", "e-3"]
    assert other.candidates[0][0] < claimed.candidates[0][0], "order of arrival is kept"


@pytest.mark.parametrize(
    "interest",
    [
        {"tenant": "globex"},
        {"event_name": "INVOICE_CANCELLED"},
        {"correlation_key": "I-2"},
        {"kind": "stream"},
        {"cardinality": "exclusive"},
    ],
)
def test_a_carried_wait_is_only_claimed_for_the_same_interest(interest: dict[str, Any]) -> None:
    inbox = Inbox(Reports())
    inbox.add(wait())

    following = carried_into_the_next_run(inbox)

    assert following.claim(wait("new", **interest).request, None) is None
    assert following.claim(wait("new").request, None) is not None
    assert following.claim(wait("new").request, None) is None, "claimed already"


def test_the_key_true_is_not_the_key_one() -> None:
    inbox = Inbox(Reports())
    inbox.add(wait(correlation_key=1))

    following = carried_into_the_next_run(inbox)

    assert following.claim(wait("new", correlation_key=True).request, None) is None


def test_events_that_arrived_before_the_code_waits_again_pass_its_filter() -> None:
    inbox = Inbox(Reports())
    inbox.add(wait())
    following = carried_into_the_next_run(inbox)
    following.receive(signal("small", amount=1))
    following.receive(signal("large", amount=1000))

    claimed = following.claim(wait("new").request, lambda event: event.payload["amount"] > 100)

    assert claimed is not None
    assert event_ids(claimed) == ["large"]


def test_a_wait_closed_in_the_last_run_still_reports_late_events() -> None:
    reports = Reports()
    inbox, open_wait = Inbox(Reports()), wait()
    inbox.add(open_wait)
    inbox.receive(signal("taken"))
    open_wait.candidates.clear()
    inbox.close(open_wait)

    following = Inbox(reports)
    following.load(inbox.state())
    following.receive(signal("taken"))
    following.receive(signal("late"))

    assert reports.told == [("w-1", "late", "late")]


def test_what_is_carried_is_bounded() -> None:
    inbox, stream = Inbox(Reports()), wait("stream")
    inbox.add(stream)
    for number in range(PAIRS_CARRIED + 50):
        inbox.receive(signal(f"e-{number}", "stream"))
    for number in range(CLOSED_WAITS_REMEMBERED + 50):
        closed = wait(f"w-{number}")
        inbox.add(closed)
        inbox.receive(signal("e-1", f"w-{number}"))
        inbox.close(closed)
    stream.candidates.clear()

    state = inbox.state()

    assert len(state["seen"]) == PAIRS_CARRIED
    assert len(state["closed"]) == CLOSED_WAITS_CARRIED
    assert len(json.dumps(state)) < 200_000


def test_a_foreign_state_is_refused() -> None:
    with pytest.raises(ValueError, match="not what carry"):
        Inbox(Reports()).load({"version": 2})


def test_a_later_wait_does_not_take_again_what_the_run_has_accepted() -> None:
    reports = Reports()
    inbox = Inbox(reports)
    first, beside = wait("w-1"), wait("w-2")
    inbox.add(first)
    inbox.add(beside)
    inbox.receive(signal("e-1", "w-1"))
    inbox.accept(first, first.candidates[0][1])
    later = wait("w-3")
    inbox.add(later)

    inbox.receive(signal("e-1", "w-2"))
    inbox.receive(signal("e-1", "w-3"))

    assert event_ids(beside) == ["e-1"]
    assert event_ids(later) == []
    assert reports.told == [("w-3", "filtered", "e-1")]


def test_what_was_accepted_stays_known_over_continue_as_new() -> None:
    inbox = Inbox(Reports())
    first, beside = wait("w-1"), wait("w-2")
    inbox.add(first)
    inbox.add(beside)
    inbox.receive(signal("e-1", "w-1"))
    inbox.accept(first, first.candidates[0][1])
    inbox.close(first)

    next_run = carried_into_the_next_run(inbox)
    later = wait("w-3")
    next_run.add(later)
    next_run.receive(signal("e-1", "w-2"))
    next_run.receive(signal("e-1", "w-3"))

    carried = next_run.state()["open"]
    assert [len(item["arrived"]) for item in carried] == [1, 0]
