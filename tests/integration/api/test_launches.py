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
from tests.integration.api.test_run_pages import send, visitor
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


async def a_dead_launch(api: Api, database_url: str, *event_ids: str) -> None:
    """Launches that Temporal refused, and one that went through."""
    await apply_triggers(api.database, [a_trigger("onboarding")], actor="test")
    for event_id in (*event_ids, "well"):
        await api.record(name="CLIENT_CREATED", event_id=event_id)
    execute(
        database_url,
        "UPDATE workflow_event_launches SET attempts = 3, status = 'dead',"
        " reason = 'permission_denied', detail = 'no right' WHERE event_id <> 'well'",
    )
    execute(
        database_url,
        "UPDATE workflow_event_launches SET status = 'launched' WHERE event_id = 'well'",
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"d-1", "d-2", "well"}),
        ("status=dead", {"d-1", "d-2"}),
        ("status=launched", {"well"}),
        ("status=pending", set()),
        ("reason=permission_denied", {"d-1", "d-2"}),
        ("reason=run_closed", set()),
        ("event_id=d-1", {"d-1"}),
        ("trigger_id=onboarding&status=dead", {"d-1", "d-2"}),
        ("trigger_id=other", set()),
        ("since=2999-01-01T00:00:00Z", set()),
        ("tenant=acme", {"d-1", "d-2", "well"}),
    ],
)
async def test_launches_are_listed_and_filtered(
    api: Api, database_url: str, query: str, expected: set[str]
) -> None:
    await a_dead_launch(api, database_url, "d-1", "d-2")
    await api.record(name="CLIENT_CREATED", event_id="theirs", tenant="globex")
    client = await api.caller(Scope.READ)

    answered = await client.get(f"/v1/launches?{query}")

    assert {line["event_id"] for line in answered.json()["launches"]} == expected


async def test_launches_are_paged_and_counted(api: Api, database_url: str) -> None:
    await a_dead_launch(api, database_url, "d-1", "d-2")
    client = await api.caller(Scope.READ)

    first = (await client.get("/v1/launches?limit=2")).json()
    second = (await client.get(f"/v1/launches?limit=2&cursor={first['next']}")).json()
    counts = (await client.get("/v1/launches/counts")).json()["counts"]

    found = [line["event_id"] for line in (*first["launches"], *second["launches"])]
    assert (found, second["next"]) == (["well", "d-2", "d-1"], None)
    assert [(each["status"], each["reason"], each["count"]) for each in counts] == [
        ("dead", "permission_denied", 2),
        ("launched", None, 1),
    ]


async def test_dead_launches_are_tried_again_and_it_is_written_down(
    api: Api, database_url: str
) -> None:
    await a_dead_launch(api, database_url, "d-1", "d-2")
    reader, operator = await api.caller(Scope.READ), await api.caller(Scope.OPERATE, name="Dana")
    order = {"reason": "the role has the right now", "trigger_id": "onboarding"}

    refused = await reader.post("/v1/launches/retry", json=order)
    retried = await operator.post("/v1/launches/retry", json={**order, "event_id": "d-1"})
    rest = await operator.post("/v1/launches/retry", json=order)
    nothing = await operator.post("/v1/launches/retry", json=order)

    assert refused.status_code == 403
    assert [[each["event_id"] for each in one.json()["retried"]] for one in (retried, rest)] == [
        ["d-1"],
        ["d-2"],
    ]
    assert nothing.json() == {"retried": []}
    assert api.sink.woken == 2
    stands = one_row(
        database_url,
        "SELECT array_agg(DISTINCT status), sum(attempts), count(reason)"
        " FROM workflow_event_launches WHERE event_id <> 'well'",
    )
    assert stands == (["pending"], 0, 0)
    action = one_row(
        database_url,
        "SELECT actor, action, target_kind, reason, detail ->> 'was', detail ->> 'attempts'"
        " FROM workflow_operator_actions WHERE target_id = 'd-1'",
    )
    assert action == (
        "token:Dana",
        "retry_launch",
        "event",
        "the role has the right now",
        "permission_denied",
        "3",
    )


@pytest.mark.parametrize(
    ("order", "field"),
    [
        ({"reason": "mended"}, "event_id"),
        ({"event_id": "d-1"}, "reason"),
        ({"event_id": "d-1", "reason": "x"}, "reason"),
        ({"event_id": "d-1", "reason": "mended", "died_of": "nonsense"}, "died_of"),
        ({"event_id": "d-1", "reason": "mended", "limit": 501}, "limit"),
    ],
)
async def test_a_retry_says_which_launches_and_why(
    api: Api, order: dict[str, Any], field: str
) -> None:
    operator = await api.caller(Scope.OPERATE)

    answered = await operator.post("/v1/launches/retry", json=order)

    assert answered.status_code == 422
    assert [fault["field"] for fault in answered.json()["errors"]] == [field]


async def test_another_tenants_dead_launch_stays_dead(api: Api, database_url: str) -> None:
    await a_dead_launch(api, database_url, "d-1")
    stranger = await api.caller(Scope.OPERATE, tenants=["globex"])

    answered = await stranger.post(
        "/v1/launches/retry", json={"event_id": "d-1", "reason": "let me try"}
    )

    assert answered.json() == {"retried": []}
    assert (await stranger.get("/v1/launches")).json()["launches"] == []


async def test_the_console_lists_dead_launches_and_tries_one_again(
    api: Api, database_url: str
) -> None:
    await a_dead_launch(api, database_url, "d-1")
    client = await visitor(api, Scope.OPERATE)

    listed = (await client.get("/console/launches?status=dead")).text
    answered = await send(
        client,
        "/console/launches?status=dead",
        "/console/launches/retry",
        event_id="d-1",
        trigger_id="onboarding",
        of="acme",
        reason="the role has the right now",
    )

    assert "no right" in listed
    assert answered.status_code == 303
    assert one_row(
        database_url, "SELECT status FROM workflow_event_launches WHERE event_id = 'd-1'"
    ) == ("pending",)
    shown = (await client.get(answered.headers["location"])).text
    assert "1 launch is tried again" in shown


async def test_a_retry_starts_what_the_corrected_trigger_names(api: Api, database_url: str) -> None:
    await a_dead_launch(api, database_url, "d-1")
    corrected = a_trigger("onboarding", workflow="Onboarding", task_queue="right")
    await apply_triggers(api.database, [corrected], actor="test")
    operator = await api.caller(Scope.OPERATE)

    await operator.post("/v1/launches/retry", json={"event_id": "d-1", "reason": "corrected"})

    launch = one_row(
        database_url,
        "SELECT workflow_type, task_queue, status FROM workflow_event_launches"
        " WHERE event_id = 'd-1'",
    )
    assert launch == ("Onboarding", "right", "pending")
