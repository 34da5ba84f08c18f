"""What workflows ask of people: the list of my tasks, and one task's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, Literal

from fastapi import Response
from pydantic import BaseModel, ConfigDict

from pointsman.contract import Assignee
from routing.task_pages import TaskQuery, history_of_task, page_of_tasks
from routing.task_records import (
    TaskEnd,
    TaskLine,
    TaskRefusal,
    TaskRefused,
    TaskStatus,
    refusal_of_person,
)
from worker.api.cursors import read_cursor
from worker.api.problems import Fault, Problem
from worker.api.reading import CursorText, Text
from worker.api.runs import Why
from worker.api.tasks import CommentText, complete_as, names_of, one_task, person_of, refused
from worker.console.lists import list_page, narrowing
from worker.console.rendering import page
from worker.console.routes import console_router, go_to
from worker.console.task_forms import answer_of, fields_of
from worker.console.visits import Operating, Visit, Visiting, form_fields

router = console_router()

LINES: Final = 50
SHOWN: Final = {"mine": "mine, open", "open": "everybody's, open", "all": "all, closed too"}


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    show: Literal["mine", "open", "all"] = "mine"
    workflow_id: Text | None = None
    cursor: CursorText = None


class _Order(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Text
    of: Text | None = None


class _Reassignment(_Order):
    assignees: tuple[Assignee, ...]
    reason: Why


class _Comment(_Order):
    text: CommentText


@router.get("/tasks")
async def show_tasks(visit: Visiting) -> Response:
    """My open tasks, those that wait longest first; or everybody's, or all of them."""
    wanted = _Wanted.model_validate(narrowing(visit))
    query = TaskQuery(
        names=names_of(visit.principal) if wanted.show == "mine" else None,
        workflow_id=wanted.workflow_id,
        closed_too=wanted.show == "all",
    )
    after = read_cursor(wanted.cursor)
    async with visit.parts.reading(visit.tenants) as connection:
        found = await page_of_tasks(connection, visit.tenants, query, after=after, limit=LINES)
    return await list_page(
        "tasks.html",
        visit,
        found,
        first=wanted.cursor is None,
        filters={"show": wanted.show, "workflow_id": wanted.workflow_id or ""},
        shown=SHOWN,
    )


@router.get("/task")
async def show_task(visit: Visiting, id: str = "", of: str | None = None) -> Response:  # noqa: A002
    """A task, its form for whoever may complete it, and what people did; `of` names its tenant."""
    return await _task_page(visit, await _one(visit, id, of))


@router.post("/task/complete")
async def post_complete(visit: Operating) -> Response:
    """The answer goes to the workflow; one that does not fit comes back with what is wrong."""
    filled_in = await form_fields(visit.request)
    task = await _ordered(visit, filled_in)
    try:
        answer = answer_of(task.form, filled_in)
    except ValueError as error:
        return await _task_page(visit, task, filled_in, [Fault("answer", str(error), "")])
    end = await complete_as(visit.parts, visit.principal, task, answer, None)
    if isinstance(end, TaskRefusal) and end.why is TaskRefused.ANSWER_INVALID:
        return await _task_page(visit, task, filled_in, refused(end).faults)
    return _afterwards(visit, task, end)


@router.post("/task/claim")
async def post_claim(visit: Operating) -> Response:
    """Nobody else completes it then."""
    task = await _ordered(visit, await form_fields(visit.request))
    end = await visit.parts.tasks.claim(task.tenant, task.task_id, person_of(visit.principal))
    return _afterwards(visit, task, end)


@router.post("/task/reassign")
async def post_reassign(visit: Operating) -> Response:
    """Others are to complete it: names, one a line or with commas between."""
    fields = await form_fields(visit.request)
    names = fields.get("assignees", "").replace(",", "\n").splitlines()
    listed = [name.strip() for name in names if name.strip()]
    wanted = _Reassignment.model_validate({**fields, "assignees": listed})
    task = await _one(visit, wanted.id, wanted.of)
    end = await visit.parts.tasks.reassign(
        task.tenant, task.task_id, person_of(visit.principal), wanted.assignees, wanted.reason
    )
    return _afterwards(visit, task, end)


@router.post("/task/comment")
async def post_comment(visit: Operating) -> Response:
    """Stands in the task's history."""
    wanted = _Comment.model_validate(await form_fields(visit.request))
    task = await _one(visit, wanted.id, wanted.of)
    person = person_of(visit.principal)
    end = await visit.parts.tasks.comment(task.tenant, task.task_id, person, wanted.text)
    return _afterwards(visit, task, end)


async def _task_page(
    visit: Visit,
    task: TaskLine,
    filled_in: Mapping[str, str] | None = None,
    faults: Sequence[Fault] = (),
) -> Response:
    async with visit.parts.reading([task.tenant]) as connection:
        history = await history_of_task(connection, task)
    is_open = task.status is TaskStatus.OPEN
    hindrance = refusal_of_person(task, person_of(visit.principal)) if is_open else None
    return page(
        "task.html",
        visit,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if faults else HTTPStatus.OK,
        task=task,
        is_open=is_open,
        hindrance=None if hindrance is None else hindrance.detail,
        fields=fields_of(task.form),
        filled_in=filled_in or {},
        faults=faults,
        history=history,
    )


async def _ordered(visit: Visit, fields: Mapping[str, str]) -> TaskLine:
    wanted = _Order.model_validate(fields)
    return await _one(visit, wanted.id, wanted.of)


async def _one(visit: Visit, task_id: str, tenant: str | None) -> TaskLine:
    return await one_task(visit.parts, visit.principal, task_id, tenant or None)


def _afterwards(visit: Visit, task: TaskLine, end: TaskEnd) -> Response:
    if isinstance(end, TaskRefusal):
        problem: Problem = refused(end)
        raise problem
    return go_to("/task", id=task.task_id, of=task.tenant, tenant=visit.tenant)
