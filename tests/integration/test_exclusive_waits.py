"""An exclusive event has one holder, and one that is given back finds the next in line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from correlation.closing import Closing
from correlation.reason import Reason
from correlation.rules import compile_rules
from pointsman.contract import Cardinality, Disposition
from routing.database import Connection, Database
from routing.delivery_store import DeliveryStatus, DeliveryStore, Settlement
from routing.faults import DatabaseUnavailable
from routing.incoming import Delivery
from routing.matching import Matcher, Matching
from routing.sweep import Sweeper
from routing.waits import Wait, Waits
from tests.builders import a_wait, incoming
from tests.integration.faulty_database import Fault, FaultyDatabase
from tests.rows import execute, one_row
from tests.waiting import wait_until

LEASE = timedelta(seconds=60)
LOOKBACK = timedelta(minutes=5)
RULES = compile_rules({"*": ["first", "second"]})


class SlowDatabase(Database):
    """Its transactions have done their work, hold their locks, and are committed when told."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.reached, self.may_commit = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def transaction(
        self, tenant: str | Collection[str] | None = None
    ) -> AsyncGenerator[Connection]:
        async with self._inner.transaction(tenant) as connection:
            yield connection
            self.reached.set()
            await self.may_commit.wait()

    @asynccontextmanager
    async def hot_transaction(self) -> AsyncGenerator[Connection]:
        async with self.transaction() as connection:
            yield connection


def an_exclusive_wait(key: str = "7", **terms: Any) -> Wait:
    return a_wait(key=key, cardinality=Cardinality.EXCLUSIVE, **terms)


def refused(delivery: Delivery, reason: Reason) -> Settlement:
    return Settlement(delivery, DeliveryStatus.DEAD, reason, "refused")


@pytest.mark.parametrize("reason", [Reason.SIGNAL_LIMIT, Reason.PAYLOAD_TOO_LARGE])
async def test_what_an_open_exclusive_wait_cannot_be_sent_goes_to_the_next_in_line_at_once(
    matcher: Matcher, waits: Waits, store: DeliveryStore, reason: Reason
) -> None:
    first, second, third = (an_exclusive_wait() for _ in range(3))
    await waits.register([first, second, third])
    recorded = await matcher.record([incoming(key="7")])

    await store.settle([refused(recorded.deliveries[0], reason)])

    assert [each.wait_id for each in await store.claim(10)] == [second.wait_id]


@pytest.mark.parametrize("fault", [Fault.KILLED, Fault.UNANSWERED])
async def test_a_wait_is_retired_with_its_dead_delivery_or_neither(
    matcher: Matcher, waits: Waits, database: Database, database_url: str, fault: Fault
) -> None:
    faulty = FaultyDatabase(database)
    await waits.register([a_wait(key="7")])
    recorded = await matcher.record([incoming(key="7")])
    faulty.break_once(fault)

    with pytest.raises(DatabaseUnavailable):
        await DeliveryStore(faulty, "me", LEASE).settle(
            [refused(recorded.deliveries[0], Reason.RUN_CLOSED)]
        )

    stand = one_row(
        database_url,
        "SELECT d.status, w.status FROM workflow_event_deliveries AS d"
        " JOIN workflow_run_waits AS w USING (tenant_id, wait_id)",
    )
    assert (
        stand
        == {
            Fault.KILLED: ("pending", "waiting"),
            Fault.UNANSWERED: ("dead", "closed"),
        }[fault]
    )


async def test_an_event_that_comes_while_its_exclusive_wait_is_closed_misses_no_heir(
    waits: Waits, store: DeliveryStore, database: Database, database_url: str
) -> None:
    """The event brings a second key, under which an heir is registered at the same moment."""
    recording, registering = SlowDatabase(database), SlowDatabase(database)
    closed, heir = an_exclusive_wait("one"), an_exclusive_wait("two", lookback=LOOKBACK)
    await waits.register([closed])
    event = incoming(payload={"first": "one", "second": "two"}, rules=RULES)
    matcher = Matcher(recording, Matching(owner="me", delivers=False))
    async with asyncio.TaskGroup() as group:
        group.create_task(matcher.record([event]))
        await recording.reached.wait()
        group.create_task(Waits(registering).register([heir]))
        closing = Closing(closed.tenant, closed.wait_id, Disposition.CANCELLED)
        close = group.create_task(waits.close([closing]))
        await wait_until(lambda: waiting_for_locks(database_url) == 2, description="both wait")

        recording.may_commit.set()
        await registering.reached.wait()
        await wait_until(
            lambda: close.done() or waiting_for_locks(database_url) == 1,
            description="the heir's key is in other hands",
        )
        registering.may_commit.set()

    assert [each.wait_id for each in await store.claim(10)] == [heir.wait_id]


async def test_an_expired_wait_keeps_an_event_that_may_be_on_its_way_to_it(
    matcher: Matcher, waits: Waits, store: DeliveryStore, sweeper: Sweeper, database_url: str
) -> None:
    first, second = (an_exclusive_wait() for _ in range(2))
    await waits.register([first, second])
    recorded = await matcher.record([incoming(key="7")])
    expire(database_url, first)

    await sweeper.expire_waits()

    assert holders(database_url) == [(first.wait_id, "pending")]
    await store.settle([Settlement(recorded.deliveries[0], DeliveryStatus.DELIVERED)])
    assert holders(database_url) == [(first.wait_id, "delivered")]


async def test_an_expired_wait_gives_back_what_turns_out_never_to_have_arrived(
    matcher: Matcher, waits: Waits, store: DeliveryStore, sweeper: Sweeper, database_url: str
) -> None:
    first, second = (an_exclusive_wait() for _ in range(2))
    await waits.register([first, second])
    recorded = await matcher.record([incoming(key="7")])
    expire(database_url, first)
    await sweeper.expire_waits()

    await store.settle([refused(recorded.deliveries[0], Reason.RUN_CLOSED)])

    assert holders(database_url) == [(first.wait_id, "dead"), (second.wait_id, "pending")]


async def test_an_expired_wait_keeps_what_a_process_may_have_sent_before_it_died(
    matcher: Matcher, waits: Waits, database: Database, sweeper: Sweeper, database_url: str
) -> None:
    """Another one took its lease over, and gave it back without an attempt."""
    first, second = (an_exclusive_wait() for _ in range(2))
    await waits.register([first, second])
    await matcher.record([incoming(key="7")])
    execute(database_url, "UPDATE workflow_event_deliveries SET due_at = now()")
    successor = DeliveryStore(database, "another", LEASE)
    [taken_over] = await successor.claim(10)
    await successor.settle([Settlement(taken_over, DeliveryStatus.PENDING, tried=False)])
    expire(database_url, first)

    await sweeper.expire_waits()

    assert holders(database_url) == [(first.wait_id, "pending")]


async def test_an_expired_wait_gives_back_what_nobody_has_tried_to_send(
    database: Database, waits: Waits, sweeper: Sweeper, database_url: str
) -> None:
    first, second = (an_exclusive_wait() for _ in range(2))
    await waits.register([first, second])
    await Matcher(database, Matching(owner="me", delivers=False)).record([incoming(key="7")])
    expire(database_url, first)

    await sweeper.expire_waits()

    assert holders(database_url) == [(first.wait_id, "withdrawn"), (second.wait_id, "pending")]


@pytest.fixture
def sweeper(database: Database) -> Sweeper:
    return Sweeper(database, timedelta(days=7))


def expire(database_url: str, wait: Wait) -> None:
    execute(
        database_url,
        f"UPDATE workflow_run_waits SET expires_at = now() WHERE wait_id = '{wait.wait_id}'",
    )


def holders(database_url: str) -> list[tuple[str, str]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(
            "SELECT wait_id, status FROM workflow_event_deliveries ORDER BY position"
        ).fetchall()


def waiting_for_locks(database_url: str) -> int:
    [count] = one_row(
        database_url,
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    assert isinstance(count, int)
    return count
