"""Old rows of the audit are removed, and nothing that is still under way; expiry is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from correlation.closing import Closing
from correlation.reason import Outcome, Reason
from pointsman.contract import Disposition
from routing.database import Database
from routing.delivery_store import DeliveryStatus, DeliveryStore, Settlement
from routing.incoming import Origin, RejectedEntry
from routing.matching import Matcher
from routing.retention import Keeping, Removed, Retention
from routing.sweep import ExpiredEvent, Sweeper
from routing.waits import Waits
from tests.builders import a_wait, incoming
from tests.rows import execute, one_row

MONTH = timedelta(days=30)

A_RUN = """
INSERT INTO workflow_runs (tenant_id, workflow_id, run_id, engine, status, started_at, closed_at,
    updated_at)
VALUES ('acme', '{}', 'run-1', 'temporal', 'completed', now() - interval '60 days',
    now() - make_interval(days => {}), now())
"""
AN_ACTION = """
INSERT INTO workflow_operator_actions (tenant_id, action_id, actor, action, target_kind, target_id,
    at)
VALUES ('acme', '{}', 'test', 'requeue', 'dead_letter', '1-0',
    now() - make_interval(days => {}))
"""


def remaining(database_url: str, table: str, column: str) -> list[str]:
    listed = f"SELECT string_agg({column}, ' ' ORDER BY {column}) FROM {table}"
    return str(one_row(database_url, listed)[0]).split()


def let_forty_days_pass(database_url: str) -> None:
    for table, columns in {
        "workflow_runtime_events": ("received_at", "available_until"),
        "workflow_run_waits": ("registered_at", "closed_at"),
        "workflow_rejected_entries": ("received_at",),
    }.items():
        changes = ", ".join(f"{column} = {column} - interval '40 days'" for column in columns)
        execute(database_url, f"UPDATE {table} SET {changes}")


def count(database_url: str, table: str) -> object:
    return one_row(database_url, f"SELECT count(*) FROM {table}")[0]


def a_rejected(entry_id: str) -> RejectedEntry:
    return RejectedEntry(
        Origin("s", entry_id), Outcome.MALFORMED, Reason.INVALID_JSON, "", b"", "acme"
    )


async def test_old_events_go_with_all_that_belongs_to_them(
    database: Database,
    matcher: Matcher,
    waits: Waits,
    store: DeliveryStore,
    database_url: str,
) -> None:
    wait = a_wait(key="7")
    await waits.register([wait])
    recorded = await matcher.record([incoming(key="7")], [a_rejected("1-0")])
    await store.settle([Settlement(recorded.deliveries[0], DeliveryStatus.DELIVERED)])
    await waits.close([Closing(wait.tenant, wait.wait_id, Disposition.TIMED_OUT)])
    let_forty_days_pass(database_url)
    await matcher.record([incoming(event_id="young", key="8")], [a_rejected("2-0")])

    removed = await Retention(database, Keeping(MONTH)).remove()

    assert removed == Removed(events=1, rejected=1, waits=1)
    assert one_row(database_url, "SELECT event_id FROM workflow_runtime_events") == ("young",)
    assert count(database_url, "workflow_event_deliveries") == 0


async def test_more_rows_than_a_batch_and_those_of_several_tenants_are_removed(
    database: Database, matcher: Matcher, database_url: str
) -> None:
    await matcher.record([incoming(tenant=f"t-{n % 3}") for n in range(20)])
    let_forty_days_pass(database_url)

    removed = await Retention(database, Keeping(MONTH), batch=3).remove()

    assert removed == Removed(events=20, rejected=0, waits=0)


async def test_an_outcome_may_have_an_age_of_its_own_or_be_kept_for_ever(
    database: Database, matcher: Matcher, database_url: str
) -> None:
    await matcher.record(
        [incoming(event_id="keyless"), incoming(event_id="keyed", key="7")], [a_rejected("1-0")]
    )
    let_forty_days_pass(database_url)
    keeping = Keeping(
        timedelta(0), {Outcome.UNRESOLVED: MONTH, Outcome.MALFORMED: timedelta(days=50)}
    )

    removed = await Retention(database, keeping).remove()

    assert removed == Removed(events=1, rejected=0, waits=0)
    assert one_row(database_url, "SELECT event_id FROM workflow_runtime_events") == ("keyed",)


@pytest.mark.parametrize("delivered", [False, True])
async def test_what_is_under_way_is_kept_and_goes_later(
    database: Database,
    matcher: Matcher,
    waits: Waits,
    store: DeliveryStore,
    database_url: str,
    delivered: bool,
) -> None:
    wait = a_wait(key="7")
    await waits.register([wait])
    recorded = await matcher.record([incoming(key="7")])
    if delivered:
        await store.settle([Settlement(recorded.deliveries[0], DeliveryStatus.DELIVERED)])
    let_forty_days_pass(database_url)

    early = await Retention(database, Keeping(MONTH)).remove()
    await waits.close([Closing(wait.tenant, wait.wait_id, Disposition.TIMED_OUT)])
    late = await Retention(database, Keeping(MONTH), anew=timedelta(0)).remove()

    assert (early.events, late.events) == (0, 1)


async def test_whoever_removes_next_goes_on_where_the_last_one_ended(
    database: Database, matcher: Matcher, waits: Waits, database_url: str
) -> None:
    wait = a_wait(key="7")
    await waits.register([wait])
    await matcher.record([incoming(key="7"), incoming(key="8")])
    let_forty_days_pass(database_url)
    first = await Retention(database, Keeping(MONTH)).remove()
    await waits.close([Closing(wait.tenant, wait.wait_id, Disposition.TIMED_OUT)])
    await matcher.record([incoming(key="9")])
    execute(
        database_url,
        "UPDATE workflow_runtime_events SET received_at = received_at - interval '35 days',"
        " available_until = NULL WHERE correlation_key = '9'",
    )

    second = await Retention(database, Keeping(MONTH)).remove()

    # What was held up then is behind the place, and gone back to once a day.
    assert (first.events, second.events) == (1, 1)
    assert one_row(database_url, "SELECT correlation_key FROM workflow_runtime_events") == ("7",)


async def test_the_place_of_a_walk_that_nobody_comes_to_is_forgotten(
    database: Database, matcher: Matcher, database_url: str
) -> None:
    await matcher.record([incoming()])
    let_forty_days_pass(database_url)
    await Retention(database, Keeping(MONTH)).remove()
    execute(
        database_url, "UPDATE workflow_walk_cursors SET updated_at = now() - interval '60 days'"
    )

    await Retention(database, Keeping(MONTH)).remove()

    assert count(database_url, "workflow_walk_cursors") == 0


async def test_a_run_goes_an_age_after_its_end_and_never_before_its_open_waits(
    database: Database, waits: Waits, database_url: str
) -> None:
    await waits.register([a_wait(key="7", workflow_id="awaiting", run_id="run-1")])
    ended = {"old": 40, "young": 20, "open": "NULL"}
    for workflow_id, days in ended.items():
        execute(database_url, A_RUN.format(workflow_id, days))
    execute(
        database_url,
        "UPDATE workflow_runs SET closed_at = now() - interval '40 days'"
        " WHERE workflow_id = 'awaiting'",
    )
    keeping = Keeping(timedelta(), runs=MONTH)

    removed = await Retention(database, keeping).remove()

    assert removed == Removed(events=0, rejected=0, waits=0, runs=1)
    assert remaining(database_url, "workflow_runs", "workflow_id") == ["awaiting", "open", "young"]


async def test_what_operators_did_goes_at_an_age_of_its_own(
    database: Database, database_url: str
) -> None:
    for action_id, days in (("old", 40), ("older", 50), ("young", 20)):
        execute(database_url, AN_ACTION.format(action_id, days))

    for_ever = await Retention(database, Keeping(MONTH)).remove()
    removed = await Retention(database, Keeping(timedelta(), actions=MONTH), batch=1).remove()

    assert not for_ever
    assert removed == Removed(events=0, rejected=0, waits=0, actions=2)
    assert remaining(database_url, "workflow_operator_actions", "action_id") == ["young"]


async def test_an_event_that_a_look_back_may_take_is_kept(
    database: Database, matcher: Matcher, database_url: str
) -> None:
    await matcher.record([incoming(key="7")])
    execute(
        database_url,
        "UPDATE workflow_runtime_events SET received_at = received_at - interval '40 days'",
    )

    removed = await Retention(database, Keeping(MONTH)).remove()

    assert not removed


async def test_a_buffered_event_that_expires_is_told_once_and_one_that_was_taken_is_not(
    database: Database, matcher: Matcher, waits: Waits, database_url: str
) -> None:
    told: list[ExpiredEvent] = []

    async def tell(events: Sequence[ExpiredEvent]) -> None:
        told.extend(events)

    await waits.register([a_wait(key="8")])
    await matcher.record([incoming(event_id="late", key="7"), incoming(key="8"), incoming()])
    let_forty_days_pass(database_url)
    sweeper = Sweeper(database, MONTH, notice=tell)

    expired = [await sweeper.expire_events(), await sweeper.expire_events()]

    assert expired == [2, 0]
    assert [(each.tenant, each.event_id, each.correlation_key) for each in told] == [
        ("acme", "late", "7")
    ]
