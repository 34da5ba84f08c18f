"""What every table of deliveries does for the dispatcher: the real one, and the tests' stand-in."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Final, Protocol

import pytest

from correlation.event import EventId
from correlation.reason import Reason
from routing.database import DatabaseLimits, open_database
from routing.delivery_store import DeliveryStatus, DeliveryStore, Settlement
from routing.dispatch import Deliveries
from routing.faults import DatabaseUnavailable
from routing.incoming import Delivery
from routing.matching import Matcher, Matching
from routing.waits import Waits
from tests.builders import a_wait, incoming
from tests.integration.faulty_database import Fault, FaultyDatabase
from tests.rows import execute
from tests.unit.routing.fakes import FakeStore, a_delivery

LEASE: Final = timedelta(seconds=60)
PENDING, DELIVERED, DEAD = DeliveryStatus.PENDING, DeliveryStatus.DELIVERED, DeliveryStatus.DEAD


class Table(Protocol):
    """A table of deliveries, and what befalls it."""

    deliveries: Deliveries

    async def add(self, workflow: str) -> EventId:
        """An event matches a wait of this workflow; its delivery is left to be claimed."""
        ...

    def end_pauses(self) -> None:
        """Time passes, until what was given back is due."""
        ...

    def end_leases(self) -> None:
        """Time passes, until what was claimed is anybody's again."""
        ...

    def fail_once(self) -> None:
        """The database is away for the next call."""
        ...


class InMemory:
    def __init__(self) -> None:
        self.store = FakeStore(LEASE)
        self.deliveries: Deliveries = self.store
        self.end_pauses, self.end_leases = self.store.end_pauses, self.store.end_leases
        self._fails = False

    async def add(self, workflow: str) -> EventId:
        delivery = a_delivery(workflow)
        self.store.due.append(delivery)
        return delivery.event_id

    def fail_once(self) -> None:
        self.deliveries = FailsOnce(self.store)


class FailsOnce:
    """The stand-in, away for one call."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self.lease = store.lease
        store.available.clear()

    async def claim(self, count: int) -> list[Delivery]:
        try:
            return await self._store.claim(count)
        finally:
            self._store.available.set()

    async def settle(self, settlements: Sequence[Settlement]) -> list[Settlement]:
        try:
            return await self._store.settle(settlements)
        finally:
            self._store.available.set()


class InPostgres:
    def __init__(self, database: FaultyDatabase, url: str) -> None:
        self._database, self._url = database, url
        self._numbers = itertools.count(1)
        self.deliveries: Deliveries = DeliveryStore(database, "me", LEASE)

    async def add(self, workflow: str) -> EventId:
        key = f"key-{next(self._numbers)}"
        await Waits(self._database).register([a_wait(key=key, workflow_id=workflow)])
        event = incoming(key=key)
        await Matcher(self._database, Matching(owner="me", delivers=False)).record([event])
        return event.event.event_id

    def end_pauses(self) -> None:
        self._make_due("lease_owner IS NULL")

    def end_leases(self) -> None:
        self._make_due("lease_owner IS NOT NULL")

    def fail_once(self) -> None:
        self._database.break_once(Fault.KILLED)

    def _make_due(self, which: str) -> None:
        execute(self._url, f"UPDATE workflow_event_deliveries SET due_at = now() WHERE {which}")


@pytest.fixture(params=["in memory", "postgres"])
async def table(request: pytest.FixtureRequest) -> AsyncIterator[Table]:
    if request.param == "in memory":
        yield InMemory()
        return
    url = request.getfixturevalue("database_url")
    async with open_database(url, DatabaseLimits(connections=2)) as database:
        yield InPostgres(FaultyDatabase(database), url)


async def claimed(table: Table, count: int = 100) -> list[EventId]:
    return [each.event_id for each in await table.deliveries.claim(count)]


async def one(table: Table) -> Delivery:
    """A delivery, claimed."""
    await table.add("order")
    [delivery] = await table.deliveries.claim(1)
    return delivery


async def test_as_many_are_claimed_as_are_asked_for_and_each_once(table: Table) -> None:
    added = [await table.add(f"workflow-{number}") for number in range(5)]

    first, second, third = [await claimed(table, 3) for _ in range(3)]

    assert (len(first), len(second), third) == (3, 2, [])
    assert sorted(first + second) == sorted(added)


async def test_one_workflows_deliveries_are_claimed_in_their_order(table: Table) -> None:
    added = [await table.add("order") for _ in range(4)]

    assert await claimed(table) == added


async def test_nothing_overtakes_what_another_holds_of_the_same_workflow(table: Table) -> None:
    first, second = await table.add("order"), await table.add("order")
    other = await table.add("ticket")

    [held] = await table.deliveries.claim(1)
    beside = await claimed(table)
    await table.deliveries.settle([Settlement(held, DELIVERED)])

    assert (held.event_id, beside) == (first, [other])
    assert await claimed(table) == [second]


async def test_nothing_overtakes_what_pauses_of_the_same_workflow(table: Table) -> None:
    delivery = await one(table)
    second = await table.add("order")
    await table.deliveries.settle([Settlement(delivery, PENDING, delay=timedelta(hours=1))])

    assert await claimed(table) == []

    table.end_pauses()
    assert await claimed(table) == [delivery.event_id, second]


async def test_what_is_claimed_is_free_again_when_its_lease_ends(table: Table) -> None:
    delivery = await one(table)

    table.end_pauses()
    held = await claimed(table)
    table.end_leases()

    assert held == []
    assert await claimed(table) == [delivery.event_id]


async def test_what_is_delivered_never_comes_again(table: Table) -> None:
    delivery = await one(table)

    dead = await table.deliveries.settle([Settlement(delivery, DELIVERED)])

    table.end_leases()
    table.end_pauses()
    assert (dead, await claimed(table)) == ([], [])


async def test_what_is_given_back_comes_again_with_its_attempts(table: Table) -> None:
    delivery = await one(table)
    await table.deliveries.settle([Settlement(delivery, PENDING, Reason.TEMPORAL_BUSY)])
    table.end_pauses()
    [again] = await table.deliveries.claim(1)
    await table.deliveries.settle([Settlement(again, PENDING, tried=False)])
    table.end_pauses()

    [untried] = await table.deliveries.claim(1)

    assert (again.attempts, untried.attempts) == (1, 1)


async def test_what_can_never_be_delivered_is_named_dead_and_comes_never_again(
    table: Table,
) -> None:
    refused = Settlement(await one(table), DEAD, Reason.PAYLOAD_TOO_LARGE, "too large")

    dead = await table.deliveries.settle([refused])

    table.end_leases()
    table.end_pauses()
    assert (dead, await claimed(table)) == ([refused], [])


async def test_within_its_grace_what_is_refused_comes_again(table: Table) -> None:
    delivery = await one(table)
    refused = Settlement(delivery, DEAD, Reason.RUN_NOT_FOUND, grace=timedelta(hours=1))

    dead = await table.deliveries.settle([refused])

    table.end_pauses()
    assert (dead, await claimed(table)) == ([], [delivery.event_id])


async def test_the_first_end_stands(table: Table) -> None:
    delivery = await one(table)
    await table.deliveries.settle([Settlement(delivery, DELIVERED)])

    dead = await table.deliveries.settle([Settlement(delivery, DEAD, Reason.RUN_CLOSED)])
    await table.deliveries.settle([Settlement(delivery, PENDING)])

    table.end_pauses()
    assert (dead, await claimed(table)) == ([], [])


async def test_an_outage_raises_and_changes_nothing(table: Table) -> None:
    delivery = await one(table)
    table.fail_once()

    with pytest.raises(DatabaseUnavailable):
        await table.deliveries.settle([Settlement(delivery, DELIVERED)])

    table.end_leases()
    assert await claimed(table) == [delivery.event_id]
