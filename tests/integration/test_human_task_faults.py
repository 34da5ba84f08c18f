"""Human tasks when two answer at once, a commit's answer is lost, or Temporal is away."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from temporalio.client import Client, WorkflowHandle

from correlation.reason import Outcome, Reason
from correlation.rules import NO_RULES
from pointsman.contract import HUMAN_TASK_COMPLETED, HUMAN_TASK_SIGNAL
from routing import matching, task_settling
from routing.database import Connection, Database
from routing.delivery_store import DeliveryStore
from routing.dispatch import Dispatcher, DispatchLimits
from routing.faults import DatabaseContended, DatabaseUnavailable
from routing.incoming import IncomingEvent
from routing.matching import Matcher
from routing.task_pages import find_tasks
from routing.task_records import (
    Person,
    TaskDone,
    TaskEnd,
    TaskRefusal,
    TaskRefused,
    TaskStatus,
)
from routing.tasks import TaskDesk
from routing.temporal import TemporalSignaller
from routing.waits import Wait, Waits
from tests.builders import a_task, incoming
from tests.chaos.proxy import proxy_to
from tests.conftest import TemporalTarget
from tests.integration.faulty_database import Fault, FaultyDatabase
from tests.rows import one_row
from tests.running import in_background
from tests.waiting import wait_until
from tests.workflows import Collector

ADA: Final = Person("token:ada", "token:ada")
ANSWER: Final = {"amount": 7}
BUFFERED: Final = timedelta(days=7)
RACES: Final = 20

DELIVERIES: Final = "SELECT status, reason FROM workflow_event_deliveries"
COMPLETIONS: Final = """
SELECT (SELECT count(*) FROM workflow_human_tasks WHERE completed_at IS NOT NULL),
       (SELECT count(*) FROM workflow_runtime_events),
       (SELECT count(*) FROM workflow_event_deliveries),
       (SELECT count(*) FROM workflow_operator_actions WHERE action = 'complete_task')
"""


async def answered(desk: TaskDesk, task: Wait) -> TaskEnd:
    return await desk.complete("acme", task.wait_id, ADA, ANSWER, NO_RULES)


async def complete(database: Database, task: Wait) -> TaskEnd:
    return await answered(TaskDesk(database, BUFFERED), task)


async def status_of(database: Database, task: Wait) -> TaskStatus:
    async with database.transaction() as connection:
        [found] = await find_tasks(connection, ["acme"], task.wait_id)
    return found.status


async def test_of_a_person_and_an_event_that_answer_at_once_one_counts_and_the_other_is_told(
    database: Database, matcher: Matcher, waits: Waits, database_url: str
) -> None:
    for _ in range(RACES):
        task = a_task()
        await waits.register([task])
        payload = {"taskId": task.wait_id, "answer": ANSWER}
        event = incoming(name=HUMAN_TASK_COMPLETED, payload=payload)

        end, recorded = await asyncio.gather(complete(database, task), matcher.record([event]))

        [of_event] = recorded.events
        if isinstance(end, TaskRefusal):
            assert (end.why, of_event.outcome) == (TaskRefused.COMPLETED, Outcome.MATCHED)
        else:
            assert (of_event.outcome, of_event.reason) == (Outcome.REJECTED, Reason.TASK_COMPLETED)

    assert one_row(database_url, COMPLETIONS) == (RACES,) * 4


@pytest.mark.parametrize(("fault", "left"), [(Fault.KILLED, 0), (Fault.UNANSWERED, 1)])
async def test_a_completion_is_written_whole_or_not_at_all_and_trying_again_doubles_nothing(
    database: Database, waits: Waits, database_url: str, fault: Fault, left: int
) -> None:
    task = a_task()
    await waits.register([task])
    broken = FaultyDatabase(database)
    broken.break_once(fault)

    with pytest.raises(DatabaseUnavailable):
        await complete(broken, task)
    after_the_fault = one_row(database_url, COMPLETIONS)
    again = await complete(broken, task)

    assert after_the_fault == (left,) * 4
    assert isinstance(again, TaskRefusal if left else TaskDone)
    assert one_row(database_url, COMPLETIONS) == (1,) * 4


async def test_an_answer_whose_event_id_is_taken_is_refused_and_leaves_the_task_open(
    database: Database, matcher: Matcher, waits: Waits, database_url: str
) -> None:
    task = a_task()
    await waits.register([task])
    drawn = [UUID(int=1), UUID(int=2)]
    await matcher.record([incoming(event_id=f"human-task-{drawn[0]}", key="another")])
    desk = TaskDesk(database, BUFFERED, draw=lambda: drawn.pop(0))

    refused = await answered(desk, task)
    open_still = await status_of(database, task)
    again = await answered(desk, task)

    assert isinstance(refused, TaskRefusal)
    assert (refused.why, open_still) == (TaskRefused.NOT_RECORDED, TaskStatus.OPEN)
    assert isinstance(again, TaskDone)
    assert one_row(database_url, "SELECT count(*) FROM workflow_event_deliveries") == (1,)
    audit = "SELECT count(*) FROM workflow_operator_actions WHERE action = 'complete_task'"
    assert one_row(database_url, audit) == (1,)


async def test_an_answer_that_another_event_keeps_out_meanwhile_completes_nothing(
    matcher: Matcher, waits: Waits, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = a_task()
    await waits.register([task])
    answer = incoming(
        event_id="same",
        name=HUMAN_TASK_COMPLETED,
        payload={"taskId": task.wait_id, "answer": ANSWER},
    )
    settle = task_settling.settle_answers

    async def overtaken(
        connection: Connection, answers: Sequence[IncomingEvent], *found: Any
    ) -> Any:
        settled = await settle(connection, answers, *found)
        await matcher.record([incoming(event_id="same", key="another")])
        return settled

    monkeypatch.setattr(matching, "settle_answers", overtaken)
    with pytest.raises(DatabaseContended):
        await matcher.record([answer])
    monkeypatch.undo()
    again = await matcher.record([answer])

    assert await status_of(database, task) is TaskStatus.OPEN
    assert [end.reason for end in again.events] == [Reason.CONFLICTING_DUPLICATE]


async def test_a_task_is_completed_while_temporal_is_away_and_its_workflow_hears_of_it_once(
    database: Database, waits: Waits, database_url: str, temporal: TemporalTarget
) -> None:
    near = await Client.connect(temporal.address, namespace=temporal.namespace)
    handle = await near.start_workflow(
        Collector.run, [], id=f"asking-{uuid.uuid4()}", task_queue=temporal.task_queue
    )
    task = a_task(workflow_id=handle.id)
    await waits.register([task])
    async with proxy_to(int(temporal.address.rpartition(":")[2])) as proxy:
        proxy.shut()
        far = await Client.connect(
            f"127.0.0.1:{proxy.port}", namespace=temporal.namespace, lazy=True
        )
        async with in_background(dispatcher_to(database, far).run()):
            end = await complete(database, task)
            await wait_until(
                standing(database_url, "pending", "temporal_unavailable"),
                description="the answer waits for Temporal",
            )
            proxy.heal()
            await wait_until(standing(database_url, "delivered", None), description="it arrives")

    assert isinstance(end, TaskDone)
    assert await signals_of(handle) == [HUMAN_TASK_SIGNAL]
    await handle.terminate()


def dispatcher_to(database: Database, client: Client) -> Dispatcher:
    return Dispatcher(
        DeliveryStore(database, "me", timedelta(seconds=60)),
        TemporalSignaller(client),
        DispatchLimits(claim_period=timedelta(milliseconds=100)),
    )


def standing(database_url: str, status: str, reason: str | None) -> Callable[[], bool]:
    return lambda: one_row(database_url, DELIVERIES) == (status, reason)


async def signals_of(handle: WorkflowHandle[Any, Any]) -> list[str]:
    history = await handle.fetch_history()
    return [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in history.events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]
