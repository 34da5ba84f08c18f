"""What runs out: waits whose time is over, and events that nobody took in time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from pointsman.contract import Cardinality
from routing.database import Database, DatabaseLimits, open_database
from routing.delivery_store import DeliveryStore
from routing.matching import Matcher, Matching
from routing.sweep import ExpiredEvent, Sweeper
from routing.triggers import apply_triggers
from routing.waits import Waits
from tests.builders import a_wait, incoming
from tests.integration.launches import a_trigger

LEASE = timedelta(seconds=60)
LOOKBACK = timedelta(days=1)
BUFFER_TTL = timedelta(hours=1)


class Rig:
    def __init__(self, database: Database, url: str) -> None:
        self.url = url
        self.database = database
        self.waits = Waits(database)
        # Of what it records nobody has tried to send anything yet.
        self.matcher = Matcher(
            database, Matching(owner="me", delivers=False, buffer_ttl=BUFFER_TTL)
        )
        self.store = DeliveryStore(database, "me", LEASE)
        self.sweeper = Sweeper(database, BUFFER_TTL, batch=3)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode()).fetchall()

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(statement.encode())

    def let_pass(self, table: str, *columns: str) -> None:
        """Two hours pass for the rows of a table."""
        changes = ", ".join(f"{column} = {column} - interval '2 hours'" for column in columns)
        with psycopg.connect(self.url) as connection:
            connection.execute(f"UPDATE {table} SET {changes}".encode())

    def let_waits_expire(self) -> None:
        self.let_pass("workflow_run_waits", "registered_at", "expires_at")

    def let_events_age(self) -> None:
        self.let_pass("workflow_runtime_events", "received_at", "available_until")


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with open_database(database_url, DatabaseLimits(connections=2)) as database:
        yield Rig(database, database_url)


def in_an_hour() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


async def test_a_wait_whose_time_is_over_is_closed_with_its_reason(rig: Rig) -> None:
    await rig.waits.register(
        [
            a_wait(wait_id="over", expires_at=in_an_hour()),
            a_wait(wait_id="open", expires_at=in_an_hour() + timedelta(days=1)),
            a_wait(wait_id="endless"),
        ]
    )
    rig.let_waits_expire()

    assert await rig.sweeper.expire_waits() == 1

    rows = rig.rows("SELECT wait_id, status, reason FROM workflow_run_waits ORDER BY wait_id")
    assert rows == [
        ("endless", "waiting", None),
        ("open", "waiting", None),
        ("over", "closed", "wait_expired"),
    ]


async def test_many_waits_of_many_tenants_expire_in_small_batches(rig: Rig) -> None:
    tenants = ("acme", "globex", "initech")
    await rig.waits.register(
        [a_wait(tenant=tenant, expires_at=in_an_hour()) for tenant in tenants for _ in range(7)]
    )
    rig.let_waits_expire()

    assert await rig.sweeper.expire_waits() == 21
    assert await rig.sweeper.expire_waits() == 0


async def test_an_expired_wait_gets_nothing_even_before_it_is_swept(rig: Rig) -> None:
    await rig.waits.register([a_wait(key="7", expires_at=in_an_hour())])
    rig.let_waits_expire()

    recorded = await rig.matcher.record([incoming(key="7")])

    assert recorded.deliveries == []


async def test_what_was_not_yet_signalled_to_an_expired_wait_is_withdrawn(rig: Rig) -> None:
    await rig.waits.register([a_wait(key="7", expires_at=in_an_hour())])
    await rig.matcher.record([incoming(key="7")])
    rig.let_waits_expire()

    await rig.sweeper.expire_waits()

    assert rig.rows("SELECT status, reason FROM workflow_event_deliveries") == [
        ("withdrawn", "wait_expired")
    ]


async def test_an_exclusive_wait_that_expires_gives_its_event_to_the_next_in_line(
    rig: Rig,
) -> None:
    exclusive = Cardinality.EXCLUSIVE
    first = a_wait(key="7", cardinality=exclusive, expires_at=in_an_hour())
    second, third = (a_wait(key="7", cardinality=exclusive) for _ in range(2))
    await rig.waits.register([first, second, third])
    await rig.matcher.record([incoming(key="7", event_id="e-1")])
    with psycopg.connect(rig.url) as connection:
        connection.execute(
            "UPDATE workflow_run_waits SET expires_at = now() WHERE wait_id = %s", (first.wait_id,)
        )

    await rig.sweeper.expire_waits()

    assert [each.wait_id for each in await rig.store.claim(10)] == [second.wait_id]


async def test_an_event_that_an_expired_exclusive_wait_gave_back_can_be_looked_back_for(
    rig: Rig,
) -> None:
    exclusive = Cardinality.EXCLUSIVE
    await rig.waits.register([a_wait(key="7", cardinality=exclusive, expires_at=in_an_hour())])
    await rig.matcher.record([incoming(key="7")])
    rig.let_waits_expire()
    await rig.sweeper.expire_waits()

    [registration] = await rig.waits.register(
        [a_wait(key="7", cardinality=exclusive, lookback=LOOKBACK)]
    )

    assert registration.matched_events == 1


async def test_an_event_whose_buffer_time_is_over_is_taken_by_no_look_back(rig: Rig) -> None:
    await rig.matcher.record([incoming(key="7")])
    rig.let_events_age()

    assert await rig.sweeper.expire_events() == 1

    [registration] = await rig.waits.register([a_wait(key="7", lookback=LOOKBACK)])
    assert registration.matched_events == 0
    assert rig.rows("SELECT outcome, reason, available_until FROM workflow_runtime_events") == [
        ("no_wait", "buffer_expired", None)
    ]


async def test_an_event_that_started_a_workflow_does_not_expire_unheard(rig: Rig) -> None:
    await apply_triggers(
        rig.database,
        [a_trigger(event="INVOICE_PAID"), a_trigger("picky", where={"x": ["y"]})],
        actor="t",
    )
    told: list[str] = []

    async def notice(events: Sequence[ExpiredEvent]) -> None:
        told.extend(event.event_id for event in events)

    await rig.matcher.record(
        [
            incoming(key="7", event_id="launched"),
            incoming(key="7", name="CLIENT_CREATED", event_id="skipped"),
        ]
    )
    rig.let_events_age()

    assert await Sweeper(rig.database, BUFFER_TTL, notice=notice).expire_events() == 2

    assert told == ["skipped"]
    assert rig.rows(
        "SELECT event_id, reason, available_until FROM workflow_runtime_events ORDER BY event_id"
    ) == [("launched", "no_open_wait", None), ("skipped", "buffer_expired", None)]


async def test_an_event_that_was_matched_keeps_its_outcome_when_its_buffer_time_ends(
    rig: Rig,
) -> None:
    await rig.waits.register([a_wait(key="7")])
    await rig.matcher.record([incoming(key="7")])
    rig.let_events_age()

    assert await rig.sweeper.expire_events() == 1

    rows = rig.rows("SELECT outcome, reason, available_until FROM workflow_runtime_events")
    assert rows == [("matched", None, None)]


async def test_unresolved_events_are_passed_over(rig: Rig) -> None:
    await rig.matcher.record([incoming(payload={"nothing": 1})])
    rig.let_events_age()

    assert await rig.sweeper.expire_events() == 0
    assert rig.rows("SELECT reason FROM workflow_runtime_events") == [("no_rule",)]


async def test_events_of_many_tenants_expire_in_small_batches_and_each_once(rig: Rig) -> None:
    for tenant in ("acme", "globex"):
        await rig.matcher.record([incoming(key="7", tenant=tenant) for _ in range(8)])
    rig.let_events_age()
    await rig.matcher.record([incoming(key="7", event_id="young")])

    assert await rig.sweeper.expire_events() == 16
    assert await rig.sweeper.expire_events() == 0
    assert rig.rows(
        "SELECT event_id FROM workflow_runtime_events WHERE available_until IS NOT NULL"
    ) == [("young",)]


async def test_a_sweeper_that_starts_anew_goes_over_nothing_twice(
    rig: Rig, database_url: str
) -> None:
    await rig.matcher.record([incoming(key="7") for _ in range(5)])
    rig.let_events_age()
    await rig.sweeper.expire_events()
    await rig.matcher.record([incoming(key="8")])
    rig.let_events_age()

    async with open_database(database_url, DatabaseLimits(connections=1)) as database:
        assert await Sweeper(database, BUFFER_TTL, batch=3).expire_events() == 1


async def test_a_new_sweeper_goes_on_where_the_last_one_ended(rig: Rig) -> None:
    await rig.matcher.record([incoming(event_id=f"e-{n}", key="7") for n in range(7)])
    rig.let_events_age()
    await rig.sweeper.expire_events()
    rig.execute("UPDATE workflow_runtime_events SET available_until = now() WHERE event_id = 'e-0'")
    await rig.matcher.record([incoming(event_id="later", key="7")])
    rig.execute(
        "UPDATE workflow_runtime_events SET received_at = now() - interval '90 minutes',"
        " available_until = now() WHERE event_id = 'later'"
    )

    expired = await Sweeper(rig.database, BUFFER_TTL, batch=3).expire_events()

    # The first seven are done with: only what came behind them is looked at.
    assert expired == 1


async def test_events_of_a_longer_buffer_time_are_come_back_to(rig: Rig) -> None:
    await rig.matcher.record([incoming(event_id=f"e-{n}", key="7") for n in range(7)])
    rig.let_events_age()
    rig.execute(
        "UPDATE workflow_runtime_events SET available_until = now() + interval '1 day'"
        " WHERE event_id = 'e-2'"
    )
    at_first = await rig.sweeper.expire_events()
    rig.execute("UPDATE workflow_runtime_events SET available_until = now() WHERE event_id = 'e-2'")

    rig.sweeper.begin()
    later = await rig.sweeper.expire_events()

    assert (at_first, later) == (6, 1)


async def test_an_event_that_may_have_an_earlier_one_under_way_is_come_back_to(rig: Rig) -> None:
    quick = Sweeper(rig.database, timedelta(0), batch=3)
    await rig.matcher.record([incoming(event_id="committed", key="7")])
    rig.execute("UPDATE workflow_runtime_events SET available_until = now()")
    at_first = await quick.expire_events()
    await rig.matcher.record([incoming(event_id="under way", key="7")])
    rig.execute(
        "UPDATE workflow_runtime_events SET available_until = now(),"
        " received_at = now() - interval '1 second' WHERE event_id = 'under way'"
    )

    quick.begin()
    later = await quick.expire_events()

    assert (at_first, later) == (1, 1)
