"""Looking at human tasks: lists, one task, and what people did with it.

All functions read, in the caller's transaction; the tenants come from whoever checked what the
reader may see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.rows import dict_row, kwargs_row

from routing.audit_pages import Cursor, InvalidCursor, Page
from routing.database import Connection
from routing.statements import PLAN_ANEW
from routing.task_records import TaskLine
from routing.task_settling import task_line
from routing.task_statements import (
    ALL_TASK_TENANTS,
    ALL_TASKS,
    FIND_TASKS,
    HISTORY_OF_TASK,
    OPEN_TASKS,
)

HISTORY_SHOWN: Final = 100
_NOWHERE: Final[tuple[None, None, None]] = (None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQuery:
    """Which tasks to list; what is None does not narrow the list."""

    names: tuple[str, ...] | None = None
    """Only those that a person of these names may complete."""
    workflow_id: str | None = None
    closed_too: bool = False


async def page_of_tasks(
    connection: Connection,
    tenants: Sequence[str] | None,
    query: TaskQuery,
    *,
    after: Cursor | None = None,
    limit: int,
) -> Page[TaskLine]:
    """Open tasks, those that wait longest first; with closed ones every task, the newest first.

    `tenants` None: every tenant's. Raises InvalidCursor.
    """
    at, task_id, tenant = _NOWHERE if after is None else _checked(after)
    parameters = {
        "tenants": list(tenants) if tenants is not None else await known_task_tenants(connection),
        "workflow_id": query.workflow_id,
        "names": None if query.names is None else list(query.names),
        "after_at": at,
        "after_id": task_id,
        "after_tenant": tenant,
        "limit": limit + 1,
    }
    await connection.execute(PLAN_ANEW)
    cursor = connection.cursor(row_factory=kwargs_row(task_line))
    statement = ALL_TASKS if query.closed_too else OPEN_TASKS
    await cursor.execute(statement.encode(), parameters)
    lines = await cursor.fetchall()
    more = lines[limit - 1] if len(lines) > limit else None
    place = None if more is None else (more.created_at.isoformat(), more.task_id, more.tenant)
    return Page(lines[:limit], place)


async def find_tasks(
    connection: Connection, tenants: Sequence[str] | None, task_id: str
) -> Sequence[TaskLine]:
    """The tasks of this id among the tenants."""
    cursor = connection.cursor(row_factory=kwargs_row(task_line))
    sought = list(tenants) if tenants is not None else await known_task_tenants(connection)
    parameters = {"tenants": sought, "task_id": task_id}
    await cursor.execute(FIND_TASKS.encode(), parameters)
    return await cursor.fetchall()


async def history_of_task(connection: Connection, task: TaskLine) -> Sequence[dict[str, Any]]:
    """What people did with a task, in order, at most a hundred: at, actor, action, reason."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        HISTORY_OF_TASK,
        {"tenant": task.tenant, "task_id": task.task_id, "limit": HISTORY_SHOWN},
    )
    return await cursor.fetchall()


async def known_task_tenants(connection: Connection) -> Sequence[str]:
    """The tenants that have tasks, in order."""
    cursor = await connection.execute(ALL_TASK_TENANTS)
    return [str(row[0]) for row in await cursor.fetchall()]


def _checked(after: Cursor) -> Cursor:
    if [type(part) for part in after] != [str] * len(_NOWHERE):
        raise InvalidCursor("the cursor belongs to another list")
    try:
        moment = datetime.fromisoformat(str(after[0]))
    except ValueError:
        raise InvalidCursor("the cursor is damaged") from None
    if moment.tzinfo is None:
        raise InvalidCursor("the cursor is damaged")
    return after
