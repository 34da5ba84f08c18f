"""Acting on human tasks: completing, claiming, reassigning, commenting.

Completing a task is recording the event `HUMAN_TASK_COMPLETED`, in the transaction that marks the
task: the answer goes to the workflow as every event does, through its delivery.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID, uuid4

from correlation.event import Event, EventContext, EventId, EventName, Payload, TenantId
from correlation.exact_writing import exact_json
from correlation.judging import Costly, TooCostly, size_within
from correlation.key import lock_hash
from correlation.resolution import resolve
from correlation.rules import Rules
from correlation.task_form import MOST_FAULTS, answer_faults
from pointsman.contract import ANSWER_ID_PREFIX, HUMAN_TASK_COMPLETED
from routing.answer_judging import SMALL, AnswerJudge, Found
from routing.chain_statements import CHAINS_OF_WAITS
from routing.chains import Chain
from routing.columns import event_arrays, keys_of
from routing.database import Connection, Database
from routing.fan_out import MOST, PORTION, hand_on
from routing.incoming import DEFAULT_NAMESPACE, IncomingEvent, Origin
from routing.launch_recording import look_up_triggers, record_launches
from routing.operator_actions import OperatorAction, record_action
from routing.statements import LOCK_KEYS, MATCH_EVENTS, PLAN_ANEW
from routing.task_records import (
    Person,
    TaskDone,
    TaskEnd,
    TaskLine,
    TaskRefusal,
    TaskRefused,
    refusal_by_state,
    refusal_of_person,
)
from routing.task_settling import WITHIN_TRANSACTION, hold_tasks, write_completion
from routing.task_statements import CLAIM_TASK, FORMS_OF_TASKS, REASSIGN_TASK

STREAM: Final = "human_tasks"
"""What stands in the audit where a stream's name stands for other events."""
_LEASE: Final = timedelta(0)


Retire: TypeAlias = Callable[[dict[tuple[str, str], Chain]], Awaitable[object]]
"""Closes those of the waits (tenant, wait id) whose chain is gone."""


class TaskDesk:
    """Where people act on tasks. Every method raises DatabaseUnavailable or RecordRefused.

    A task is held while somebody acts on it, and what was done stands in the operators' audit,
    written in the same transaction, behind the tenant's wall.
    """

    def __init__(
        self,
        database: Database,
        buffer_ttl: timedelta,
        namespace: str = DEFAULT_NAMESPACE,
        retire: Retire | None = None,
        judge: AnswerJudge | None = None,
        draw: Callable[[], UUID] = uuid4,
    ) -> None:
        """Without a `judge` an answer that is costly to judge is refused.

        `draw` gives each answer's event an id that nobody can know beforehand.
        """
        self._database = database
        self._draw = draw
        self._buffer_ttl = buffer_ttl
        self._namespace = namespace
        self._retire = retire
        self._judge = judge

    async def complete(
        self,
        tenant: str,
        task_id: str,
        person: Person,
        answer: Mapping[str, Any],
        rules: Rules,
        comment: str | None = None,
    ) -> TaskEnd:
        """Complete an open task; wake the dispatcher then. `answer` is decoded with exact numbers.

        Of two answers the second is refused, whichever way each came.
        """
        await self._retire_if_gone(tenant, task_id)
        try:
            return await self._complete(tenant, task_id, person, answer, rules, comment)
        except _IdTaken:
            return _NOT_RECORDED

    async def _complete(
        self,
        tenant: str,
        task_id: str,
        person: Person,
        answer: Mapping[str, Any],
        rules: Rules,
        comment: str | None,
    ) -> TaskEnd:
        """Raises _IdTaken, and completes nothing then: the workflow would not hear of it."""
        lock = lock_hash(tenant, HUMAN_TASK_COMPLETED, task_id)
        found = await self._found(tenant, task_id, answer)
        async with self._database.transaction(tenant=tenant) as connection:
            await connection.execute(PLAN_ANEW)
            await connection.execute(LOCK_KEYS, {"hashes": [lock]})
            task = await _held(connection, tenant, task_id)
            if isinstance(task, TaskRefusal):
                return task
            refusal = refusal_of_person(task, person) or _refusal_of_answer(task, answer, found)
            if refusal is not None:
                return refusal
            event = _completing(task, person, answer, self._draw())
            await write_completion(connection, task, person.name, event.event_id)
            await self._record(connection, event, rules)
            action = _action(task, person, "complete_task", comment, event_id=event.event_id)
            return TaskDone(await record_action(connection, action), event.event_id)

    async def _found(self, tenant: str, task_id: str, answer: Mapping[str, Any]) -> Found | None:
        """What is found about a large answer before the task is held; None of a small one."""
        if self._judge is None or size_within(answer, SMALL) <= SMALL:
            return None
        columns = {"tenants": [tenant], "task_ids": [task_id]}
        async with self._database.transaction(tenant=tenant) as connection:
            cursor = await connection.execute(FORMS_OF_TASKS, columns)
            row = await cursor.fetchone()
        # A form never changes, so that what is found by it holds.
        found = answer_faults(row[2], answer) if row else None
        if isinstance(found, Costly):
            return await self._judge.faults(found.schema, exact_json(answer), MOST_FAULTS)
        return found

    async def claim(self, tenant: str, task_id: str, person: Person) -> TaskEnd:
        """Reserve an open task for the person; repeated by them, it changes nothing."""
        await self._retire_if_gone(tenant, task_id)
        async with self._database.transaction(tenant=tenant) as connection:
            task = await _held(connection, tenant, task_id)
            if isinstance(task, TaskRefusal):
                return task
            refusal = refusal_of_person(task, person)
            if refusal is not None:
                return refusal
            target = {"tenant": tenant, "task_id": task_id, "name": person.name}
            await connection.execute(CLAIM_TASK, target)
            return TaskDone(await record_action(connection, _action(task, person, "claim_task")))

    async def reassign(
        self, tenant: str, task_id: str, person: Person, assignees: Sequence[str], reason: str
    ) -> TaskEnd:
        """Give an open task to others; a claim ends. Without assignees anybody may complete it."""
        async with self._database.transaction(tenant=tenant) as connection:
            task = await _held(connection, tenant, task_id)
            if isinstance(task, TaskRefusal):
                return task
            target = {"tenant": tenant, "task_id": task_id, "assignees": list(assignees)}
            await connection.execute(REASSIGN_TASK, target)
            action = _action(
                task,
                person,
                "reassign_task",
                reason,
                assignees=[list(task.assignees), list(assignees)],
                claimed_by=task.claimed_by,
            )
            return TaskDone(await record_action(connection, action))

    async def comment(self, tenant: str, task_id: str, person: Person, text: str) -> TaskEnd:
        """Write a comment beside a task, whatever became of it."""
        async with self._database.transaction(tenant=tenant) as connection:
            task = (await hold_tasks(connection, [(tenant, task_id)])).get((tenant, task_id))
            if task is None:
                return _UNKNOWN
            action = _action(task, person, "comment_task", text)
            return TaskDone(await record_action(connection, action))

    async def _retire_if_gone(self, tenant: str, task_id: str) -> None:
        """Close the task if its workflow is gone: an answer would reach nobody.

        Where Temporal does not say so the task stays open; its answer is kept, and the delivery
        says what became of it.
        """
        if self._retire is None:
            return
        async with self._database.transaction(tenant=tenant) as connection:
            target = {"tenants": [tenant], "wait_ids": [task_id]}
            cursor = await connection.execute(CHAINS_OF_WAITS, target)
            rows = await cursor.fetchall()
        chains = {(row[0], row[1]): Chain(*row[2:]) for row in rows}
        # Without a run the workflow may not have been started yet.
        if known := {identity: chain for identity, chain in chains.items() if chain.run_id}:
            await self._retire(known)

    async def _record(self, connection: Connection, event: Event, rules: Rules) -> None:
        """Record the event as the match transaction does; its deliveries are left to be claimed."""
        origin = Origin(STREAM, event.event_id)
        incoming = IncomingEvent(event, resolve(event, rules), origin, rules.version)
        triggers = await look_up_triggers(connection, [incoming])
        terms = {
            "owner": STREAM,
            "delivers": False,
            "namespaces": [self._namespace],
            "lease": _LEASE,
            "buffer_ttl": self._buffer_ttl,
            "alone": True,
            "portion": PORTION,
            "most": MOST,
        }
        cursor = await connection.execute(MATCH_EVENTS, event_arrays([incoming]) | terms)
        recorded, *_, cut = (await cursor.fetchall())[0]
        if not recorded:
            raise _IdTaken
        if cut:
            await hand_on(connection, event, list(keys_of(incoming)))
        await record_launches(connection, triggers, [incoming], self._namespace)


class _IdTaken(Exception):
    """An event of the same id was there already; never leaves this module."""


_NOT_RECORDED: Final = TaskRefusal(
    TaskRefused.NOT_RECORDED,
    "another event has the id that was drawn for the answer, so that the workflow would not have "
    "heard of it",
)
_UNKNOWN: Final = TaskRefusal(TaskRefused.UNKNOWN, "there is no such task")


async def _held(connection: Connection, tenant: str, task_id: str) -> TaskLine | TaskRefusal:
    """An open task, held; or why nobody can act on it."""
    task = (await hold_tasks(connection, [(tenant, task_id)])).get((tenant, task_id))
    if task is None:
        return _UNKNOWN
    return refusal_by_state(task) or task


def _refusal_of_answer(
    task: TaskLine, answer: Mapping[str, Any], found: Found | None
) -> TaskRefusal | None:
    misfits: Found | Costly = answer_faults(task.form, answer) if found is None else found
    if isinstance(misfits, Costly):
        misfits = TooCostly(WITHIN_TRANSACTION)
    if isinstance(misfits, TooCostly):
        return TaskRefusal(TaskRefused.TOO_COSTLY, f"answer: {misfits.detail}")
    if not misfits:
        return None
    detail = "; ".join(f"answer {misfit.place}: {misfit.problem}" for misfit in misfits)
    return TaskRefusal(TaskRefused.ANSWER_INVALID, detail, misfits)


def _completing(task: TaskLine, person: Person, answer: Mapping[str, Any], drawn: UUID) -> Event:
    value = {"taskId": task.task_id, "answer": dict(answer), "completedBy": person.name}
    return Event(
        TenantId(task.tenant),
        EventId(f"{ANSWER_ID_PREFIX}{drawn}"),
        EventName(HUMAN_TASK_COMPLETED),
        Payload(exact_json(value), value),
        explicit_key=task.task_id,
        context=EventContext(user_id=person.name),
    )


def _action(
    task: TaskLine, person: Person, action: str, reason: str | None = None, **detail: Any
) -> OperatorAction:
    return OperatorAction(
        tenant=task.tenant,
        actor=person.actor,
        action=action,
        target_kind="task",
        target_id=task.task_id,
        reason=reason,
        detail={"as": person.name, **detail},
    )
