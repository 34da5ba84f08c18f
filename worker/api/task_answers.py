"""How answers about human tasks look."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from correlation.exact_reading import read_stored
from routing.task_records import TaskLine
from worker.api.exact_writing import as_mapping


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TaskShown(_Answer):
    """One human task."""

    tenant: str
    task_id: str
    title: str
    form: dict[str, Any] | None = Field(description="JSON Schema of the answer; null: any object.")
    assignees: list[str] = Field(description="Empty: anybody of the tenant who may operate.")
    status: str = Field(description="`open`, `completed` or `closed` (nobody waits any more).")
    why_closed: str | None
    due_at: datetime | None
    created_at: datetime
    claimed_by: str | None
    claimed_at: datetime | None
    completed_by: str | None
    completed_at: datetime | None
    event_id: str | None = Field(description="The event that completed it.")
    workflow_id: str
    run_id: str | None
    waiting: bool = Field(description="Whether the workflow still waits; it may be served since.")
    expires_at: datetime | None
    times_out_at: datetime | None
    closed_at: datetime | None
    disposition: str | None
    reason: str | None


class TaskPage(_Answer):
    """Tasks."""

    tasks: list[TaskShown]
    next: str | None


class TaskActShown(_Answer):
    """One thing that was done with a task."""

    at: datetime
    actor: str
    action: str
    reason: str | None
    detail: dict[str, Any]


class TaskStoryShown(_Answer):
    """A task with what people did, in order, at most a hundred."""

    task: TaskShown
    history: list[TaskActShown]


class TaskActed(_Answer):
    """It was done."""

    tenant: str
    task_id: str
    action: str
    action_id: str
    event_id: str | None = Field(description="Of `complete`: the event on its way.")


def shown_task(task: TaskLine) -> dict[str, Any]:
    """A task as `TaskShown` describes it."""
    return {
        **as_mapping(task),
        "form": None if task.form is None else read_stored(task.form),
        "status": task.status,
        "why_closed": task.why_closed,
    }
