"""`/v1/tasks`: what workflows ask of people; completing, claiming, reassigning, commenting."""

from __future__ import annotations

from contextlib import nullcontext
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from correlation.exact_writing import json_fault
from correlation.json_schema import Misfit
from correlation.judging import size_within
from pointsman.contract import MAX_ASSIGNEES, Assignee
from routing.answer_judging import SMALL
from routing.task_pages import TaskQuery, find_tasks, history_of_task, page_of_tasks
from routing.task_records import (
    Person,
    TaskDone,
    TaskEnd,
    TaskLine,
    TaskRefusal,
    TaskRefused,
    names_of_person,
)
from worker.api.answers import ONE, PROBLEMS, READING, documented
from worker.api.authentication import Operator, PartsOf, Reader
from worker.api.cursors import cursor_text, read_cursor
from worker.api.exact_bodies import api_router
from worker.api.owned import check_wait
from worker.api.parts import Parts
from worker.api.principal import Principal
from worker.api.problems import Fault, Problem
from worker.api.reading import (
    OneTenant,
    PageParameters,
    Tenant,
    Text,
    answer,
    not_found,
    the_one,
)
from worker.api.runs import Why
from worker.api.task_answers import TaskActed, TaskPage, TaskStoryShown, shown_task

router = api_router("human tasks")

ACTING: Final[dict[int | str, dict[str, Any]]] = {
    **documented(TaskActed, "", *ONE),
    410: PROBLEMS[410],
}
ONE_TENANT = Annotated[OneTenant, Query()]


def _storable(text: str) -> str:
    if fault := json_fault(text):
        raise ValueError(fault)
    if not text.strip():
        raise ValueError("must not be blank")
    return text.strip()


CommentText = Annotated[str, Field(max_length=4000), AfterValidator(_storable)]


class TaskParameters(PageParameters):
    """Which tasks, and which page of them."""

    tenant: Tenant = None
    mine: Annotated[bool, Field(description="Only those that the caller may complete.")] = False
    workflow_id: Text | None = None
    closed: Annotated[
        bool, Field(description="Completed and closed tasks, too; the newest first.")
    ] = False


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Completion(_Body):
    """The answer, and a comment beside it."""

    answer: Annotated[dict[str, Any], Field(description="What fits the task's form.")]
    comment: CommentText | None = None


class Reassignment(_Body):
    """Who shall complete it, and why."""

    assignees: Annotated[
        tuple[Assignee, ...],
        Field(max_length=MAX_ASSIGNEES, description="Empty: anybody who may operate."),
    ]
    reason: Why


class Comment(_Body):
    """What is to stand beside the task."""

    text: CommentText


@router.get("/tasks", summary="List human tasks", responses=documented(TaskPage, "", *READING))
async def list_tasks(
    parts: PartsOf, caller: Reader, wanted: Annotated[TaskParameters, Query()]
) -> Response:
    """Open tasks, those that wait longest first; with `closed` every task, the newest first."""
    tenants = caller.reach(wanted.tenant)
    query = TaskQuery(
        names=names_of(caller) if wanted.mine else None,
        workflow_id=wanted.workflow_id,
        closed_too=wanted.closed,
    )
    after = read_cursor(wanted.cursor)
    async with parts.reading(tenants) as connection:
        page = await page_of_tasks(connection, tenants, query, after=after, limit=wanted.limit)
    return answer({"tasks": [*map(shown_task, page.lines)], "next": cursor_text(page.next)})


@router.get(
    "/tasks/{task_id:path}",
    summary="One human task",
    responses=documented(TaskStoryShown, "", *ONE),
)
async def show_task(parts: PartsOf, caller: Reader, task_id: str, wanted: ONE_TENANT) -> Response:
    """A task, and what people did with it."""
    task = await one_task(parts, caller, task_id, wanted.tenant)
    async with parts.reading([task.tenant]) as connection:
        history = await history_of_task(connection, task)
    return answer({"task": shown_task(task), "history": history})


@router.post("/tasks/{task_id:path}/complete", summary="Complete a human task", responses=ACTING)
async def complete_task(
    parts: PartsOf, caller: Operator, task_id: str, body: Completion, wanted: ONE_TENANT
) -> Response:
    """The answer is held to the form and goes to the workflow; the second one is refused (409).

    By an assignee or, of a task that is claimed, by who claimed it. A task that nobody waits for
    any more is answered with 410 and the reason.
    """
    task = await one_task(parts, caller, task_id, wanted.tenant)
    end = await complete_as(parts, caller, task, body.answer, body.comment)
    return _acted(task, "complete", end)


@router.post("/tasks/{task_id:path}/claim", summary="Claim a human task", responses=ACTING)
async def claim_task(
    parts: PartsOf, caller: Operator, task_id: str, wanted: ONE_TENANT
) -> Response:
    """Nobody else completes it then, unless it is reassigned."""
    task = await one_task(parts, caller, task_id, wanted.tenant)
    end = await parts.tasks.claim(task.tenant, task.task_id, person_of(caller))
    return _acted(task, "claim", end)


@router.post("/tasks/{task_id:path}/reassign", summary="Reassign a human task", responses=ACTING)
async def reassign_task(
    parts: PartsOf, caller: Operator, task_id: str, body: Reassignment, wanted: ONE_TENANT
) -> Response:
    """Others are to complete it; a claim ends."""
    task = await one_task(parts, caller, task_id, wanted.tenant)
    end = await parts.tasks.reassign(
        task.tenant, task.task_id, person_of(caller), body.assignees, body.reason
    )
    return _acted(task, "reassign", end)


@router.post("/tasks/{task_id:path}/comment", summary="Comment a human task", responses=ACTING)
async def comment_task(
    parts: PartsOf, caller: Operator, task_id: str, body: Comment, wanted: ONE_TENANT
) -> Response:
    """Stands in the task's history."""
    task = await one_task(parts, caller, task_id, wanted.tenant)
    end = await parts.tasks.comment(task.tenant, task.task_id, person_of(caller), body.text)
    return _acted(task, "comment", end)


async def complete_as(
    parts: Parts,
    caller: Principal,
    task: TaskLine,
    given: dict[str, Any],
    comment: str | None,
) -> TaskEnd:
    """Complete a task as the caller, and let the answer be delivered. Raises Problem."""
    if fault := json_fault(given):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"the answer {fault}",
            field="answer",
            fix="send another answer",
        )
    await check_wait(parts, caller, task.tenant, task.task_id)
    large = size_within(given, SMALL) > SMALL
    with parts.workers.place(task.tenant) if large else nullcontext():
        end = await parts.tasks.complete(
            task.tenant, task.task_id, person_of(caller), given, parts.rules(), comment
        )
    if isinstance(end, TaskDone):
        parts.sink.wake()
    return end


def person_of(caller: Principal) -> Person:
    """The caller as somebody who acts on tasks."""
    return Person(caller.actor, caller.actor)


def names_of(caller: Principal) -> tuple[str, ...]:
    """The names by which tasks may be the caller's."""
    return names_of_person(caller.actor)


async def one_task(parts: Parts, caller: Principal, task_id: str, tenant: str | None) -> TaskLine:
    """The task of this id among the caller's tenants; raises Problem."""
    tenants = caller.reach_of_object(tenant)
    async with parts.reading(tenants) as connection:
        found = await find_tasks(connection, tenants, task_id)
    return the_one(found, "task", several="a task")


def _acted(task: TaskLine, action: str, end: TaskEnd) -> Response:
    if isinstance(end, TaskRefusal):
        raise refused(end)
    return answer(
        {
            "tenant": task.tenant,
            "task_id": task.task_id,
            "action": action,
            "action_id": end.action_id,
            "event_id": end.event_id,
        }
    )


def refused(end: TaskRefusal) -> Problem:
    """The answer to what was not done."""
    if end.why is TaskRefused.UNKNOWN:
        return not_found("task")
    problem = Problem(
        _STATUSES[end.why],
        f"nothing was changed: {end.detail}",
        fix=_FIXES[end.why],
        code=end.why.value.upper(),
        reason=end.detail,
    )
    problem.faults = [_fault(misfit) for misfit in end.misfits]
    return problem


def _fault(misfit: Misfit) -> Fault:
    missing = f".{misfit.missing}" if misfit.missing else ""
    field = f"answer{misfit.place.removeprefix('$')}{missing}"
    return Fault(field, misfit.problem, f"give {field} a value that fits the task's form")


_STATUSES: Final = {
    TaskRefused.COMPLETED: HTTPStatus.CONFLICT,
    TaskRefused.CLAIMED: HTTPStatus.CONFLICT,
    TaskRefused.CLOSED: HTTPStatus.GONE,
    TaskRefused.NOT_ASSIGNED: HTTPStatus.FORBIDDEN,
    TaskRefused.ANSWER_INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    TaskRefused.TOO_COSTLY: HTTPStatus.UNPROCESSABLE_ENTITY,
    TaskRefused.NOT_RECORDED: HTTPStatus.CONFLICT,
}
_FIXES: Final = {
    TaskRefused.COMPLETED: "look at the task: the first answer stands",
    TaskRefused.CLAIMED: "let them complete it, or reassign the task",
    TaskRefused.CLOSED: "look at the workflow: it has gone on without an answer, or ended",
    TaskRefused.NOT_ASSIGNED: "let an assignee complete it, or reassign the task",
    TaskRefused.ANSWER_INVALID: "correct the places in `errors`",
    TaskRefused.TOO_COSTLY: "give a smaller answer, or ask with a simpler form",
    TaskRefused.NOT_RECORDED: "send the answer again",
}
