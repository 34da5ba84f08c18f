"""Ask a person for something, and wait until it is answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow

from pointsman.open_waits import AskedTask, OpenWaits, WaitTerms
from pointsman.received_event import ReceivedEvent
from pointsman.wait_errors import (
    EventWaitRefused,
    EventWaitTimeout,
    HumanTaskRefused,
    HumanTaskTimeout,
)
from pointsman.wait_request import TaskTerms, WaitFor

with workflow.unsafe.imports_passed_through():
    from pointsman.contract import HUMAN_TASK_COMPLETED, TASK_QUEUE, WaitKind


@dataclass(frozen=True, slots=True)
class HumanTaskAnswer:
    """What a person answered."""

    task_id: str
    answer: Mapping[str, Any]
    """Fits the task's form."""
    completed_by: str | None
    """Who answered: of the API and the console the proven name, of an event what it claims."""
    completed_at: datetime
    """When Pointsman recorded the answer; time zone aware."""
    event_id: str
    """The event that completed the task."""
    payload: Mapping[str, Any] = field(default_factory=dict)
    """All that the event carries: what its publisher put beside the answer, too."""


async def human_task(
    title: str,
    *,
    tenant: str,
    form: Mapping[str, Any] | None = None,
    assignees: Sequence[str] = (),
    due: timedelta | datetime | None = None,
    timeout: timedelta | None = None,
    task_id: str | None = None,
    task_queue: str = TASK_QUEUE,
    retry_on_timeout: bool = False,
) -> HumanTaskAnswer:
    """Ask a person, and wait for the answer.

    `form` is the JSON Schema of the answer, an object (type "object", at most 32 KiB; references
    lead only to places within it); without one any object is taken. `assignees` may complete the
    task, by the names that the service knows them by; without any, everybody of the tenant who may
    operate. `due` is shown to people and does nothing else: remind and escalate in the workflow,
    beside this call.
    `task_id` may be given to tell others of the task; it is unique per tenant, so draw it
    (`workflow.uuid4()`) and use it once.

    A task that the previous run carried over (see `carry`) is taken up again by asking the same:
    title, form, assignees and, where it was given, id; its first deadlines stay.

    Raises HumanTaskTimeout when `timeout` is over (None waits without limit): the task is
    withdrawn then. A retry policy of the workflow runs it again after that only with
    `retry_on_timeout`. Raises HumanTaskRefused when the task itself is wrong.
    """
    wait_id = task_id or str(workflow.uuid4())
    asked = AskedTask(_terms(title, form, assignees, due), wait_id, chosen=task_id is not None)
    wait = WaitFor(HUMAN_TASK_COMPLETED, key=wait_id, tenant=tenant)
    terms = WaitTerms(task_queue, WaitKind.HUMAN, timeout, asked)
    try:
        async with OpenWaits.of([wait], terms) as opened:
            return _answer(await opened.next_event())
    except EventWaitTimeout:
        raise HumanTaskTimeout(title, retryable=retry_on_timeout) from None
    except EventWaitRefused as refusal:
        raise HumanTaskRefused(refusal.message) from None


def _terms(
    title: str,
    form: Mapping[str, Any] | None,
    assignees: Sequence[str],
    due: timedelta | datetime | None,
) -> TaskTerms:
    """The terms as they travel: the form as JSON has it. Raises HumanTaskRefused."""
    if isinstance(assignees, str):
        raise HumanTaskRefused("assignees must be a list of names, not one text")
    try:
        plain = None if form is None else json.loads(json.dumps(dict(form), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise HumanTaskRefused(f"the form is no JSON Schema: {error}") from None
    return TaskTerms(title, plain, tuple(assignees), _due_at(due))


def _due_at(due: timedelta | datetime | None) -> str | None:
    if due is None:
        return None
    try:
        moment = workflow.now() + due if isinstance(due, timedelta) else due
    except OverflowError:
        return None
    if moment.tzinfo is None:
        raise HumanTaskRefused("due must be a time with its time zone")
    return moment.isoformat()


def _answer(event: ReceivedEvent) -> HumanTaskAnswer:
    answer, completed_by = event.payload.get("answer"), event.payload.get("completedBy")
    return HumanTaskAnswer(
        task_id=event.wait_id,
        answer=answer if isinstance(answer, Mapping) else {},
        completed_by=completed_by if isinstance(completed_by, str) else None,
        completed_at=event.received_at,
        event_id=event.event_id,
        payload=event.payload,
    )
