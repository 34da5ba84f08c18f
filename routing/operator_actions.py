"""The audit of what operators did by hand: who, what, to which target, and why."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from routing.database import Connection

RECORD_ACTION: Final = """
INSERT INTO workflow_operator_actions
    (tenant_id, action_id, actor, action, target_kind, target_id, reason, detail, at)
VALUES (%(tenant)s, %(action_id)s, %(actor)s, %(action)s, %(target_kind)s, %(target_id)s,
        %(reason)s, %(detail)s::jsonb, statement_timestamp())
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


async def begin_auditing(connection: Connection) -> None:
    """Return once the transaction can write actions down: before what no rollback undoes.

    Raises what the database raises.
    """
    cursor = await connection.execute("SELECT FROM workflow_operator_actions LIMIT 0")
    await cursor.fetchall()
