"""Human tasks in the database: asked once, completed once, whichever way the answer comes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from correlation.closing import Closing
from correlation.reason import Outcome, Reason
from correlation.rules import NO_RULES
from pointsman.contract import (
    HUMAN_TASK_COMPLETED,
    HUMAN_TASK_SIGNAL,
    Disposition,
    EventSignal,
    HumanTaskCompleted,
)
from routing.binding import Handing, NotBound, bind
from routing.database import Database
from routing.delivery_store import DeliveryStore
from routing.incoming import IncomingEvent
from routing.matching import Matcher
from routing.replay import Replayer
from routing.task_pages import TaskQuery, find_tasks, history_of_task, page_of_tasks
from routing.task_records import Person, TaskDone, TaskRefusal, TaskRefused, TaskStatus
from routing.tasks import TaskDesk
from routing.temporal import signal_text
from routing.waits import Wait, Waits
from tests.builders import a_task, incoming
from tests.rows import execute, one_row

ADA = Person("token:ada", "token:ada")
BOB = Person("token:bob", "token:bob")
ANSWER = {"amount": 7}


@pytest.fixture
def desk(database: Database) -> TaskDesk:
    return TaskDesk(database, timedelta(days=7))


def completion(task: Wait, answer: object = ANSWER, **terms: Any) -> IncomingEvent:
    """The event that completes a task, as a publisher sends it."""
    payload = {"taskId": task.wait_id, "answer": answer, **terms.pop("payload", {})}
    return incoming(name=HUMAN_TASK_COMPLETED, payload=payload, **terms)


async def complete(
    desk: TaskDesk, task: Wait, person: Person = ADA, answer: Mapping[str, Any] = ANSWER
) -> TaskDone | TaskRefusal:
    return await desk.complete("acme", task.wait_id, person, answer, NO_RULES)


async def status_of(database: Database, task: Wait) -> TaskStatus:
    async with database.transaction() as connection:
        [found] = await find_tasks(connection, ["acme"], task.wait_id)
    return found.status


async def test_an_answer_goes_to_the_workflow_as_a_delivery_of_its_own_signal(
    desk: TaskDesk, waits: Waits, store: DeliveryStore, database: Database
) -> None:
    task = a_task()
    await waits.register([task])

    end = await complete(desk, task)

    assert isinstance(end, TaskDone)
    [delivery] = await store.claim(10)
    assert delivery.signal_name == HUMAN_TASK_SIGNAL
    assert (delivery.wait_id, delivery.workflow_id) == (task.wait_id, task.workflow_id)
    assert delivery.event_id == end.event_id
    assert '"answer": {"amount": 7}' in delivery.payload_text
    assert '"completedBy": "token:ada"' in delivery.payload_text
    assert await status_of(database, task) is TaskStatus.COMPLETED


async def test_of_two_answers_the_second_is_refused(desk: TaskDesk, waits: Waits) -> None:
    task = a_task()
    await waits.register([task])

    ends = await asyncio.gather(*(complete(desk, task, person) for person in (ADA, BOB) * 5))

    refusals = [end for end in ends if isinstance(end, TaskRefusal)]
    assert len(refusals) == 9
    assert {refusal.why for refusal in refusals} == {TaskRefused.COMPLETED}


async def test_an_answer_that_does_not_fit_the_form_changes_nothing(
    desk: TaskDesk, waits: Waits, database: Database
) -> None:
    task = a_task()
    await waits.register([task])

    end = await complete(desk, task, answer={"amount": 0})

    assert isinstance(end, TaskRefusal)
    assert end.why is TaskRefused.ANSWER_INVALID
    assert [misfit.place for misfit in end.misfits] == ["$.amount"]
    assert await status_of(database, task) is TaskStatus.OPEN


async def test_only_an_assignee_completes_an_assigned_task(desk: TaskDesk, waits: Waits) -> None:
    task = a_task(assignees=["ada"])
    await waits.register([task])

    refused = await complete(desk, task, BOB)
    done = await complete(desk, task, ADA)

    assert isinstance(refused, TaskRefusal)
    assert refused.why is TaskRefused.NOT_ASSIGNED
    assert isinstance(done, TaskDone)


async def test_a_claimed_task_is_its_claimers_until_it_is_reassigned(
    desk: TaskDesk, waits: Waits
) -> None:
    task = a_task()
    await waits.register([task])
    await desk.claim("acme", task.wait_id, ADA)

    refused = await complete(desk, task, BOB)
    await desk.reassign("acme", task.wait_id, BOB, ["bob"], "Ada is away")
    done = await complete(desk, task, BOB)

    assert isinstance(refused, TaskRefusal)
    assert refused.why is TaskRefused.CLAIMED
    assert isinstance(done, TaskDone)


async def test_what_people_did_stands_in_the_audit_with_who_did_it(
    desk: TaskDesk, waits: Waits, database: Database
) -> None:
    task = a_task()
    await waits.register([task])

    await desk.claim("acme", task.wait_id, ADA)
    await desk.comment("acme", task.wait_id, BOB, "please look at the amount")
    await desk.reassign("acme", task.wait_id, ADA, ["bob"], "his client")
    await complete(desk, task, BOB)

    async with database.transaction(tenant="acme") as connection:
        [found] = await find_tasks(connection, ["acme"], task.wait_id)
        history = await history_of_task(connection, found)
    assert [(line["actor"], line["action"], line["reason"]) for line in history] == [
        ("token:ada", "claim_task", None),
        ("token:bob", "comment_task", "please look at the amount"),
        ("token:ada", "reassign_task", "his client"),
        ("token:bob", "complete_task", None),
    ]


@pytest.mark.parametrize("disposition", [Disposition.TIMED_OUT, Disposition.CANCELLED])
async def test_a_task_that_nobody_waits_for_any_more_says_why(
    desk: TaskDesk, waits: Waits, disposition: Disposition
) -> None:
    task = a_task()
    await waits.register([task])
    await waits.close([Closing(task.tenant, task.wait_id, disposition)])

    end = await complete(desk, task)

    assert isinstance(end, TaskRefusal)
    assert end.why is TaskRefused.CLOSED
    assert disposition.value in end.detail


async def test_an_event_completes_the_task_that_it_names(
    matcher: Matcher, waits: Waits, database: Database
) -> None:
    task = a_task(assignees=["somebody"])
    await waits.register([task])

    recorded = await matcher.record([completion(task, payload={"completedBy": "crm"})])

    assert [each.signal_name for each in recorded.deliveries] == [HUMAN_TASK_SIGNAL]
    async with database.transaction() as connection:
        [found] = await find_tasks(connection, ["acme"], task.wait_id)
    assert (found.status, found.completed_by) == (TaskStatus.COMPLETED, "event:crm")


async def test_events_that_may_not_complete_a_task_are_rejected_beside_their_neighbours(
    matcher: Matcher, waits: Waits, database: Database, database_url: str
) -> None:
    task, other = a_task(), a_task()
    await waits.register([task, other])
    answers = [
        incoming(key="7"),
        completion(task, {"amount": "much"}),
        completion(task, "yes"),
        completion(task),
        completion(task, {"amount": 8}),
        completion(other),
    ]

    recorded = await matcher.record(answers)

    assert [(each.outcome, each.reason) for each in recorded.events] == [
        (Outcome.NO_WAIT, Reason.NO_OPEN_WAIT),
        (Outcome.REJECTED, Reason.ANSWER_INVALID),
        (Outcome.REJECTED, Reason.ANSWER_INVALID),
        (Outcome.MATCHED, None),
        (Outcome.REJECTED, Reason.TASK_COMPLETED),
        (Outcome.MATCHED, None),
    ]
    assert [each.wait_id for each in recorded.deliveries] == [task.wait_id, other.wait_id]
    (audited,) = one_row(database_url, "SELECT count(*) FROM workflow_rejected_entries")
    assert audited == 3


async def test_a_redelivered_completion_is_no_second_answer(matcher: Matcher, waits: Waits) -> None:
    task = a_task()
    await waits.register([task])
    event = completion(task)
    await matcher.record([event])

    recorded = await matcher.record([event])

    [again] = recorded.events
    assert (again.outcome, again.duplicate) == (Outcome.MATCHED, True)


async def test_an_event_for_a_completed_task_and_an_answer_after_an_event_are_refused(
    desk: TaskDesk, matcher: Matcher, waits: Waits
) -> None:
    by_person, by_event = a_task(), a_task()
    await waits.register([by_person, by_event])
    await complete(desk, by_person)
    await matcher.record([completion(by_event)])

    recorded = await matcher.record([completion(by_person)])
    end = await complete(desk, by_event)

    assert recorded.events[0].reason is Reason.TASK_COMPLETED
    assert isinstance(end, TaskRefusal)
    assert end.why is TaskRefused.COMPLETED


async def test_another_tenants_task_is_out_of_reach(
    desk: TaskDesk, matcher: Matcher, waits: Waits, database: Database
) -> None:
    task = a_task()
    await waits.register([task])

    end = await desk.complete("globex", task.wait_id, ADA, ANSWER, NO_RULES)
    recorded = await matcher.record([completion(task, tenant="globex")])

    assert isinstance(end, TaskRefusal)
    assert end.why is TaskRefused.UNKNOWN
    assert recorded.events[0].outcome is Outcome.NO_WAIT
    assert await status_of(database, task) is TaskStatus.OPEN


async def test_neither_replaying_nor_binding_hands_an_event_to_a_persons_task(
    matcher: Matcher, waits: Waits, database: Database
) -> None:
    task = a_task()
    early = completion(task)
    await matcher.record([early])
    await waits.register([task])

    [replayed] = await Replayer(database, timedelta(days=7)).replay(
        [early.identity], NO_RULES, actor="test"
    )
    handing = Handing(
        tenant="acme",
        event_id=early.event.event_id,
        wait_id=task.wait_id,
        actor="test",
        reason="by hand",
    )
    bound = await bind(database, handing)

    assert replayed.waits == ()
    assert isinstance(bound, NotBound)
    assert await status_of(database, task) is TaskStatus.OPEN


async def test_a_wait_registered_again_with_another_task_is_a_conflict(waits: Waits) -> None:
    first = a_task(wait_id="t")
    await waits.register([first])

    [same] = await waits.register([first])
    [other] = await waits.register([a_task(wait_id="t", title="Something else")])

    assert not same.conflict
    assert other.conflict


async def test_lists_show_my_open_tasks_and_page_through_them(
    desk: TaskDesk, waits: Waits, database: Database
) -> None:
    mine = [a_task(assignees=["ada"]), a_task(), a_task(assignees=["bob", "token:ada"])]
    others = [a_task(assignees=["bob"]), a_task(tenant="globex")]
    done = a_task()
    for task in (*mine, *others, done):
        await waits.register([task])
    await complete(desk, done)
    query = TaskQuery(names=("token:ada", "ada"))

    async with database.transaction() as connection:
        first = await page_of_tasks(connection, ["acme"], query, limit=2)
        second = await page_of_tasks(connection, ["acme"], query, after=first.next, limit=2)
        everything = await page_of_tasks(connection, None, TaskQuery(closed_too=True), limit=10)

    listed = [line.task_id for line in (*first.lines, *second.lines)]
    assert listed == [task.wait_id for task in mine]
    assert second.next is None
    assert len(everything.lines) == 6


async def test_a_task_goes_with_its_wait_when_it_is_old(
    waits: Waits, database: Database, database_url: str
) -> None:
    from routing.retention import Keeping, Retention

    task, kept = a_task(), a_task(due_at=datetime(2030, 1, 1, tzinfo=UTC))
    await waits.register([task, kept])
    await waits.close([Closing(task.tenant, task.wait_id, Disposition.TIMED_OUT)])
    execute(database_url, "UPDATE workflow_run_waits SET closed_at = closed_at - interval '9 days'")

    await Retention(database, Keeping(timedelta(days=1))).remove()

    assert one_row(database_url, "SELECT task_id FROM workflow_human_tasks") == (kept.wait_id,)


@pytest.mark.parametrize("form", [None, '{"type": "object"}'], ids=["no-form", "any-form"])
@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"approved": True}, "answer: missing, while there are approved"),
        ({"answer": None}, "answer: must be an object"),
        ({"answer": {}, "completedBy": {"name": "ada"}}, "completedBy: must be a text"),
        ({"answer": {}, "taskId": "another"}, "taskId: names another task"),
    ],
)
async def test_an_answer_in_another_shape_completes_nothing_and_is_named(
    matcher: Matcher,
    waits: Waits,
    database: Database,
    database_url: str,
    form: str | None,
    payload: dict[str, Any],
    said: str,
) -> None:
    task = a_task(form=form)
    await waits.register([task])

    recorded = await matcher.record(
        [incoming(name=HUMAN_TASK_COMPLETED, key=task.wait_id, payload=payload)]
    )

    assert recorded.events[0].reason is Reason.ANSWER_INVALID
    (detail,) = one_row(database_url, "SELECT detail FROM workflow_rejected_entries")
    assert said in str(detail)
    assert await status_of(database, task) is TaskStatus.OPEN


@pytest.mark.parametrize(
    "payload",
    [{}, {"answer": {"approved": True}}, {"answer": {"approved": True}, "source": "crm"}],
)
async def test_a_completion_without_its_task_id_reaches_the_workflow_with_it(
    matcher: Matcher, waits: Waits, payload: dict[str, Any]
) -> None:
    task = a_task(form=None)
    await waits.register([task])

    recorded = await matcher.record(
        [incoming(name=HUMAN_TASK_COMPLETED, key=task.wait_id, payload=payload)]
    )

    [delivery] = recorded.deliveries
    sent = EventSignal.model_validate_json(signal_text(delivery, "d-1"))
    assert HumanTaskCompleted.model_validate(sent.payload).taskId == task.wait_id
    assert sent.payload == {"taskId": task.wait_id, "answer": {}, **payload}
