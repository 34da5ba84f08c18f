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

from routing.database import Connection
from routing.paging import Cursor, Page, page_of, parts_of, tenants_among
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
    at, task_id, tenant = parts_of(after, (datetime, str, str), (None, None, None))
    parameters = {
        "tenants": await tenants_among(connection, tenants, ALL_TASK_TENANTS),
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
    return page_of(await cursor.fetchall(), limit, _cursor)


async def find_tasks(
    connection: Connection, tenants: Sequence[str] | None, task_id: str
) -> Sequence[TaskLine]:
    """The tasks of this id among the tenants."""
    cursor = connection.cursor(row_factory=kwargs_row(task_line))
    sought = await tenants_among(connection, tenants, ALL_TASK_TENANTS)
    await cursor.execute(FIND_TASKS.encode(), {"tenants": sought, "task_id": task_id})
    return await cursor.fetchall()


async def history_of_task(connection: Connection, task: TaskLine) -> Sequence[dict[str, Any]]:
    """What people did with a task, in order, at most a hundred: at, actor, action, reason."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        HISTORY_OF_TASK,
        {"tenant": task.tenant, "task_id": task.task_id, "limit": HISTORY_SHOWN},
    )
    return await cursor.fetchall()


def _cursor(task: TaskLine) -> Cursor:
    return task.created_at.isoformat(), task.task_id, task.tenant
