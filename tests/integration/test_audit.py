"""The audit's answers on a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from correlation.closing import Closing
from correlation.reason import Outcome, Reason
from correlation.rules import compile_rules
from pointsman.contract import Disposition
from routing.audit import count_outcomes, event_story, list_events, list_waits
from routing.audit_pages import EventQuery
from routing.audit_records import AuditLine, EventStory, WaitFilter, WaitLine
from routing.database import Database, DatabaseLimits, open_database
from routing.delivery_store import DeliveryStatus, DeliveryStore, Settlement
from routing.incoming import Origin, RejectedEntry
from routing.matching import Matcher, Matching
from routing.waits import Waits
from tests.builders import a_wait, an_event, incoming

LEASE = timedelta(seconds=60)


class Audited:
    """A database with the parts that fill it, and the audit's answers."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.matcher = Matcher(database, Matching(owner="test"))
        self.waits = Waits(database)
        self.deliveries = DeliveryStore(database, "test", LEASE)

    async def listed(
        self, wanted: EventQuery | None = None, *, tenant: str | None = None, limit: int = 50
    ) -> Sequence[AuditLine]:
        async with self.database.transaction() as connection:
            return await list_events(connection, wanted or EventQuery(), tenant=tenant, limit=limit)

    async def waiting(self, wanted: WaitFilter | None = None) -> Sequence[WaitLine]:
        async with self.database.transaction() as connection:
            return await list_waits(connection, wanted or WaitFilter())

    async def stories(self, event_id: str, tenant: str | None = None) -> Sequence[EventStory]:
        async with self.database.transaction() as connection:
            return await event_story(connection, event_id, tenant)

    async def story(self, event_id: str) -> EventStory:
        [story] = await self.stories(event_id)
        return story


@pytest.fixture
async def audited(database_url: str) -> AsyncIterator[Audited]:
    async with open_database(database_url, DatabaseLimits(connections=2)) as database:
        yield Audited(database)


def an_unreadable(entry_id: str, *, tenant: str = "", event_id: str | None = None) -> RejectedEntry:
    return RejectedEntry(
        origin=Origin("test", entry_id),
        outcome=Outcome.MALFORMED,
        reason=Reason.INVALID_JSON,
        detail="the payload ends too early",
        raw=b'[["payload_json","{"]]',
        tenant=tenant,
        event_id=event_id,
    )


async def test_events_and_rejected_entries_are_listed_together_the_newest_first(
    audited: Audited,
) -> None:
    await audited.matcher.record([incoming(event_id="first", key="7")])
    await audited.matcher.record([], [an_unreadable("5-0")])
    await audited.matcher.record([incoming(event_id="last", tenant="globex")])

    lines = await audited.listed()

    assert [(line.tenant, line.event_id, line.outcome) for line in lines] == [
        ("globex", "last", Outcome.UNRESOLVED),
        ("", None, Outcome.MALFORMED),
        ("acme", "first", Outcome.NO_WAIT),
    ]


async def test_the_list_counts_whom_an_event_met_and_who_was_told(audited: Audited) -> None:
    await audited.waits.register([a_wait(key="7"), a_wait(key="7")])
    recorded = await audited.matcher.record([incoming(key="7")])
    await audited.deliveries.settle([Settlement(recorded.deliveries[0], DeliveryStatus.DELIVERED)])

    [line] = await audited.listed()

    assert (line.matched, line.delivered) == (2, 1)


@pytest.mark.parametrize(
    ("wanted", "bounds", "found"),
    [
        (EventQuery(), {"tenant": "globex"}, ["paid-globex"]),
        (EventQuery(name="TICKET_CLOSED"), {}, ["closed"]),
        (EventQuery(key="second"), {}, ["closed"]),
        (EventQuery(key="foo"), {}, ["paid-globex"]),
        (EventQuery(key="fo"), {}, []),
        (EventQuery(outcome=Outcome.UNRESOLVED), {}, ["keyless"]),
        (EventQuery(reason="invalid_json"), {}, ["broken"]),
        (EventQuery(outcome=Outcome.MALFORMED), {"tenant": "acme"}, ["broken"]),
        (EventQuery(), {"limit": 1}, ["broken"]),
        (EventQuery(since=datetime(2999, 1, 1, tzinfo=UTC)), {}, []),
    ],
    ids=str,
)
async def test_a_filter_narrows_the_list_of_events(
    audited: Audited, wanted: EventQuery, bounds: dict[str, Any], found: list[str]
) -> None:
    rules = compile_rules({"TICKET_CLOSED": ["first", "second"]})
    closed = an_event(
        event_id="closed", name="TICKET_CLOSED", payload={"first": "first", "second": "second"}
    )
    await audited.matcher.record(
        [
            incoming(event_id="paid-globex", tenant="globex", key="foo"),
            incoming(closed, rules=rules),
            incoming(event_id="keyless"),
        ]
    )
    await audited.matcher.record([], [an_unreadable("5-0", tenant="acme", event_id="broken")])

    lines = await audited.listed(wanted, **bounds)

    assert [line.event_id for line in lines] == found


async def test_a_story_names_the_run_that_an_event_woke(audited: Audited) -> None:
    wait = a_wait(key="7", workflow_id="order-7")
    await audited.waits.register([wait])
    recorded = await audited.matcher.record([incoming(event_id="paid", key="7")])
    await audited.deliveries.settle([Settlement(recorded.deliveries[0], DeliveryStatus.DELIVERED)])
    await audited.waits.close(
        [Closing(wait.tenant, wait.wait_id, Disposition.ACCEPTED, event_id="paid")]
    )

    story = await audited.story("paid")

    [delivery] = story.deliveries
    assert (delivery.workflow_id, delivery.status) == ("order-7", "delivered")
    assert (delivery.disposition, delivery.wait_status) == ("accepted", "closed")
    [sentence] = story.sentences
    assert sentence.startswith("It woke order-7 ")
    assert sentence.endswith("the workflow accepted it.")


async def test_a_story_says_why_a_run_could_not_be_woken(audited: Audited) -> None:
    await audited.waits.register([a_wait(key="7", workflow_id="order-7")])
    recorded = await audited.matcher.record([incoming(event_id="paid", key="7")])
    await audited.deliveries.settle(
        [
            Settlement(
                recorded.deliveries[0],
                DeliveryStatus.DEAD,
                reason=Reason.RUN_CLOSED,
                detail="workflow execution already completed",
            )
        ]
    )

    story = await audited.story("paid")

    [sentence] = story.sentences
    assert sentence.startswith("It could not wake order-7 ")
    assert "run_closed after 1 try" in sentence


async def test_a_story_says_that_nobody_waited_for_the_key(audited: Audited) -> None:
    await audited.waits.register([a_wait(key="foobar")])
    await audited.matcher.record([incoming(event_id="paid", key="foo")])

    story = await audited.story("paid")

    assert story.deliveries == ()
    assert story.sentences[0] == (
        "It woke nobody: no run of tenant acme waited for INVOICE_PAID with the key 'foo' "
        "when it came."
    )
    assert "can still take it" in story.sentences[1]


async def test_a_story_says_why_an_event_has_no_key(audited: Audited) -> None:
    await audited.matcher.record([incoming(event_id="paid")])

    story = await audited.story("paid")

    assert story.event is not None
    assert story.event.keys == ()
    first, second = story.sentences[:2]
    assert first.startswith("It woke nobody: it carries no correlation key, and no rule says")
    assert first.endswith("(no_rule).")
    assert second == f"What was read: {story.event.detail}."


async def test_a_story_has_one_part_for_each_tenant_of_the_id(audited: Audited) -> None:
    twins = [incoming(event_id="twin", key="7", tenant=tenant) for tenant in ("acme", "globex")]
    await audited.matcher.record(twins)

    both = await audited.stories("twin")
    one = await audited.stories("twin", tenant="globex")

    assert [story.tenant for story in both] == ["acme", "globex"]
    assert [story.tenant for story in one] == ["globex"]


async def test_a_conflicting_duplicate_stands_beside_the_first_event(audited: Audited) -> None:
    await audited.matcher.record([incoming(event_id="paid", key="7", payload={"amount": 1})])
    await audited.matcher.record([incoming(event_id="paid", key="7", payload={"amount": 2})])

    story = await audited.story("paid")

    assert story.event is not None
    assert story.event.payload == '{"amount": 1}'
    [conflict] = story.rejected
    assert conflict.reason == Reason.CONFLICTING_DUPLICATE
    assert any("with other content" in sentence for sentence in story.sentences)


async def test_a_redelivery_is_told_and_changes_nothing(audited: Audited) -> None:
    event = an_event(event_id="paid", key="7")
    await audited.matcher.record([incoming(event)])
    await audited.matcher.record([incoming(event)])

    story = await audited.story("paid")

    assert story.rejected == ()
    assert story.sentences[-1] == "It came again once with the same content; that changed nothing."


async def test_an_entry_without_an_event_id_is_found_by_its_entry_id(audited: Audited) -> None:
    await audited.matcher.record([], [an_unreadable("5-0"), an_unreadable("6-0")])

    story = await audited.story("5-0")

    assert story.event is None
    assert story.sentences == (
        "Entry 5-0 of test woke nobody: it is no event (invalid_json): the payload ends too early.",
    )


async def test_an_unknown_id_has_no_story(audited: Audited) -> None:
    assert await audited.stories("nothing") == []


async def test_open_waits_are_listed_by_name_and_key_the_oldest_first(audited: Audited) -> None:
    waits = [
        a_wait(key="b", wait_id="third"),
        a_wait(key="a", wait_id="first"),
        a_wait(key="a", wait_id="second"),
        a_wait(key="a", wait_id="closed"),
    ]
    await audited.waits.register(waits)
    await audited.waits.close([Closing(waits[3].tenant, waits[3].wait_id, Disposition.CANCELLED)])

    lines = await audited.waiting()
    everything = await audited.waiting(WaitFilter(closed_too=True))

    assert [line.wait_id for line in lines] == ["first", "second", "third"]
    assert [line.status for line in everything if line.wait_id == "closed"] == ["closed"]
    assert len(everything) == 4


async def test_waits_are_found_by_their_workflow(audited: Audited) -> None:
    await audited.waits.register([a_wait(workflow_id="order-1"), a_wait(workflow_id="order-12")])

    lines = await audited.waiting(WaitFilter(workflow_id="order-1"))

    assert [line.workflow_id for line in lines] == ["order-1"]


async def test_outcomes_are_counted_by_tenant_and_reason(audited: Audited) -> None:
    await audited.matcher.record(
        [incoming(), incoming(), incoming(tenant="globex", key="7")], [an_unreadable("5-0")]
    )

    async with audited.database.transaction() as connection:
        counts = await count_outcomes(connection)

    assert [(count.tenant, count.outcome, count.reason, count.count) for count in counts] == [
        ("", Outcome.MALFORMED, "invalid_json", 1),
        ("acme", Outcome.UNRESOLVED, "no_rule", 2),
        ("globex", Outcome.NO_WAIT, "no_open_wait", 1),
    ]
