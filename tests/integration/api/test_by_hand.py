"""What operators do by hand stands in their audit, and what could not be done does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from ingress.backlog import StreamBacklog, StreamsUnavailable
from ingress.dead_letter_desk import LettersUnavailable, LetterUnusable
from ingress.entry import EntryId, StreamName
from ingress.letter import DeadLetter
from routing.database import Database, DatabaseLimits, open_database
from routing.tokens import Scope
from tests.builders import a_task, a_wait
from tests.integration.api.caller import Api, FakeDeadLetters, open_api
from tests.integration.api.test_run_pages import visitor

FIELDS = {b"tenant": b"acme", b"event_id": b"poison", b"event_type": b"A"}
LETTER = DeadLetter(EntryId("5-0"), StreamName("s"), EntryId("1-0"), "poison", "d", FIELDS)


class StuckLetters(FakeDeadLetters):
    """Letters of which none can be put back."""

    def __init__(self, why: Exception) -> None:
        super().__init__([LETTER])
        self._why = why

    async def requeue(self, stream: StreamName, letter_id: str) -> str | None:
        raise self._why


class Behind:
    """Streams with work left; `away` cannot be asked."""

    def __init__(self, *, away: bool = False) -> None:
        self._away = away

    async def measure(self) -> Sequence[StreamBacklog]:
        if self._away:
            raise StreamsUnavailable("no answer")
        name = StreamName("events")
        return [
            StreamBacklog(name, unread=3, oldest_unread=timedelta(seconds=90), pending=2),
            StreamBacklog(name, unread=4, oldest_pending=timedelta(seconds=30), pending=1),
        ]


async def actions(database: Database) -> list[tuple[Any, ...]]:
    async with database.transaction() as connection:
        cursor = await connection.execute(
            "SELECT action, target_id, detail ->> 'entry_id' FROM workflow_operator_actions"
        )
        return list(await cursor.fetchall())


async def test_a_letter_that_is_put_back_is_written_down_with_its_new_entry(
    api: Api, letters: FakeDeadLetters
) -> None:
    letters.letters.append(LETTER)
    caller = await api.caller(Scope.OPERATE)

    answered = await caller.post("/v1/dlq/5-0/requeue?reason=mended")

    assert answered.status_code == 200
    entry_id = answered.json()["entry_id"]
    assert sorted(await actions(api.database)) == [
        ("requeue", "5-0", entry_id),
        ("requeue", "poison", entry_id),
    ]
    await api.record(event_id="poison", name="A")
    story = (await (await api.caller(Scope.READ)).get("/v1/events/poison")).json()
    [action] = story["actions"]
    assert (action["action"], action["actor"], action["reason"]) == (
        "requeue",
        "token:tester",
        "mended",
    )
    assert (
        "Its dead letter was put back into the stream by token:tester (mended)"
        in (story["sentences"][-1])
    )


async def test_what_cannot_be_put_back_leaves_no_trace_and_says_why(database: Database) -> None:
    unusable = LetterUnusable("dead letter 5-0 has 4000 fields of its own")
    async with open_api(database, StuckLetters(unusable)) as api:
        refused = await (await api.caller(Scope.OPERATE)).post("/v1/dlq/5-0/requeue?reason=r")
    async with open_api(database, StuckLetters(LettersUnavailable("gone"))) as api:
        caller = await api.caller(Scope.OPERATE, name="another")
        away = await caller.post("/v1/dlq/5-0/requeue?reason=r")

    assert (refused.status_code, away.status_code) == (409, 503)
    assert "4000 fields" in refused.json()["title"] + refused.json()["detail"]
    assert "purge" in refused.json()["fix"]
    assert await actions(database) == []


class LettersThatLook(FakeDeadLetters):
    """Letters that look at the audit while one is put back."""

    def __init__(self, database: Database) -> None:
        super().__init__([LETTER])
        self._database = database
        self.seen: list[tuple[Any, ...]] = []

    async def requeue(self, stream: StreamName, letter_id: str) -> str | None:
        self.seen = await actions(self._database)
        return await super().requeue(stream, letter_id)


async def test_an_act_is_written_down_before_it_begins_and_no_transaction_is_held_over_it(
    database_url: str,
) -> None:
    # With one connection in all, a transaction that is held would keep the look from its own.
    async with open_database(database_url, DatabaseLimits(connections=1)) as database:
        letters = LettersThatLook(database)
        async with open_api(database, letters) as api:
            caller = await api.caller(Scope.OPERATE)
            answered = await caller.post("/v1/dlq/5-0/requeue?reason=mended")
        after = await actions(database)

    assert answered.status_code == 200
    entry_id = answered.json()["entry_id"]
    assert sorted(letters.seen) == [("requeue", "5-0", None), ("requeue", "poison", None)]
    assert sorted(after) == [("requeue", "5-0", entry_id), ("requeue", "poison", entry_id)]


async def test_a_letter_of_a_stream_bound_to_a_tenant_is_that_tenants(
    database: Database,
) -> None:
    async with open_api(database, FakeDeadLetters([LETTER]), stream_tenant="globex") as api:
        named = await api.caller(Scope.OPERATE, tenants=["acme"], name="named by the entry")
        bound = await api.caller(Scope.OPERATE, tenants=["globex"], name="bound")

        answers = [
            (await named.get("/v1/dlq")).json()["letters"],
            [letter["tenant"] for letter in (await bound.get("/v1/dlq")).json()["letters"]],
            (await named.post("/v1/dlq/5-0/requeue?reason=r")).status_code,
            (await bound.post("/v1/dlq/5-0/requeue?reason=r")).status_code,
        ]

    assert answers == [[], ["globex"], 404, 200]


async def test_a_wait_is_closed_and_written_down_together(api: Api) -> None:
    await api.register(a_wait(key=7, wait_id="w-7"))
    caller = await api.caller(Scope.OPERATE)

    answered = await caller.delete("/v1/waits/w-7?reason=obsolete")

    assert answered.json()["status"] == "closed"
    assert await actions(api.database) == [("close_wait", "w-7", None)]


async def test_the_overview_says_how_far_reading_is_behind(database: Database) -> None:
    shown = []
    for streams in (Behind(), Behind(away=True)):
        change = partial(replace, streams=streams)
        async with open_api(database, FakeDeadLetters(), change, insecure_dev=True) as api:
            shown.append((await api.with_token(None).get("/console")).text)

    assert "7 unread, 3 pending" in shown[0]
    assert "behind the stream" in shown[0]
    assert "Redis does not answer" in shown[1]


BOUND = {"wait_id": "w-7", "reason": "paid by phone"}


async def a_bound_event(api: Api) -> None:
    """An event without a key that Dana handed to a wait of order-7."""
    await api.register(a_wait(key="7", wait_id="w-7", workflow_id="order-7", run_id="run-7"))
    await api.record(event_id="keyless")
    operator = await api.caller(Scope.OPERATE, name="Dana")
    answered = await operator.post("/v1/events/keyless/bind", json=BOUND)
    assert answered.status_code == 200, answered.text


async def test_who_handed_an_event_over_stands_on_the_event_the_wait_and_the_run(api: Api) -> None:
    await a_bound_event(api)
    client = await api.caller(Scope.READ)

    event = (await client.get("/v1/events/keyless")).json()
    wait = (await client.get("/v1/waits/w-7")).json()
    run = (await client.get("/v1/runs/run-7")).json()

    for shown in (event, wait, run):
        [action] = shown["actions"]
        assert (action["action"], action["actor"], action["reason"]) == (
            "bind",
            "token:Dana",
            "paid by phone",
        )
    assert "It was handed to wait w-7 by token:Dana (paid by phone) at" in event["sentences"][-1]
    assert ("bind", "token:Dana: paid by phone") in [
        (moment["what"], moment["detail"]) for moment in run["timeline"]
    ]


async def test_a_handed_event_shows_no_missing_key_as_a_fault(api: Api) -> None:
    await a_bound_event(api)
    client = await visitor(api, Scope.READ)

    event = (await client.get("/console/event?id=keyless")).text
    wait = (await client.get("/console/wait?id=w-7")).text
    workflow = (await client.get("/console/run?id=order-7")).text

    assert "No correlation key" not in event
    assert "handed over by token:Dana (paid by phone)" in event
    assert "1 of them by hand" in event
    assert "Handed over by hand" in event
    assert all("paid by phone" in shown for shown in (event, wait, workflow))


async def test_who_closed_a_wait_stands_on_it_and_its_run_and_not_on_another(api: Api) -> None:
    await api.register(
        a_wait(key="7", wait_id="w-7", workflow_id="order-7", run_id="run-7"),
        a_wait(key="8", wait_id="w-8", workflow_id="order-8", run_id="run-8"),
    )
    caller = await api.caller(Scope.OPERATE, name="Dana")

    await caller.delete("/v1/waits/w-7?reason=obsolete")

    shown = {name: (await caller.get(f"/v1/{name}")).json() for name in ("waits/w-7", "runs/run-7")}
    other = {name: (await caller.get(f"/v1/{name}")).json() for name in ("waits/w-8", "runs/run-8")}
    for one in shown.values():
        assert [(each["action"], each["reason"]) for each in one["actions"]] == [
            ("close_wait", "obsolete")
        ]
    assert [one["actions"] for one in other.values()] == [[], []]
    closed = shown["waits/w-7"]["wait"]
    assert (closed["disposition"], closed["reason"], closed["detail"]) == (
        None,
        "closed_by_hand",
        "token:Dana: obsolete",
    )


async def test_who_replayed_an_event_stands_on_the_event_and_on_the_wait_that_it_met(
    api: Api,
) -> None:
    await api.record(event_id="early", key="7")
    await api.register(a_wait(key="7", wait_id="w-7", workflow_id="order-7", run_id="run-7"))
    await api.register(a_wait(key="8", wait_id="w-8"))
    caller = await api.caller(Scope.OPERATE, name="Dana")

    await caller.post("/v1/events/early/replay", json={"reason": "it waits now"})

    paths = ("events/early", "waits/w-7", "runs/run-7", "waits/w-8")
    told = [(await caller.get(f"/v1/{path}")).json()["actions"] for path in paths]
    assert [[each["action"] for each in actions] for actions in told] == [
        ["replay"],
        ["replay"],
        ["replay"],
        [],
    ]


async def test_who_answered_a_task_stands_on_its_event_and_its_wait(api: Api) -> None:
    await api.register(a_task(wait_id="t-7", workflow_id="order-7", run_id="run-7"))
    caller = await api.caller(Scope.OPERATE, name="Dana")

    done = await caller.post("/v1/tasks/t-7/complete", json={"answer": {"amount": 3}})

    event_id = done.json()["event_id"]
    for path in (f"events/{event_id}", "waits/t-7", "runs/run-7"):
        [action] = (await caller.get(f"/v1/{path}")).json()["actions"]
        assert (action["action"], action["actor"]) == ("complete_task", "token:Dana")
