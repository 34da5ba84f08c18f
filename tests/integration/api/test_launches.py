"""What an event starts, as the API tells it: at once, beforehand, and when it went wrong."""

from __future__ import annotations

from typing import Any, Final

import pytest
from msgspec.structs import replace

from routing.matching import Matcher, Matching
from routing.tokens import Scope
from routing.triggers import apply_triggers, disable_trigger
from tests.builders import a_wait, incoming
from tests.integration.api.caller import Api
from tests.integration.launches import a_trigger
from tests.rows import execute, one_row

CREATED: Final = {"event_type": "CLIENT_CREATED", "event_id": "e-1", "tenant": "acme"}


async def disable(api: Api, trigger_id: str) -> None:
    async with api.database.transaction() as connection:
        await disable_trigger(
            connection, "acme", trigger_id, actor="token:dana", reason="it doubled"
        )


@pytest.mark.parametrize("times", [1, 2], ids=["once", "again"])
async def test_a_posted_event_is_answered_with_what_it_starts(api: Api, times: int) -> None:
    await apply_triggers(
        api.database,
        [
            a_trigger("onboarding"),
            a_trigger("picky", where={"client.kind": ["firm"]}),
            a_trigger("elsewhere", event="OTHER"),
        ],
        actor="test",
    )
    client = await api.caller(Scope.PUBLISH)

    answers = [await client.post("/v1/events", json=CREATED) for _ in range(times)]

    launches = answers[-1].json()["launches"]
    assert [(each["trigger_id"], each["status"], each["reason"]) for each in launches] == [
        ("onboarding", "pending", None),
        ("picky", "skipped", "filter_refused"),
    ]
    assert launches[0]["workflow_type"] == "Collector"
    assert launches[0]["workflow_id"].startswith("onboarding-")


async def test_each_event_of_a_batch_is_answered_with_its_own_launches(api: Api) -> None:
    await apply_triggers(api.database, [a_trigger("onboarding")], actor="test")
    client = await api.caller(Scope.PUBLISH)
    plain = {"event_type": "OTHER", "event_id": "e-2", "tenant": "acme"}

    answered = await client.post("/v1/events", json={"events": [plain, CREATED]})

    results = answered.json()["results"]
    assert [[each["trigger_id"] for each in one["launches"]] for one in results] == [
        [],
        ["onboarding"],
    ]


async def test_explaining_says_which_trigger_is_disabled_since_when_and_why(api: Api) -> None:
    await apply_triggers(api.database, [a_trigger("onboarding")], actor="test")
    await disable(api, "onboarding")
    await api.record(name="CLIENT_CREATED", event_id="e-1")
    client = await api.caller(Scope.READ)

    asked: list[dict[str, Any]] = [{"event_id": "e-1"}, {"event": {**CREATED, "event_id": "e-2"}}]
    told = [
        " ".join((await client.post("/v1/explain/event", json=body)).json()["sentences"])
        for body in asked
    ]

    assert "Trigger onboarding is disabled since" in told[0]
    assert "by token:dana (it doubled): it started no Collector." in told[0]
    assert "by token:dana (it doubled): it would start no Collector." in told[1]


async def test_explaining_tells_a_trigger_that_was_disabled_only_afterwards(api: Api) -> None:
    await apply_triggers(api.database, [a_trigger("onboarding")], actor="test")
    await api.record(name="CLIENT_CREATED", event_id="considered")
    await apply_triggers(api.database, [a_trigger("younger")], actor="test")
    await disable(api, "onboarding")
    await disable(api, "younger")
    client = await api.caller(Scope.READ)

    found = await client.post("/v1/explain/event", json={"event_id": "considered"})

    told = " ".join(found.json()["sentences"])
    assert "Trigger onboarding is disabled" not in told
    assert "Trigger younger is disabled since" in told
    assert "after the event came; it had not started any Collector." in told


async def test_a_schema_may_hold_back_launches_alone(api: Api, database_url: str) -> None:
    await apply_triggers(api.database, [a_trigger("onboarding")], actor="test")
    await api.register(a_wait(key="7", event_name="CLIENT_CREATED"))
    event = replace(
        incoming(name="CLIENT_CREATED", key="7", event_id="e-1"),
        judged_by="CLIENT_CREATED 2",
        launches_held="payload schema CLIENT_CREATED 2: $.client: is missing",
    )

    recorded = await Matcher(api.database, Matching(owner="me")).record([event])

    assert len(recorded.deliveries) == 1
    launch = one_row(database_url, "SELECT status, reason, detail FROM workflow_event_launches")
    assert launch == ("skipped", "schema_invalid", event.launches_held)
    client = await api.caller(Scope.READ)
    story = (await client.get("/v1/events/e-1")).json()
    assert story["event"]["context"]["judged_by"] == "CLIENT_CREATED 2"
    listed = await client.get("/v1/events?reason=schema_invalid")
    assert [line["event_id"] for line in listed.json()["events"]] == ["e-1"]


async def test_an_event_that_only_launched_is_said_to_have_launched(
    api: Api, database_url: str
) -> None:
    await apply_triggers(api.database, [a_trigger("onboarding")], actor="test")
    await api.record(name="CLIENT_CREATED", event_id="e-1", key="7")
    execute(database_url, "UPDATE workflow_event_launches SET status = 'launched'")
    client = await api.caller(Scope.READ)

    [line] = (await client.get("/v1/events")).json()["events"]
    explained = (await client.post("/v1/explain/event", json={"event_id": "e-1"})).json()

    assert (line["outcome"], line["states"], line["launched"]) == ("no_wait", ["launched"], 1)
    assert explained["sentences"][0].startswith("It started Collector onboarding-")
    assert not any("woke nobody" in sentence for sentence in explained["sentences"])
    assert explained["what_to_do"] == []
