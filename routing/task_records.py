"""Human tasks as values: what is asked, how a task stands, and who may do what with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from correlation.json_schema import Misfit


@dataclass(frozen=True, slots=True)
class AskedOfPeople:
    """What a wait of kind `human` asks."""

    title: str
    form: str | None
    """JSON Schema of the answer, as text; None: any object is taken."""
    assignees: tuple[str, ...] = ()
    due_at: datetime | None = None


class TaskStatus(StrEnum):
    """How a task stands."""

    OPEN = "open"
    COMPLETED = "completed"
    CLOSED = "closed"
    """Its wait ended without an answer: timed out, cancelled, or its run is gone."""


KINDS_OF_NAMES: Final = ("token:", "jwt:", "cli:")
"""How a name was proved; stands before it."""


def names_of_person(name: str) -> tuple[str, ...]:
    """By which names a task may be assigned to somebody: in full and, if it is clear, for short.

    The subject of a JWT may itself read `token:ada`: shortened, it would be another one's name.
    """
    short = name.partition(":")[2]
    return (name,) if not short or short.startswith(KINDS_OF_NAMES) else (name, short)


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts on a task."""

    actor: str
    """Stands in the operators' audit."""
    name: str
    """By which a task may be assigned to them: `token:ada`, or for short `ada`."""

    def is_one_of(self, names: Sequence[str]) -> bool:
        """Whether they are named, in full or for short."""
        return not set(names_of_person(self.name)).isdisjoint(names)


@dataclass(frozen=True, slots=True)
class TaskLine:
    """A task with the wait that it belongs to."""

    tenant: str
    task_id: str
    title: str
    form: str | None
    assignees: tuple[str, ...]
    due_at: datetime | None
    created_at: datetime
    claimed_by: str | None
    claimed_at: datetime | None
    completed_by: str | None
    completed_at: datetime | None
    event_id: str | None
    """The event that completed it."""
    workflow_id: str
    run_id: str | None
    waiting: bool
    """Whether the workflow still waits; it may have taken the answer since."""
    expires_at: datetime | None
    closed_at: datetime | None
    disposition: str | None
    """What the workflow said at the end of its wait."""
    reason: str | None
    """Why the wait ended, where its workflow did not say so."""
    times_out_at: datetime | None = None
    """When the workflow itself gives up; `expires_at` is some time later."""

    @property
    def status(self) -> TaskStatus:
        """How it stands: an answer counts, whatever became of the wait afterwards."""
        if self.completed_at is not None:
            return TaskStatus.COMPLETED
        return TaskStatus.OPEN if self.waiting else TaskStatus.CLOSED

    @property
    def why_closed(self) -> str | None:
        """Why nobody can complete it any more; None unless it is closed."""
        if self.status is not TaskStatus.CLOSED:
            return None
        return self.disposition or self.reason or "wait_expired"


class TaskRefused(StrEnum):
    """Why nothing was done."""

    COMPLETED = "task_completed"
    CLOSED = "task_closed"
    CLAIMED = "task_claimed"
    NOT_ASSIGNED = "not_assigned"
    ANSWER_INVALID = "answer_invalid"
    TOO_COSTLY = "schema_too_costly"
    """Judging the answer by the form exceeds a budget."""
    NOT_RECORDED = "not_recorded"
    """The answer's event could not be recorded under its id; another try draws another."""
    UNKNOWN = "unknown"
    """There is no such task (any more)."""


@dataclass(frozen=True, slots=True)
class TaskRefusal:
    """Nothing was changed; `detail` says what stands against it, in a sentence."""

    why: TaskRefused
    detail: str
    misfits: Sequence[Misfit] = ()


@dataclass(frozen=True, slots=True)
class TaskDone:
    """It was done, and is written down under this id."""

    action_id: str
    event_id: str | None = None
    """Of a completed task: the event that is on its way to the workflow."""


TaskEnd: TypeAlias = TaskDone | TaskRefusal


def refusal_by_state(task: TaskLine) -> TaskRefusal | None:
    """Why nobody can act on the task any more; None while it is open."""
    match task.status:
        case TaskStatus.OPEN:
            return None
        case TaskStatus.COMPLETED:
            detail = f"the task was completed by {task.completed_by} before"
            return TaskRefusal(TaskRefused.COMPLETED, detail)
        case TaskStatus.CLOSED:
            detail = f"the workflow does not wait for this task any more ({task.why_closed})"
            return TaskRefusal(TaskRefused.CLOSED, detail)


def refusal_of_person(task: TaskLine, person: Person) -> TaskRefusal | None:
    """Why this person cannot claim or complete the open task; None when they can."""
    if task.claimed_by is not None:
        if task.claimed_by == person.name:
            return None
        detail = f"{task.claimed_by} has claimed the task; it can be reassigned"
        return TaskRefusal(TaskRefused.CLAIMED, detail)
    if not task.assignees or person.is_one_of(task.assignees):
        return None
    detail = f"the task is for {', '.join(task.assignees)}, not for {person.name}"
    return TaskRefusal(TaskRefused.NOT_ASSIGNED, detail)
