"""Replaying stored events under today's rules, binding by hand, and rules in the shadow."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from correlation.closing import Closing
from correlation.reason import Outcome, Reason
from correlation.rules import NO_RULES, Rules, compile_rules
from pointsman.contract import Cardinality, Disposition
from routing.audit_pages import EventQuery
from routing.binding import Binding, Bound, Handing, NotBound, bind
from routing.database import Database
from routing.incoming import Identity
from routing.matching import Matcher
from routing.replay import Preview, Replayed, Replayer, preview, selected
from routing.waits import Waits
from tests.builders import a_wait, an_event, incoming
from tests.rows import execute, one_row
from worker.shadow import Difference, shadow

RULES = compile_rules({"INVOICE_PAID": "invoice"})
PAID: Identity = ("acme", "paid")


@pytest.fixture
def replayer(database: Database) -> Replayer:
    return Replayer(database, timedelta(days=7))


async def replay(replayer: Replayer, rules: Rules = RULES) -> Replayed:
    [replayed] = await replayer.replay([PAID], rules, actor="ann", reason="rule was missing")
    return replayed


async def record_unresolved(matcher: Matcher) -> None:
    paid = an_event(event_id="paid", payload={"invoice": "7"})
    await matcher.record([incoming(paid, rules=NO_RULES)])


def deliveries(database_url: str) -> tuple[object, ...]:
    return one_row(
        database_url,
        "SELECT count(*), min(status), min(wait_id) FROM workflow_event_deliveries",
    )


async def test_an_event_replayed_under_new_rules_reaches_the_run_that_waits_for_it(
    replayer: Replayer, matcher: Matcher, waits: Waits, database_url: str
) -> None:
    await waits.register([a_wait(key="7", wait_id="w-7")])
    await record_unresolved(matcher)

    replayed = await replay(replayer)

    assert (replayed.outcome, replayed.old_keys, replayed.new_keys) == (
        Outcome.MATCHED,
        (),
        ("7",),
    )
    assert replayed.waits == ("w-7",)
    assert deliveries(database_url) == (1, "pending", "w-7")


async def test_who_replayed_and_why_is_audited(
    replayer: Replayer, matcher: Matcher, database_url: str
) -> None:
    await record_unresolved(matcher)

    replayed = await replay(replayer)

    row = one_row(
        database_url,
        "SELECT action_id, actor, action, target_kind, target_id, reason, "
        "detail -> 'outcome' ->> 1 FROM workflow_operator_actions",
    )
    assert row == (
        replayed.action_id,
        "ann",
        "replay",
        "event",
        "paid",
        "rule was missing",
        "no_wait",
    )


async def test_replaying_twice_wakes_a_wait_once(
    replayer: Replayer, matcher: Matcher, waits: Waits, database_url: str
) -> None:
    await waits.register([a_wait(key="7", wait_id="w-7")])
    await record_unresolved(matcher)

    both = await asyncio.gather(replay(replayer), replay(replayer))

    assert sorted(len(each.waits) for each in both) == [0, 1]
    assert {each.outcome for each in both} == {Outcome.MATCHED}
    assert deliveries(database_url) == (1, "pending", "w-7")


async def test_an_event_without_a_wait_becomes_available_to_look_backs_under_its_new_key(
    replayer: Replayer, matcher: Matcher, waits: Waits, database_url: str
) -> None:
    await record_unresolved(matcher)

    replayed = await replay(replayer)
    await waits.register([a_wait(key="7", wait_id="late", lookback=timedelta(hours=1))])

    assert (replayed.outcome, replayed.reason) == (Outcome.NO_WAIT, Reason.NO_OPEN_WAIT)
    assert deliveries(database_url) == (1, "pending", "late")


async def test_an_event_whose_buffer_time_is_over_stays_out_of_reach_of_look_backs(
    database: Database, matcher: Matcher, database_url: str
) -> None:
    await record_unresolved(matcher)
    execute(
        database_url,
        "UPDATE workflow_runtime_events SET received_at = now() - interval '2 days'",
    )

    replayed = await replay(Replayer(database, timedelta(days=1)))

    assert replayed.reason == Reason.BUFFER_EXPIRED
    assert one_row(database_url, "SELECT available_until FROM workflow_runtime_events") == (None,)


async def test_an_event_that_lost_its_key_stays_matched_with_whom_it_met(
    replayer: Replayer, matcher: Matcher, waits: Waits, database_url: str
) -> None:
    await waits.register([a_wait(key="7", wait_id="w-7")])
    await matcher.record(
        [incoming(an_event(event_id="paid", payload={"invoice": "7"}), rules=RULES)]
    )

    replayed = await replay(replayer, NO_RULES)

    assert (replayed.outcome, replayed.new_keys, replayed.waits) == (Outcome.MATCHED, (), ())
    assert deliveries(database_url) == (1, "pending", "w-7")


async def test_an_event_that_an_exclusive_wait_holds_goes_to_no_other_exclusive_one(
    replayer: Replayer, matcher: Matcher, waits: Waits
) -> None:
    await waits.register([a_wait(key="7", wait_id="first", cardinality=Cardinality.EXCLUSIVE)])
    await matcher.record([incoming(event_id="paid", key="7")])
    await waits.register([a_wait(key="7", wait_id="second", cardinality=Cardinality.EXCLUSIVE)])

    replayed = await replay(replayer)

    assert replayed.waits == ()


async def test_an_explicit_key_that_was_refused_is_refused_again(
    replayer: Replayer, matcher: Matcher, waits: Waits
) -> None:
    await waits.register([a_wait(key="7")])
    refused = an_event(event_id="paid", key="k" * 600, payload={"invoice": "7"})
    await matcher.record([incoming(refused, rules=NO_RULES)])

    replayed = await replay(replayer)

    assert (replayed.outcome, replayed.reason) == (Outcome.UNRESOLVED, Reason.KEY_TOO_LONG)


async def test_nothing_is_replayed_of_an_unknown_event_or_behind_another_tenants_wall(
    replayer: Replayer, matcher: Matcher
) -> None:
    await record_unresolved(matcher)

    unknown = await replayer.replay([("acme", "unknown")], RULES, actor="ann")
    foreign = await replayer.replay([PAID], RULES, actor="ann", behind_wall="globex")

    assert (list(unknown), list(foreign)) == ([], [])


async def test_a_preview_counts_and_changes_nothing(
    database: Database, matcher: Matcher, waits: Waits, database_url: str
) -> None:
    await waits.register([a_wait(key="7", workflow_id="order-7")])
    await record_unresolved(matcher)
    await matcher.record([incoming(event_id="other", key="9")])

    async with database.transaction() as connection:
        identities, more = await selected(connection, ["acme"], EventQuery(), 10)
    found: Preview = await preview(database.transaction, identities, RULES)

    assert (found.events, found.changing, found.would_wake, more) == (2, 1, 1, False)
    assert [each.event_id for each in found.examples] == ["paid"]
    assert one_row(database_url, "SELECT count(*) FROM workflow_event_deliveries") == (0,)


async def test_a_selection_stops_at_its_limit_and_says_so(
    database: Database, matcher: Matcher
) -> None:
    await matcher.record([incoming(key=number) for number in range(7)])

    async with database.transaction() as connection:
        identities, more = await selected(connection, None, EventQuery(), 5)

    assert (len(identities), more) == (5, True)


async def hand(database: Database, wait_id: str = "w-9", event_id: str = "paid") -> Binding:
    handing = Handing(
        tenant="acme", event_id=event_id, wait_id=wait_id, actor="ann", reason="they belong"
    )
    return await bind(database, handing, behind_wall=True)


async def test_an_event_is_handed_to_a_wait_of_another_key_by_hand(
    database: Database, matcher: Matcher, waits: Waits, database_url: str
) -> None:
    await waits.register([a_wait(key="9", wait_id="w-9", workflow_id="order-9")])
    await record_unresolved(matcher)

    bound = await hand(database)

    assert isinstance(bound, Bound)
    assert bound.workflow_id == "order-9"
    assert deliveries(database_url) == (1, "pending", "w-9")
    row = one_row(
        database_url,
        "SELECT e.outcome, a.action, a.actor, a.reason, a.detail ->> 'wait_id' "
        "FROM workflow_runtime_events AS e JOIN workflow_operator_actions AS a USING (tenant_id)",
    )
    assert row == ("matched", "bind", "ann", "they belong", "w-9")


async def test_binding_twice_hands_the_event_on_once(
    database: Database, matcher: Matcher, waits: Waits, database_url: str
) -> None:
    await waits.register([a_wait(key="9", wait_id="w-9")])
    await record_unresolved(matcher)

    both = await asyncio.gather(hand(database), hand(database))

    assert sorted(isinstance(each, Bound) for each in both) == [False, True]
    assert one_row(database_url, "SELECT count(*) FROM workflow_operator_actions") == (1,)


@pytest.mark.parametrize(
    ("wait_id", "event_id", "unknown"),
    [("w-9", "nothing", True), ("nothing", "paid", True), ("closed", "paid", False)],
)
async def test_what_cannot_be_bound_is_refused_with_a_reason(
    database: Database, matcher: Matcher, waits: Waits, wait_id: str, event_id: str, unknown: bool
) -> None:
    closed = a_wait(key="9", wait_id="closed")
    await waits.register([a_wait(key="9", wait_id="w-9"), closed])
    await waits.close([Closing(closed.tenant, closed.wait_id, Disposition.CANCELLED)])
    await record_unresolved(matcher)

    refused = await hand(database, wait_id, event_id)

    assert isinstance(refused, NotBound)
    assert refused.unknown is unknown


async def shadowed(database: Database, rules: Rules, tenants: Sequence[str]) -> Difference:
    return await shadow(database.transaction, rules, last=100, tenants=tenants)


async def test_rules_in_the_shadow_tell_who_would_wake_and_who_would_not_match_any_more(
    database: Database, matcher: Matcher, waits: Waits
) -> None:
    open_wait, ended = a_wait(key="7"), a_wait(key="8")
    await waits.register([open_wait, ended, a_wait(key="customer-1")])
    by_customer = compile_rules({"INVOICE_PAID": "customer"})
    for number in (7, 8):
        keyless = an_event(payload={"invoice": str(number)})
        await matcher.record([incoming(keyless, rules=NO_RULES)])
    matched = an_event(payload={"customer": "customer-1"})
    await matcher.record([incoming(matched, rules=by_customer), incoming(key="explicit")])
    await waits.close([Closing(ended.tenant, ended.wait_id, Disposition.TIMED_OUT)])

    found = await shadowed(database, RULES, ["acme"])

    assert (found.events, found.waking_events, found.woken_runs) == (4, 2, 2)
    assert (found.stopping, found.resolved, found.unresolved) == (1, 2, 1)
    assert "2 would now wake 2 runs; 1 would stop matching" in found.sentence


async def test_the_same_rules_make_no_difference(
    database: Database, matcher: Matcher, waits: Waits
) -> None:
    await matcher.record(
        [incoming(an_event(event_id="paid", payload={"invoice": "7"}), rules=RULES)]
    )
    await waits.register([a_wait(key="7")])

    found = await shadowed(database, RULES, ["acme"])

    assert found.changed == ()
    assert found.sentence == "The rules make no difference to the last 1 events."
