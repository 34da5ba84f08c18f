"""Why is my workflow still waiting?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from correlation.closing import Closing
from correlation.reason import Reason
from correlation.rules import compile_rules
from pointsman.contract import Disposition
from routing.database import Database, DatabaseLimits, open_database
from routing.delivery_store import DeliveryStatus, DeliveryStore, Settlement
from routing.explain_records import RunExplanation, WaitExplanation
from routing.explain_run import explain_run
from routing.matching import Matcher
from routing.waits import Waits
from tests.builders import a_task, a_wait, an_event, incoming
from tests.rows import execute

WORKFLOW = "order-7"


async def explained(database: Database, workflow_id: str = WORKFLOW) -> RunExplanation:
    [explanation] = await explain_run(database, workflow_id, tenant="acme", behind_wall=True)
    return explanation


async def the_wait(database: Database) -> WaitExplanation:
    [wait] = (await explained(database)).waits
    return wait


async def test_a_workflow_without_waits_has_no_explanation(database: Database) -> None:
    explanations = await explain_run(database, "nobody")

    assert list(explanations) == []


async def test_it_tells_what_an_unanswered_workflow_waits_for(
    database: Database, waits: Waits
) -> None:
    await waits.register([a_wait(key="7", workflow_id=WORKFLOW)])

    explanation = await explained(database)

    assert explanation.sentences == ("order-7 waits for INVOICE_PAID with the key '7'.",)
    assert "No such event has come while it waited." in explanation.waits[0].sentences
    assert explanation.what_to_do


async def test_a_workflow_that_waits_for_a_person_is_said_to(
    database: Database, waits: Waits
) -> None:
    await waits.register([a_task(wait_id="approval-7", workflow_id=WORKFLOW)])

    explanation = await explained(database)

    assert explanation.sentences == ("order-7 waits for a person to complete task approval-7.",)
    assert explanation.what_to_do == (
        "Let somebody complete task approval-7: see `pointsman tasks show`.",
    )


async def test_the_key_under_another_name_is_found_also_beside_a_primary_one(
    database: Database, waits: Waits, matcher: Matcher
) -> None:
    await waits.register([a_wait(key="7", workflow_id=WORKFLOW)])
    rules = compile_rules({"INVOICE_SENT": ["number", "copy"]})
    sent = an_event(name="INVOICE_SENT", event_id="sent", payload={"number": "1", "copy": "7"})
    await matcher.record([incoming(name="INVOICE_SEEN", event_id="seen", key="7")])
    await matcher.record([incoming(sent, rules=rules)])

    missed = (await the_wait(database)).missed_events

    assert {(each.kind, each.event.event_id) for each in missed} == {
        ("other_name", "seen"),
        ("other_name", "sent"),
    }


async def test_a_resembling_key_and_a_keyless_event_of_the_name_are_found(
    database: Database, waits: Waits, matcher: Matcher
) -> None:
    await waits.register([a_wait(key="INV-7", workflow_id=WORKFLOW)])
    await matcher.record([incoming(event_id="lower", key="inv-7"), incoming(event_id="keyless")])

    missed = (await the_wait(database)).missed_events

    assert {(each.kind, each.event.event_id, each.resemblance) for each in missed} == {
        ("other_key", "lower", "case"),
        ("unresolved", "keyless", None),
    }
    assert any(Reason.NO_RULE.value in each.sentence for each in missed)


async def test_an_event_before_the_wait_is_told_with_the_look_back_that_was_too_short(
    database: Database, database_url: str, waits: Waits, matcher: Matcher
) -> None:
    await matcher.record([incoming(event_id="early", key="7")])
    execute(
        database_url,
        "UPDATE workflow_runtime_events SET received_at = received_at - interval '1 hour'",
    )
    await waits.register(
        [a_wait(key="7", workflow_id=WORKFLOW, wait_id="w-7", lookback=timedelta(minutes=5))]
    )

    [missed] = (await the_wait(database)).missed_events

    assert (missed.kind, missed.event.event_id) == ("before_the_wait", "early")
    assert "it looks back 5 min only" in missed.sentence
    assert missed.what_to_do.startswith("Hand event early to wait w-7")


async def test_a_wait_without_look_back_is_offered_nothing_from_before_it(
    database: Database, waits: Waits, matcher: Matcher
) -> None:
    await matcher.record(
        [
            incoming(event_id="early", key="INV-7"),
            incoming(event_id="spelt-otherwise", key="inv-7"),
            incoming(event_id="keyless"),
            incoming(event_id="other-name", name="INVOICE_SENT", key="INV-7"),
        ]
    )
    await waits.register([a_wait(key="INV-7", workflow_id=WORKFLOW)])

    wait = await the_wait(database)

    assert wait.missed_events == ()
    assert "No such event has come while it waited." in wait.sentences


async def test_it_waits_until_its_own_time_out_and_not_until_it_is_retired(
    database: Database, waits: Waits
) -> None:
    gives_up = datetime(2999, 1, 1, 12, tzinfo=UTC)
    await waits.register(
        [
            a_wait(
                key="7",
                workflow_id=WORKFLOW,
                times_out_at=gives_up,
                expires_at=gives_up + timedelta(hours=1),
            )
        ]
    )

    wait = await the_wait(database)

    assert wait.sentences[0].endswith("until 2999-01-01 12:00:00 UTC.")


async def test_an_event_that_the_look_back_took_was_not_missed(
    database: Database, waits: Waits, matcher: Matcher
) -> None:
    await matcher.record([incoming(event_id="early", key="7")])
    await waits.register([a_wait(key="7", workflow_id=WORKFLOW, lookback=timedelta(minutes=1))])

    wait = await the_wait(database)

    assert wait.missed_events == ()
    assert "Event early is on its way." in wait.sentences


async def test_a_dead_delivery_and_a_refused_event_are_told_with_what_to_do(
    database: Database, waits: Waits, matcher: Matcher, store: DeliveryStore
) -> None:
    await waits.register([a_wait(key="7", workflow_id=WORKFLOW, wait_id="w-7")])
    recorded = await matcher.record(
        [incoming(event_id="huge", key="7"), incoming(event_id="refused", key="7")]
    )
    await store.settle(
        [
            Settlement(recorded.deliveries[0], DeliveryStatus.DEAD, Reason.PAYLOAD_TOO_LARGE),
            Settlement(recorded.deliveries[1], DeliveryStatus.DELIVERED),
        ]
    )
    wait = a_wait(key="7", wait_id="w-7")
    await waits.close(
        [Closing(wait.tenant, wait.wait_id, Disposition.FILTERED, event_id="refused")]
    )

    explanation = await the_wait(database)

    assert "Event huge could not be signalled (payload_too_large)." in explanation.sentences
    assert "Event refused reached it; the workflow's own filter refused it." in (
        explanation.sentences
    )
    assert any("2 MiB" in fix for fix in explanation.what_to_do)
    assert any("filter" in fix for fix in explanation.what_to_do)


async def test_a_run_of_another_tenant_is_not_seen_behind_the_wall(
    database: Database, waits: Waits
) -> None:
    await waits.register([a_wait(key="7", workflow_id=WORKFLOW, tenant="globex")])

    explanations = await explain_run(database, WORKFLOW, tenant="acme", behind_wall=True)

    assert list(explanations) == []


async def test_an_event_that_only_another_tenant_has_is_said_without_showing_it(
    database: Database, waits: Waits, matcher: Matcher
) -> None:
    await waits.register([a_wait(key="7", workflow_id=WORKFLOW)])
    await waits.register([a_wait(key="8", workflow_id=WORKFLOW, wait_id="another")])
    await matcher.record([incoming(tenant="globex", event_id="theirs", key="7")])

    [explanation] = await explain_run(database, WORKFLOW, tenant="acme", across_tenants=True)

    by_key = {each.wait.correlation_key: each for each in explanation.waits}
    said = "An event of another tenant has, or had, this name and key."
    assert said in by_key["7"].sentences
    assert said not in by_key["8"].sentences
    assert any("'acme' is the right tenant" in fix for fix in by_key["7"].what_to_do)
    assert "theirs" not in repr(explanation)
    assert "globex" not in repr(explanation)


async def test_a_pool_of_one_connection_is_enough(database_url: str) -> None:
    limits = DatabaseLimits(connections=1)
    async with open_database(database_url, limits) as database:
        await Waits(database).register([a_wait(key="7", workflow_id=WORKFLOW)])

        explanations = await explain_run(database, WORKFLOW, tenant="acme", behind_wall=True)

    assert [explanation.tenant for explanation in explanations] == ["acme"]
