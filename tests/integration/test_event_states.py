"""What came of an event: found, counted and said by each of its states."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from correlation.closing import Closing
from correlation.reason import Outcome, Reason
from pointsman.contract import Disposition
from routing.audit import list_events
from routing.audit_pages import EventQuery, count_states, summary_of_states
from routing.audit_records import AuditLine
from routing.database import Database
from routing.delivery_store import DeliveryStatus, DeliveryStore, Settlement
from routing.matching import Matcher
from routing.reach import EventState, woke_words
from routing.triggers import apply_triggers
from routing.waits import Waits
from tests.builders import a_wait, incoming
from tests.integration.launches import a_trigger
from tests.rows import execute

STATES: Final = {
    EventState.MATCHED: {
        "accepted",
        "delivered",
        "pending",
        "filtered",
        "late",
        "withdrawn",
        "dead",
        "mixed",
    },
    EventState.WOKE: {"accepted", "delivered", "mixed"},
    EventState.PENDING: {"pending", "launching"},
    EventState.DELIVERED: {"delivered"},
    EventState.ACCEPTED: {"accepted", "mixed"},
    EventState.FILTERED: {"filtered"},
    EventState.LATE: {"late", "mixed"},
    EventState.WITHDRAWN: {"withdrawn"},
    EventState.DEAD: {"dead", "launch-dead", "mixed"},
    EventState.LAUNCHED: {"launched"},
    EventState.NOBODY: {"nobody", "skipped"},
}
WORDS: Final = {
    "accepted": "1 of 1",
    "delivered": "1 of 1",
    "pending": "0 of 1 (1 on its way)",
    "filtered": "0 of 1 (1 filtered)",
    "late": "0 of 1 (1 late)",
    "withdrawn": "0 of 1 (1 withdrawn)",
    "dead": "0 of 1 (1 dead)",
    "mixed": "1 of 3 (1 late, 1 dead)",
    "launched": "launched 1",
    "launching": "launching 1",
    "launch-dead": "dead launches: 1",
    "skipped": "",
    "nobody": "",
}


@pytest.fixture
async def scene(
    database: Database,
    database_url: str,
    matcher: Matcher,
    waits: Waits,
    store: DeliveryStore,
) -> Database:
    """One event for each way in which a delivery or a launch can stand."""
    waiting = ("accepted", "delivered", "pending", "filtered", "late", "withdrawn", "dead")
    await waits.register(
        [a_wait(key=name, wait_id=name) for name in waiting]
        + [a_wait(key="mixed", wait_id=f"mixed-{how}") for how in ("accepted", "late", "dead")]
    )
    await apply_triggers(database, [a_trigger("start")], actor="test")
    await apply_triggers(
        database, [a_trigger("picky", event="PICKY", where={"never": ["x"]})], actor="test"
    )
    recorded = await matcher.record(
        [incoming(event_id=name, key=name) for name in (*waiting, "mixed", "nobody")]
        + [
            incoming(name="CLIENT_CREATED", event_id=name)
            for name in ("launched", "launching", "launch-dead")
        ]
        + [incoming(name="PICKY", event_id="skipped")]
    )
    settlements = []
    for delivery in recorded.deliveries:
        ends = delivery.wait_id.rpartition("-")[2]
        if ends == "dead":
            settlements.append(Settlement(delivery, DeliveryStatus.DEAD, Reason.RUN_CLOSED))
        elif ends not in {"pending", "withdrawn"}:
            settlements.append(Settlement(delivery, DeliveryStatus.DELIVERED))
    await store.settle(settlements)
    said = {
        "accepted": Disposition.ACCEPTED,
        "filtered": Disposition.FILTERED,
        "late": Disposition.LATE,
    }
    await waits.close(
        [Closing("acme", name, how, event_id=name) for name, how in said.items()]
        + [
            Closing("acme", f"mixed-{name}", said[name], event_id="mixed")
            for name in ("accepted", "late")
        ]
        + [Closing("acme", "withdrawn", Disposition.TIMED_OUT)]
    )
    for name, status in (("launched", "launched"), ("launch-dead", "dead")):
        execute(
            database_url,
            f"UPDATE workflow_event_launches SET status = '{status}',"
            f" reason = CASE '{status}' WHEN 'dead' THEN 'permission_denied' END"
            f" WHERE event_id = '{name}'",
        )
    return database


async def listed(database: Database, query: EventQuery) -> list[AuditLine]:
    async with database.transaction() as connection:
        return list(await list_events(connection, query, tenant="acme"))


async def test_each_state_lists_the_events_that_are_in_it(scene: Database) -> None:
    found = {
        state: {line.event_id for line in await listed(scene, EventQuery(state=state))}
        for state in EventState
    }

    assert found == STATES


async def test_a_count_of_a_state_is_the_length_of_its_list(scene: Database) -> None:
    now = datetime.now(UTC)
    async with scene.transaction() as connection:
        counts = await count_states(connection, ["acme"], since=now - timedelta(hours=1))
        summed = await summary_of_states(
            connection,
            ["acme"],
            since=now - timedelta(hours=1),
            until=now + timedelta(hours=1),
            bucket=timedelta(days=1),
            limit=1000,
        )

    expected = {state.value: len(events) for state, events in STATES.items()}
    assert {count.state: count.count for count in counts} == expected
    over_time = Counter[str]()
    for line in summed:
        over_time[line.state] += line.count
    assert dict(over_time) == expected


async def test_what_the_list_says_an_event_woke_is_what_it_woke(scene: Database) -> None:
    lines = await listed(scene, EventQuery())

    assert {line.event_id: woke_words(line) for line in lines} == WORDS


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (EventQuery(reason="run_closed"), ["dead", "mixed"]),
        (EventQuery(reason="wait_closed"), ["withdrawn"]),
        (EventQuery(reason="permission_denied"), ["launch-dead"]),
        (EventQuery(reason="filter_refused"), ["skipped"]),
        (EventQuery(reason="run_closed", state=EventState.ACCEPTED), ["mixed"]),
        (EventQuery(reason="run_closed", outcome=Outcome.NO_WAIT), []),
        (EventQuery(state=EventState.DEAD, name="CLIENT_CREATED"), ["launch-dead"]),
        (EventQuery(state=EventState.DEAD, key="dead"), ["dead"]),
        (EventQuery(state=EventState.PENDING, until=datetime(2020, 1, 1, tzinfo=UTC)), []),
    ],
    ids=str,
)
async def test_reasons_of_signals_and_launches_find_their_events(
    scene: Database, query: EventQuery, expected: list[str]
) -> None:
    lines = await listed(scene, query)

    assert sorted(str(line.event_id) for line in lines) == expected
