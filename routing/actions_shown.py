"""What people did by hand, as it stands on an event, a wait and a run: who, when and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.rows import kwargs_row

from routing.database import Connection

MOST_SHOWN: Final = 100

# Each target is probed by itself. Index: workflow_operator_actions_by_target.
ACTIONS_ON: Final = """
SELECT a.* FROM unnest(%(kinds)s::text[], %(ids)s::text[]) AS i (target_kind, target_id)
CROSS JOIN LATERAL (
    SELECT action_id, actor, action, target_kind, target_id, reason, detail, at
    FROM workflow_operator_actions
    WHERE tenant_id = %(tenant)s AND target_kind = i.target_kind AND target_id = i.target_id
    ORDER BY at DESC LIMIT %(limit)s
) AS a
ORDER BY a.at DESC LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLine:
    """One thing that somebody did by hand."""

    action_id: str
    actor: str
    action: str
    """A verb: `bind`, `replay`, `requeue`, `close_wait`, `complete_task`, `retry_launch`, …"""
    target_kind: str
    target_id: str
    reason: str | None
    detail: dict[str, Any]
    at: datetime

    def mentions_wait(self, wait_id: str) -> bool:
        """Whether it was done to this wait, or to its task, or handed it an event."""
        if self.target_kind in {"wait", "task"}:
            return self.target_id == wait_id
        return self.detail.get("wait_id") == wait_id or wait_id in self.detail.get("waits", ())


async def actions_on_event(
    connection: Connection, tenant: str, event_id: str, wait_ids: Iterable[str] = ()
) -> tuple[ActionLine, ...]:
    """What was done to an event, the newest first; `wait_ids` are those of its deliveries."""
    targets = [("event", event_id), *(("task", wait_id) for wait_id in wait_ids)]
    found = await _actions(connection, tenant, targets)
    return tuple(
        action
        for action in found
        if action.target_kind == "event" or action.detail.get("event_id") == event_id
    )


async def actions_on_waits(
    connection: Connection, tenant: str, wait_ids: Sequence[str], event_ids: Iterable[str]
) -> tuple[ActionLine, ...]:
    """What was done to waits and their tasks, and which of their events were handed over."""
    targets = [(kind, wait_id) for wait_id in wait_ids for kind in ("wait", "task")]
    targets += [("event", event_id) for event_id in event_ids]
    found = await _actions(connection, tenant, targets)
    return tuple(
        action for action in found if any(action.mentions_wait(wait_id) for wait_id in wait_ids)
    )


async def actions_on_launch(
    connection: Connection, tenant: str, event_id: str, workflow_id: str
) -> tuple[ActionLine, ...]:
    """What was done to the launch of a workflow."""
    found = await _actions(connection, tenant, [("event", event_id)])
    return tuple(
        action
        for action in found
        if action.action == "retry_launch" and action.detail.get("workflow_id") == workflow_id
    )


def handed_by(actions: Iterable[ActionLine], wait_id: str) -> ActionLine | None:
    """Who handed an event to a wait by hand, or replayed it so that it met the wait."""
    handing = (each for each in actions if each.action in {"bind", "replay"})
    return next((each for each in handing if each.mentions_wait(wait_id)), None)


def said_of(action: ActionLine) -> str:
    """Who did it and why, for the end of a sentence: `by token:dana (paid by phone)`."""
    return f"by {action.actor} ({action.reason})" if action.reason else f"by {action.actor}"


async def _actions(
    connection: Connection, tenant: str, targets: Iterable[tuple[str, str]]
) -> Sequence[ActionLine]:
    unique = list(dict.fromkeys(targets))
    cursor = connection.cursor(row_factory=kwargs_row(ActionLine))
    await cursor.execute(
        ACTIONS_ON,
        {
            "tenant": tenant,
            "kinds": [kind for kind, _ in unique],
            "ids": [target_id for _, target_id in unique],
            "limit": MOST_SHOWN,
            "most": MOST_SHOWN,
        },
    )
    return await cursor.fetchall()
