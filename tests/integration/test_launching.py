"""Events launch workflows on a real Temporal server: once each, and none holds up another."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from routing.audit import event_story
from routing.faults import DatabaseUnavailable
from routing.incoming import IncomingEvent
from routing.matching import Matcher, Matching
from tests.conftest import TemporalTarget
from tests.integration.faulty_database import Fault, FaultyDatabase
from tests.integration.launches import Rig, a_rig, a_trigger
from tests.namespaces import a_namespace
from tests.rows import execute, one_row
from tests.running import in_background
from tests.waiting import wait_until


@pytest.fixture
async def client(temporal: TemporalTarget) -> Client:
    return await Client.connect(temporal.address, namespace=temporal.namespace)


@pytest.fixture
async def rig(database_url: str, client: Client) -> AsyncIterator[Rig]:
    async with a_rig(database_url, client) as rig:
        yield rig


async def sentences(rig: Rig, event_id: str) -> str:
    async with rig.database.transaction() as connection:
        [story] = await event_story(connection, event_id)
    return " ".join(story.sentences)


async def test_an_event_without_a_key_launches_its_trigger_and_wakes_nobody(rig: Rig) -> None:
    await rig.apply(a_trigger())
    await rig.waits.register([rig.wait(key="7")])

    await rig.publish(event_id="e-1", payload={"client": {"id": 7}})

    [launch] = await rig.settled()
    assert (launch["status"], launch["attempts"]) == ("launched", 1)
    assert (await rig.client.get_workflow_handle(launch["workflow_id"]).describe()).run_id
    told = await sentences(rig, "e-1")
    assert "It met no wait: it carries no correlation key" in told
    assert "(no_rule)" in told
    assert f"It started Collector {launch['workflow_id']} (trigger onboarding)." in told


async def test_a_launch_gets_the_whole_event_as_its_publisher_wrote_it(rig: Rig) -> None:
    await rig.apply(a_trigger())

    await rig.publish(event_id="e-1", key="7", payload={"größe": 1, "list": [1, {"a": None}]})

    [launch] = await rig.settled()
    argument = await rig.first_argument(launch["workflow_id"])
    assert argument["payload"] == {"größe": 1, "list": [1, {"a": None}]}
    assert (argument["tenant"], argument["eventId"], argument["correlationKey"]) == (
        rig.of("acme"),
        "e-1",
        "7",
    )
    assert (argument["eventName"], launch["input"]) == ("CLIENT_CREATED", None)


async def test_a_mapping_makes_the_input_from_paths_fields_and_constants(rig: Rig) -> None:
    mapping = {
        "clientId": {"path": "client.id"},
        "contacts": {"path": "$.client.contacts[*].mail"},
        "plan": {"path": "client.plan", "default": "basic"},
        "missing": {"path": "client.nothing"},
        "event": {"event": "id"},
        "source": {"value": {"system": "crm", "priority": 3}},
    }
    await rig.apply(a_trigger(input=mapping))

    await rig.publish(
        event_id="e-1",
        payload={"client": {"id": 7, "contacts": [{"mail": "a@x"}, {"mail": "b@x"}]}},
    )

    [launch] = await rig.settled()
    assert await rig.first_argument(launch["workflow_id"]) == {
        "clientId": 7,
        "contacts": ["a@x", "b@x"],
        "plan": "basic",
        "event": "e-1",
        "source": {"system": "crm", "priority": 3},
    }


async def test_a_condition_that_is_not_met_launches_nothing_and_the_audit_says_so(
    rig: Rig,
) -> None:
    await rig.apply(a_trigger(where={"client.plan": ["gold", "silver"]}))

    await rig.publish(event_id="e-1", payload={"client": {"plan": "basic"}})
    await rig.publish(event_id="e-2", payload={"client": {"plan": "gold"}})

    refused, launched = await rig.settled(2)
    assert (refused["status"], refused["reason"]) == ("skipped", "filter_refused")
    assert launched["status"] == "launched"
    assert "Trigger onboarding started no Collector: filter_refused" in await sentences(rig, "e-1")


@pytest.mark.parametrize(
    "stored", ['{"a": "$..every"}', '{"a": {"const": 1, "other": 2}}', "[1]", '"a"']
)
async def test_a_stored_trigger_that_cannot_be_read_costs_the_event_and_its_neighbours_nothing(
    rig: Rig, stored: str
) -> None:
    await rig.apply(a_trigger(), a_trigger("broken"))
    async with rig.database.transaction() as connection:
        # As another release may have left it; the column takes JSON alone.
        await connection.execute(
            "UPDATE workflow_event_triggers SET input_mapping = %(stored)s::jsonb"
            " WHERE trigger_id = 'broken'",
            {"stored": stored},
        )

    await rig.publish(event_id="e-1", payload={"a": 1})

    broken, launched = sorted(await rig.settled(2), key=lambda launch: launch["trigger_id"])
    assert (broken["status"], broken["reason"]) == ("skipped", "trigger_unusable")
    assert launched["status"] == "launched"


async def test_an_event_that_comes_again_launches_nothing_more(rig: Rig) -> None:
    await rig.apply(a_trigger())
    event = rig.incoming(event_id="e-1", payload={"a": 1})

    for _ in range(3):
        await rig.matcher.record([event, event])
        rig.outgoing.wake()

    [launch] = await rig.settled()
    assert await rig.runs_of_eventually(launch["workflow_id"]) == 1


async def test_a_trigger_made_after_an_event_does_not_launch_for_its_redelivery(rig: Rig) -> None:
    event = rig.incoming(event_id="e-1")
    await rig.matcher.record([event])
    await rig.apply(a_trigger())

    recorded = await rig.matcher.record([event])

    assert (recorded.left_to_claim, rig.launches()) == (0, [])


async def test_a_commit_that_nobody_heard_of_launches_once(
    database_url: str, client: Client
) -> None:
    async with a_rig(database_url, client, sending=False) as rig:
        await rig.apply(a_trigger())
        event = rig.incoming(event_id="e-1")
        await _record_breaking(rig, event, Fault.KILLED)
        assert rig.launches() == []
        await _record_breaking(rig, event, Fault.UNANSWERED)

        # Nothing was started between the commit and the crash: another process does.
        async with a_rig(database_url, client) as successor:
            await successor.matcher.record([event])
            [launch] = await successor.settled()

            assert await successor.runs_of_eventually(launch["workflow_id"]) == 1


async def test_a_start_whose_answer_was_lost_is_the_same_launch_again(rig: Rig) -> None:
    await rig.apply(a_trigger())
    await rig.publish(event_id="e-1")
    [launch] = await rig.settled()

    execute(
        rig.url,
        "UPDATE workflow_event_launches SET status = 'pending', run_id = NULL, due_at = now()",
    )
    rig.outgoing.wake()

    [again] = await rig.settled()
    assert (again["status"], again["reason"]) == ("launched", None)
    assert again["run_id"] == launch["run_id"]


async def test_a_launch_of_a_closed_run_is_not_started_again(rig: Rig) -> None:
    await rig.apply(a_trigger())
    await rig.publish(event_id="e-1")
    [launch] = await rig.settled()
    await rig.client.get_workflow_handle(launch["workflow_id"]).terminate()

    execute(
        rig.url,
        "UPDATE workflow_event_launches SET status = 'pending', run_id = NULL, due_at = now()",
    )
    rig.outgoing.wake()

    [again] = await rig.settled()
    assert (again["status"], again["run_id"]) == ("launched", launch["run_id"])


async def test_a_workflow_that_somebody_else_started_under_the_id_is_success(
    database_url: str, client: Client
) -> None:
    async with a_rig(database_url, client, sending=False) as rig:
        await rig.apply(a_trigger())
        await rig.record(event_id="e-1")
        [waiting] = rig.launches()
        await client.start_workflow(
            "Other", id=waiting["workflow_id"], task_queue=f"nobody-{waiting['workflow_id']}"
        )

        async with in_background(rig.outgoing.run()):
            [launch] = await rig.settled()

        assert (launch["status"], launch["reason"]) == ("launched", "already_started")
        assert "was started already; nothing was started twice" in await sentences(rig, "e-1")


async def test_one_failing_launch_stops_neither_the_other_nor_a_signal(
    rig: Rig, temporal: TemporalTarget
) -> None:
    handle = await rig.client.start_workflow(
        "Waiting", id=f"waiting-{temporal.task_queue}", task_queue=temporal.task_queue
    )
    await rig.waits.register([rig.wait(key="7", workflow_id=handle.id, wait_id="w-1")])
    too_long = {"big": {"value": "x" * 3_000_000}}
    await rig.apply(a_trigger("a-failing", input=too_long), a_trigger("b-good"))

    await rig.publish(event_id="e-1", key="7")

    failing, good = await rig.settled(2)
    assert (failing["status"], failing["reason"]) == ("dead", "payload_too_large")
    assert good["status"] == "launched"
    await wait_until(
        lambda: one_row(rig.url, "SELECT status FROM workflow_event_deliveries") == ("delivered",),
        description="the signal was delivered",
    )


async def test_a_missing_namespace_is_tried_again_until_it_is_there(
    database_url: str, temporal: TemporalTarget
) -> None:
    name = f"later-{uuid.uuid4().hex[:8]}"
    nowhere = await Client.connect(temporal.address, namespace=name, lazy=True)
    async with a_rig(database_url, nowhere) as rig:
        await rig.apply(a_trigger())
        await rig.publish(event_id="e-1")
        await wait_until(
            lambda: any(row["reason"] == "namespace_not_found" for row in rig.launches()),
            description="the launch tells why it is not through",
        )

        [waiting] = rig.launches()
        assert waiting["status"] == "pending"
    there = await a_namespace(temporal, name)
    async with a_rig(database_url, there) as rig:
        execute(database_url, "UPDATE workflow_event_launches SET due_at = now()")
        [launch] = await rig.settled()
        assert launch["status"] == "launched"


async def test_start_or_resume_launches_only_when_no_wait_takes_the_event(rig: Rig) -> None:
    await rig.apply(a_trigger(only_without_wait=True))
    await rig.waits.register([rig.wait(key="taken", wait_id="w-1")])

    await rig.publish(event_id="e-1", key="taken")
    await rig.publish(event_id="e-2", key="free")
    await rig.publish(event_id="e-3")

    taken, free, unresolved = await rig.settled(3)
    assert (taken["status"], taken["reason"]) == ("skipped", "wait_took_event")
    assert (free["status"], unresolved["status"]) == ("launched", "launched")


@pytest.mark.parametrize("rounds", [20])
async def test_start_or_resume_never_does_both_and_never_neither(
    database_url: str, client: Client, rounds: int
) -> None:
    """A wait that is being registered while the event comes either takes it or it launches."""
    async with a_rig(database_url, client, sending=False) as rig:
        await rig.apply(a_trigger(only_without_wait=True))
        for number in range(rounds):
            key = f"key-{number}"
            wait = rig.wait(key=key, wait_id=f"w-{number}")
            await asyncio.gather(
                rig.waits.register([wait]), rig.record(event_id=f"e-{number}", key=key)
            )

    skipped = {row["event_id"] for row in rig.launches() if row["status"] == "skipped"}
    launching = {row["event_id"] for row in rig.launches() if row["status"] == "pending"}
    matched = one_row(
        database_url,
        "SELECT coalesce(array_agg(event_id), '{}') FROM workflow_event_deliveries",
    )[0]
    assert isinstance(matched, list)
    assert skipped == set(matched)
    assert len(skipped) + len(launching) == rounds


async def test_triggers_of_another_tenant_or_name_and_disabled_ones_launch_nothing(
    rig: Rig,
) -> None:
    await rig.apply(
        a_trigger("other-tenant", tenant="globex"),
        a_trigger("other-name", event="CLIENT_DELETED"),
        a_trigger("disabled", enabled=False),
    )

    recorded = await rig.record(event_id="e-1")

    assert (recorded.left_to_claim, rig.launches()) == (0, [])


async def test_two_tenants_with_the_same_ids_start_two_workflows(rig: Rig) -> None:
    await rig.apply(a_trigger(), a_trigger(tenant="globex"))

    await rig.publish(event_id="e-1", tenant="acme")
    await rig.publish(event_id="e-1", tenant="globex")

    one, other = await rig.settled(2)
    assert one["workflow_id"] != other["workflow_id"]


async def test_a_leased_launch_of_a_dead_process_is_taken_over(
    database_url: str, client: Client
) -> None:
    async with a_rig(database_url, client, sending=False) as rig:
        await rig.apply(a_trigger())
        await rig.record(event_id="e-1")
        [leased] = await rig.store.claim(10)
        assert await rig.store.claim(10) == []

        execute(database_url, "UPDATE workflow_event_launches SET due_at = now()")
        async with in_background(rig.outgoing.run()):
            [launch] = await rig.settled()

        assert (launch["status"], leased.workflow_id) == ("launched", launch["workflow_id"])


async def test_numbers_reach_the_input_digit_for_digit(rig: Rig) -> None:
    await rig.apply(a_trigger(input={"exact": {"path": "n"}, "constant": {"value": 2**70}}))

    await rig.record(event_id="e-1", payload={"n": 9007199254740993})

    [launch] = rig.launches()
    assert json.loads(launch["input"]) == {"exact": 9007199254740993, "constant": 2**70}


async def _record_breaking(rig: Rig, event: IncomingEvent, fault: Fault) -> None:
    faulty = FaultyDatabase(rig.database)
    faulty.break_once(fault)
    with pytest.raises(DatabaseUnavailable):
        await Matcher(faulty, Matching(owner="me")).record([event])


@pytest.mark.parametrize(
    ("mapping", "argument"),
    [
        ("$", {"client": {"id": 7}}),
        ("$.client", {"id": 7}),
        (
            {"payload.clientId": {"path": "client.id"}, "raw": "$"},
            {"payload": {"clientId": 7}, "raw": {"client": {"id": 7}}},
        ),
    ],
)
async def test_an_input_is_nested_or_the_payload_itself(
    rig: Rig, mapping: object, argument: object
) -> None:
    await rig.apply(a_trigger(input=mapping))

    await rig.publish(event_id="e-1", payload={"client": {"id": 7}})

    [launch] = await rig.settled()
    assert await rig.first_argument(launch["workflow_id"]) == argument
