"""Waits on a real Postgres: look-back, exclusivity, closing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from correlation.closing import Closing
from correlation.event import EventId
from correlation.reason import Outcome
from correlation.rules import compile_rules
from pointsman.contract import Cardinality, Disposition, WaitKind
from routing.delivery_store import DeliveryStatus, DeliveryStore, Settlement
from routing.matching import Matcher
from routing.ownership import Voucher
from routing.waits import FOREIGN, Waits
from tests.builders import a_wait, incoming
from tests.rows import execute, one_row

LOOKBACK = timedelta(minutes=5)


async def test_a_wait_takes_an_event_within_its_look_back(
    matcher: Matcher, waits: Waits, store: DeliveryStore, database_url: str
) -> None:
    await matcher.record([incoming(key="7", payload={"amount": 3})])

    [registration] = await waits.register([a_wait(key="7", lookback=LOOKBACK)])

    assert registration.matched_events == 1
    [delivery] = await store.claim(10)
    assert delivery.payload_text == '{"amount": 3}'
    row = one_row(database_url, "SELECT outcome, reason FROM workflow_runtime_events")
    assert row == ("matched", None)


async def test_a_look_back_finds_an_event_under_each_of_its_keys(
    matcher: Matcher, waits: Waits
) -> None:
    rules = compile_rules({"*": ["a", "b"]})
    await matcher.record([incoming(payload={"a": "first", "b": "second"}, rules=rules)])

    registrations = await waits.register(
        [a_wait(key=key, lookback=LOOKBACK) for key in ("first", "second", "third")]
    )

    assert [registration.matched_events for registration in registrations] == [1, 1, 0]


async def test_an_event_long_before_its_wait_is_outside_the_look_back(
    matcher: Matcher, waits: Waits, database_url: str
) -> None:
    await matcher.record([incoming(key="7")])
    execute(
        database_url,
        "UPDATE workflow_runtime_events SET received_at = received_at - interval '6 minutes'",
    )

    [registration] = await waits.register([a_wait(key="7", lookback=LOOKBACK)])

    assert registration.matched_events == 0


async def test_a_wait_without_look_back_takes_nothing_that_came_before(
    matcher: Matcher, waits: Waits
) -> None:
    await matcher.record([incoming(key="7")])

    [registration] = await waits.register([a_wait(key="7")])

    assert registration.matched_events == 0


async def test_a_look_back_never_hands_a_run_what_it_has_accepted(
    matcher: Matcher, waits: Waits
) -> None:
    first = a_wait(key="7", workflow_id="order", run_id="run-1")
    await waits.register([first])
    event = incoming(key="7")
    await matcher.record([event])
    await waits.close([_accepted(first.tenant, first.wait_id, event.event.event_id)])

    registrations = await waits.register(
        [
            a_wait(key="7", workflow_id="order", run_id="run-1", lookback=LOOKBACK),
            a_wait(key="7", workflow_id="order", run_id="run-2", lookback=LOOKBACK),
            a_wait(key="7", workflow_id="other", run_id="run-3", lookback=LOOKBACK),
        ]
    )

    assert [registration.matched_events for registration in registrations] == [0, 1, 1]


async def test_an_event_goes_to_the_oldest_exclusive_wait_and_to_all_others_beside_it(
    matcher: Matcher, waits: Waits
) -> None:
    oldest = a_wait(key="7", cardinality=Cardinality.EXCLUSIVE)
    younger = a_wait(key="7", cardinality=Cardinality.EXCLUSIVE)
    beside = a_wait(key="7")
    for wait in (oldest, younger, beside):
        await waits.register([wait])

    recorded = await matcher.record([incoming(key="7")])

    assert {delivery.wait_id for delivery in recorded.deliveries} == {
        oldest.wait_id,
        beside.wait_id,
    }


async def test_what_an_exclusive_wait_holds_no_look_back_takes(
    matcher: Matcher, waits: Waits
) -> None:
    await waits.register([a_wait(key="7", cardinality=Cardinality.EXCLUSIVE)])
    await matcher.record([incoming(key="7")])

    registrations = await waits.register(
        [
            a_wait(key="7", lookback=LOOKBACK),
            a_wait(key="7", lookback=LOOKBACK, cardinality=Cardinality.EXCLUSIVE),
        ]
    )

    assert [registration.matched_events for registration in registrations] == [0, 0]


async def test_of_exclusive_waits_registered_together_only_the_oldest_takes_a_buffered_event(
    matcher: Matcher, waits: Waits
) -> None:
    await matcher.record([incoming(key="7")])

    registrations = await waits.register(
        [a_wait(key="7", lookback=LOOKBACK, cardinality=Cardinality.EXCLUSIVE) for _ in range(3)]
    )

    assert [registration.matched_events for registration in registrations] == [1, 0, 0]


@pytest.mark.parametrize("disposition", [Disposition.FILTERED, Disposition.LATE])
async def test_what_an_exclusive_wait_gives_back_goes_to_the_next_in_line(
    matcher: Matcher, waits: Waits, store: DeliveryStore, disposition: Disposition
) -> None:
    first, second = (a_wait(key="7", cardinality=Cardinality.EXCLUSIVE) for _ in range(2))
    await waits.register([first, second])
    event = incoming(key="7")
    recorded = await matcher.record([event])
    await store.settle([Settlement(recorded.deliveries[0], DeliveryStatus.DELIVERED)])

    statuses = await waits.close(
        [Closing(first.tenant, first.wait_id, disposition, event.event.event_id)]
    )

    assert statuses == ["waiting"]
    [delivery] = await store.claim(10)
    assert delivery.wait_id == second.wait_id


async def test_closing_an_exclusive_wait_gives_back_what_it_did_not_accept(
    matcher: Matcher, waits: Waits, store: DeliveryStore
) -> None:
    first, second = (a_wait(key="7", cardinality=Cardinality.EXCLUSIVE) for _ in range(2))
    await waits.register([first, second])
    accepted, surplus = incoming(key="7"), incoming(key="7")
    await matcher.record([accepted, surplus])

    await waits.close([_accepted(first.tenant, first.wait_id, accepted.event.event_id)])

    [delivery] = await store.claim(10)
    assert (delivery.wait_id, delivery.event_id) == (second.wait_id, surplus.event.event_id)


async def test_a_closed_wait_receives_nothing_and_its_pending_delivery_is_withdrawn(
    matcher: Matcher, waits: Waits, database_url: str
) -> None:
    wait = a_wait(key="7")
    await waits.register([wait])
    await matcher.record([incoming(key="7")])

    statuses = await waits.close([Closing(wait.tenant, wait.wait_id, Disposition.TIMED_OUT)])
    recorded = await matcher.record([incoming(key="7")])

    assert statuses == ["closed"]
    assert recorded.events[0].outcome is Outcome.NO_WAIT
    row = one_row(database_url, "SELECT status, reason FROM workflow_event_deliveries")
    assert row == ("withdrawn", "wait_closed")


async def test_an_accepted_event_leaves_a_stream_open_and_closes_any_other_wait(
    matcher: Matcher, waits: Waits
) -> None:
    stream, single = a_wait(key="7", kind=WaitKind.STREAM), a_wait(key="7")
    await waits.register([stream, single])
    event = incoming(key="7")
    await matcher.record([event])

    statuses = await waits.close(
        [
            _accepted(stream.tenant, stream.wait_id, event.event.event_id),
            _accepted(single.tenant, single.wait_id, event.event.event_id),
        ]
    )
    ended = await waits.close([Closing(stream.tenant, stream.wait_id, Disposition.ACCEPTED)])

    assert statuses == ["waiting", "closed"]
    assert ended == ["closed"]


async def test_closing_an_unknown_wait_says_so(waits: Waits) -> None:
    wait = a_wait()

    statuses = await waits.close([Closing(wait.tenant, wait.wait_id, Disposition.CANCELLED)])

    assert statuses == ["unknown"]


async def test_registering_a_wait_again_changes_nothing(matcher: Matcher, waits: Waits) -> None:
    await matcher.record([incoming(key="7")])
    wait = a_wait(key="7", lookback=LOOKBACK)
    first = await waits.register([wait])

    second = await waits.register([wait])

    assert first == second
    assert second[0].matched_events == 1


async def test_another_wait_under_the_same_id_is_a_conflict(waits: Waits) -> None:
    await waits.register([a_wait(key="7", wait_id="w", workflow_id="a")])

    [registration] = await waits.register([a_wait(key="8", wait_id="w", workflow_id="a")])

    assert registration.conflict


def _accepted(tenant: str, wait_id: str, event_id: EventId) -> Closing:
    return Closing(tenant, wait_id, Disposition.ACCEPTED, event_id)


async def test_a_wait_is_closed_by_the_workflow_that_proved_it_to_be_its_own(
    waits: Waits,
) -> None:
    own, unproved = ("default", "own"), ("default", "another")
    await waits.register(
        [
            a_wait(wait_id="proved", workflow_id="own"),
            a_wait(wait_id="unproved", workflow_id="own", vouched_by=None),
        ]
    )

    def closing(wait_id: str, asked_by: tuple[str, str]) -> Closing:
        return Closing("acme", wait_id, Disposition.CANCELLED, asked_by=asked_by)

    foreign = await waits.close([closing("proved", unproved), closing("unproved", unproved)])
    closed = await waits.close([closing("proved", own)])

    assert (foreign, closed) == ([FOREIGN, "closed"], ["closed"])


async def test_a_workflow_vouches_for_a_run_that_was_only_named_before(
    waits: Waits, database_url: str
) -> None:
    terms = {"workflow_id": "own", "run_id": "run-1"}
    await waits.register([a_wait(**terms, vouched_by=Voucher.TOKEN, namespace="wrong")])
    before = one_row(database_url, "SELECT vouched_by, namespace FROM workflow_runs")

    await waits.register([a_wait(**terms), a_wait(**terms, vouched_by=None)])

    assert before == (None, "wrong")
    after = one_row(database_url, "SELECT vouched_by, namespace FROM workflow_runs")
    assert after == ("activity", "default")
