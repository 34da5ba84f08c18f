"""Closing a wait by hand: the act and what the operators' audit says of it, both or neither."""

from __future__ import annotations

from dataclasses import dataclass

from correlation.closing import Closing
from correlation.reason import Reason
from routing.database import Database
from routing.operator_actions import OperatorAction, record_action
from routing.waits import close_locked, waits_locked


@dataclass(frozen=True, slots=True)
class Closed:
    """What became of the wait, and under which id it is written down."""

    status: str
    action_id: str


async def close_by_hand(
    database: Database, *, tenant: str, wait_id: str, actor: str, reason: str
) -> Closed:
    """Let the wait take no further event; its workflow is not told. Wake the dispatcher then.

    Raises DatabaseUnavailable or RecordRefused.
    """
    action = OperatorAction(
        tenant=tenant,
        actor=actor,
        action="close_wait",
        target_kind="wait",
        target_id=wait_id,
        reason=reason,
    )
    detail = f"{actor}: {reason}"
    closing = Closing(tenant, wait_id, reason=Reason.CLOSED_BY_HAND, detail=detail)
    async with waits_locked(database, [(tenant, wait_id)]) as connection:
        statuses = await close_locked(connection, [closing])
        action_id = await record_action(connection, action)
    return Closed(statuses.get((tenant, wait_id), "unknown"), action_id)
