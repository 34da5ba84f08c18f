"""The audit of what operators did by hand: who, what, to which target, and why."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from routing.database import Connection

RECORD_ACTION: Final = """
INSERT INTO workflow_operator_actions
    (tenant_id, action_id, actor, action, target_kind, target_id, reason, detail, at)
VALUES (%(tenant)s, %(action_id)s, %(actor)s, %(action)s, %(target_kind)s, %(target_id)s,
        %(reason)s, %(detail)s::jsonb, statement_timestamp())
"""


# Index: the primary key, in both.
FINISH_ACTIONS: Final = """
UPDATE workflow_operator_actions AS actions SET detail = %(detail)s::jsonb
FROM unnest(%(tenants)s::text[], %(action_ids)s::text[]) AS given (tenant_id, action_id)
WHERE (actions.tenant_id, actions.action_id) = (given.tenant_id, given.action_id)
"""
TAKE_BACK_ACTIONS: Final = """
DELETE FROM workflow_operator_actions AS actions
USING unnest(%(tenants)s::text[], %(action_ids)s::text[]) AS given (tenant_id, action_id)
WHERE (actions.tenant_id, actions.action_id) = (given.tenant_id, given.action_id)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAction:
    """One thing that an operator did."""

    tenant: str
    actor: str
    """The name of the token, or who the JWT says it is."""
    action: str
    """A verb: `close_wait`, `requeue`, `replay`, `bind`."""
    target_kind: str
    """`wait`, `event`, `delivery` or `dead_letter`."""
    target_id: str
    reason: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


async def record_action(connection: Connection, action: OperatorAction) -> str:
    """Write the action down in the caller's transaction; returns the action's id."""
    action_id = uuid.uuid4().hex
    await connection.execute(
        RECORD_ACTION,
        {
            "tenant": action.tenant,
            "action_id": action_id,
            "actor": action.actor,
            "action": action.action,
            "target_kind": action.target_kind,
            "target_id": action.target_id,
            "reason": action.reason,
            "detail": json.dumps(dict(action.detail)),
        },
    )
    return action_id


async def record_actions(
    connection: Connection, actions: Sequence[OperatorAction]
) -> Sequence[str]:
    """Write several actions down; their ids, in order."""
    return [await record_action(connection, action) for action in actions]


async def finish_actions(
    connection: Connection, keys: Sequence[tuple[str, str]], detail: Mapping[str, Any]
) -> None:
    """Say of actions (tenant, action id) that were begun how they ended."""
    await connection.execute(FINISH_ACTIONS, {**_keys(keys), "detail": json.dumps(dict(detail))})


async def take_back_actions(connection: Connection, keys: Sequence[tuple[str, str]]) -> None:
    """Remove actions (tenant, action id) that were begun and did nothing."""
    await connection.execute(TAKE_BACK_ACTIONS, _keys(keys))


def _keys(keys: Sequence[tuple[str, str]]) -> dict[str, object]:
    return {
        "tenants": [tenant for tenant, _ in keys],
        "action_ids": [action_id for _, action_id in keys],
    }
