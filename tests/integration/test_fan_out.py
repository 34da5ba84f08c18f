"""One event and many waits: portion by portion, none lost, none twice, whatever comes meanwhile."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

import psycopg
import pytest

from pointsman.contract import Cardinality
from routing import matching
from routing.database import Database
from routing.matching import Matcher, Matching
from routing.waits import Waits
from tests.builders import a_wait, incoming
from tests.rows import one_row

PORTION: Final = 20
WAITS: Final = 95


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "PORTION", PORTION)
    monkeypatch.setattr(matching, "MOST", 5 * PORTION)


@pytest.fixture
def matcher(database: Database) -> Matcher:
    return Matcher(database, Matching(owner="me"))


def deliveries(url: str, columns: str) -> list[tuple[object, ...]]:
    query = f"SELECT {columns} FROM workflow_event_deliveries ORDER BY position"
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.parametrize("waits", [PORTION - 1, PORTION, PORTION + 1, 2 * PORTION, WAITS])
async def test_every_wait_gets_the_event_once(
    database: Database, matcher: Matcher, database_url: str, waits: int
) -> None:
    registered = [a_wait(key="7", workflow_id=f"workflow-{n}") for n in range(waits)]
    await Waits(database).register(registered)

    recorded = await matcher.record([incoming(key="7", event_id="giant")])
    again = await matcher.record([incoming(key="7", event_id="giant")])

    assert recorded.events[0].matched_waits == waits
    assert len(recorded.deliveries) + recorded.left_to_claim == waits
    assert again.events[0].duplicate
    assert again.deliveries == []
    assert [row[0] for row in deliveries(database_url, "wait_id")] == [
        wait.wait_id for wait in registered
    ]


async def test_events_beside_a_giant_keep_their_order(
    database: Database, matcher: Matcher, database_url: str
) -> None:
    """The last workflow waits for both keys, and comes late in the giant's portions."""
    waits = [a_wait(key="giant", workflow_id=f"workflow-{n}") for n in range(WAITS)]
    last = a_wait(key="small", workflow_id=f"workflow-{WAITS - 1}")
    await Waits(database).register([*waits, last])
    keys = ["small", "giant", "small", "none", "giant", "small"]
    batch = [incoming(key=key, event_id=f"event-{n}") for n, key in enumerate(keys)]

    recorded = await matcher.record(batch)

    assert [each.matched_waits for each in recorded.events] == [1, WAITS, 1, 0, WAITS, 1]
    assert [
        event_id
        for event_id, workflow_id in deliveries(database_url, "event_id, workflow_id")
        if workflow_id == last.workflow_id
    ] == ["event-0", "event-1", "event-2", "event-4", "event-5"]


@pytest.mark.parametrize("place", [0, PORTION, PORTION + 5, WAITS])
async def test_an_exclusive_wait_among_many_gets_the_event_wherever_it_stands(
    database: Database, matcher: Matcher, database_url: str, place: int
) -> None:
    waits = [a_wait(key="7") for _ in range(WAITS)]
    exclusive = [a_wait(key="7", cardinality=Cardinality.EXCLUSIVE) for _ in range(2)]
    await Waits(database).register([*waits[:place], *exclusive, *waits[place:]])

    recorded = await matcher.record([incoming(key="7")])

    assert recorded.events[0].matched_waits == WAITS + 1
    assert [
        wait_id
        for wait_id, cardinality in deliveries(database_url, "wait_id, cardinality")
        if cardinality == "exclusive"
    ] == [exclusive[0].wait_id]


async def test_waits_that_are_registered_meanwhile_neither_lose_nor_double_it(
    database: Database, matcher: Matcher, database_url: str
) -> None:
    book = Waits(database)
    await book.register([a_wait(key="7") for _ in range(WAITS)])
    late = [a_wait(key="7", lookback=timedelta(hours=1)) for _ in range(30)]

    await asyncio.gather(
        *(book.register([wait]) for wait in late[:15]),
        matcher.record([incoming(key="7", event_id="giant")]),
        *(book.register([wait]) for wait in late[15:]),
    )

    every_wait = one_row(database_url, "SELECT count(*) FROM workflow_run_waits")
    assert every_wait == (WAITS + 30,)
    assert one_row(database_url, "SELECT count(*) FROM workflow_event_deliveries") == every_wait
