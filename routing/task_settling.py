"""Events that complete human tasks: held to the task's form, and counted once.

Within the match transaction, under the locks of the events' keys: a task's id is the key. What is
refused here becomes no event, so that no workflow hears of it. The event's publisher is trusted to
speak for whom it names: only the API and the console know who it is that answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from psycopg.rows import kwargs_row

from correlation.event import Event
from correlation.judging import Costly, TooCostly
from correlation.reason import Outcome, Reason
from correlation.task_answer import AnswerUnusable, answer_in
from correlation.task_form import answer_faults, small_answer_faults
from routing.answer_judging import SMALL, Found, Verdicts
from routing.columns import identity_columns, keys_of
from routing.database import Connection
from routing.incoming import Identity, IncomingEvent, RejectedEntry
from routing.operator_actions import OperatorAction, record_action
from routing.task_records import TaskLine, TaskStatus
from routing.task_statements import COMPLETE_TASK, HOLD_TASKS, NEW_EVENTS

LONGEST_NAME: Final = 255
MOST_NAMED: Final = 5
WITHIN_TRANSACTION: Final = "work_in_transaction"
"""The budget of an answer that came before its task was registered: publish it again."""


@dataclass(frozen=True, slots=True)
class RefusedAnswer:
    """Why an event completes no task."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the events that name tasks."""

    refused: Mapping[Identity, RefusedAnswer]
    completed: frozenset[Identity]
    """Those that completed a task: each has to be recorded in the same transaction."""


async def settle_answers(
    connection: Connection, answers: Sequence[IncomingEvent], verdicts: Verdicts
) -> Settled:
    """Let each event complete the open tasks that it names, unless it may not.

    `verdicts` has what was found about the large answers before.

    An event that was recorded before, or names no task, or one that nobody waits for any more, is
    left to its way.
    """
    fresh = await _fresh(connection, answers)
    tasks = await hold_tasks(connection, _named(fresh)) if fresh else {}
    refused: dict[Identity, RefusedAnswer] = {}
    completed: set[Identity] = set()
    for incoming in fresh if tasks else ():
        identities = [(incoming.event.tenant, key) for key in keys_of(incoming)]
        concerned = [tasks[identity] for identity in identities if identity in tasks]
        refusal = next(
            filter(None, (_refusal(task, incoming, verdicts) for task in concerned)), None
        )
        if refusal is not None:
            refused[incoming.identity] = refusal
            continue
        for task in concerned:
            if task.status is TaskStatus.OPEN:
                await _complete(connection, task, incoming.event)
                done = replace(task, completed_at=datetime.now(UTC))
                tasks[task.tenant, task.task_id] = done
                completed.add(incoming.identity)
    return Settled(refused, frozenset(completed))


async def hold_tasks(
    connection: Connection, identities: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], TaskLine]:
    """The tasks (tenant, task id), locked until the transaction ends; unknown ones are left out."""
    cursor = connection.cursor(row_factory=kwargs_row(task_line))
    parameters = {
        "tenants": [tenant for tenant, _ in identities],
        "task_ids": [task_id for _, task_id in identities],
    }
    await cursor.execute(HOLD_TASKS.encode(), parameters)
    return {(task.tenant, task.task_id): task for task in await cursor.fetchall()}


def task_line(*, assignees: Sequence[str], **columns: Any) -> TaskLine:
    """Read a row of the statements about tasks."""
    return TaskLine(assignees=tuple(assignees), **columns)


def entry_of(incoming: IncomingEvent, refusal: RefusedAnswer) -> RejectedEntry:
    """The audit row of an event that completes no task."""
    return RejectedEntry(
        origin=incoming.origin,
        outcome=Outcome.REJECTED,
        reason=refusal.reason,
        detail=refusal.detail,
        raw=incoming.raw(),
        tenant=incoming.event.tenant,
        event_id=incoming.event.event_id,
        event_name=incoming.event.name,
    )


async def _fresh(
    connection: Connection, answers: Sequence[IncomingEvent]
) -> Sequence[IncomingEvent]:
    """Those that were not recorded before: a redelivery is no second answer."""
    columns = identity_columns([incoming.identity for incoming in answers])
    cursor = await connection.execute(NEW_EVENTS, columns)
    ordinals = {row[0] for row in await cursor.fetchall()}
    return [incoming for number, incoming in enumerate(answers, start=1) if number in ordinals]


def _named(answers: Sequence[IncomingEvent]) -> Sequence[tuple[str, str]]:
    return sorted({(each.event.tenant, key) for each in answers for key in keys_of(each)})


def _refusal(task: TaskLine, incoming: IncomingEvent, verdicts: Verdicts) -> RefusedAnswer | None:
    match task.status:
        case TaskStatus.COMPLETED:
            detail = f"task {task.task_id} is completed already; the first answer stands"
            return RefusedAnswer(Reason.TASK_COMPLETED, detail)
        case TaskStatus.CLOSED:
            return None
        case TaskStatus.OPEN:
            return _misfit(task, incoming, verdicts)


def _misfit(task: TaskLine, incoming: IncomingEvent, verdicts: Verdicts) -> RefusedAnswer | None:
    payload = incoming.event.payload
    try:
        answer = answer_in(payload.value, task.task_id)
    except AnswerUnusable as error:
        return RefusedAnswer(Reason.ANSWER_INVALID, str(error))
    found = verdicts.get((incoming.identity, task.form or ""))
    faults = _faults(task, answer, len(payload.text)) if found is None else found
    if isinstance(faults, TooCostly):
        return RefusedAnswer(Reason.SCHEMA_TOO_COSTLY, f"answer: {faults.detail}")
    if not faults:
        return None
    places = "; ".join(f"answer {each.place}: {each.problem}" for each in faults[:MOST_NAMED])
    return RefusedAnswer(Reason.ANSWER_INVALID, places)


def _faults(task: TaskLine, answer: Mapping[str, Any], size: int) -> Found:
    """Of an answer about which nothing was found before: a small one, or the task is younger."""
    found = answer_faults(task.form, answer)
    if not isinstance(found, Costly):
        return found
    return small_answer_faults(found, answer) if size <= SMALL else TooCostly(WITHIN_TRANSACTION)


async def _complete(connection: Connection, task: TaskLine, event: Event) -> None:
    claimed = event.payload.value.get("completedBy")
    usable = isinstance(claimed, str) and 0 < len(claimed) <= LONGEST_NAME and "\0" not in claimed
    name = f"event:{claimed if usable else event.event_id}"
    await write_completion(connection, task, name, event.event_id)
    action = OperatorAction(
        tenant=task.tenant,
        actor=name,
        action="complete_task",
        target_kind="task",
        target_id=task.task_id,
        detail={"event_id": event.event_id},
    )
    await record_action(connection, action)


async def write_completion(
    connection: Connection, task: TaskLine, name: str, event_id: str
) -> None:
    """Note who completed a task that is held and open, and by which event."""
    await connection.execute(
        COMPLETE_TASK,
        {"tenant": task.tenant, "task_id": task.task_id, "name": name, "event_id": event_id},
    )
