"""Handing an event to a wait by hand, whatever its name and keys are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from correlation.key import lock_hash
from pointsman.contract import WaitKind
from routing.database import Connection, Database
from routing.operator_actions import OperatorAction, record_action
from routing.replay_statements import BIND_EVENT, EVENT_TO_BIND, WAIT_TO_BIND
from routing.statements import LOCK_KEYS


@dataclass(frozen=True, slots=True)
class Bound:
    """The event is on its way to the wait; wake the dispatcher."""

    tenant: str
    event_id: str
    wait_id: str
    workflow_id: str
    action_id: str


@dataclass(frozen=True, slots=True)
class NotBound:
    """Nothing was changed; `why` says what stands against it, in a sentence."""

    why: str
    unknown: bool = False
    """True when there is no such event or no such wait."""


Binding: TypeAlias = Bound | NotBound


@dataclass(frozen=True, slots=True, kw_only=True)
class Handing:
    """What an operator asks for."""

    tenant: str
    event_id: str
    wait_id: str
    actor: str
    reason: str


async def bind(database: Database, handing: Handing, *, behind_wall: bool = False) -> Binding:
    """Hand an event to an open wait; repeated, it says that this has been done.

    Takes the locks of the wait's key and of all the event's keys, as matching does, and writes the
    operators' audit in the same transaction. Raises DatabaseUnavailable or RecordRefused.
    """
    wall = handing.tenant if behind_wall else None
    async with database.transaction(tenant=wall) as connection:
        target = {
            "tenant": handing.tenant,
            "event_id": handing.event_id,
            "wait_id": handing.wait_id,
        }
        cursor = await connection.execute(EVENT_TO_BIND, target)
        event = await cursor.fetchone()
        cursor = await connection.execute(WAIT_TO_BIND, target)
        wait = await cursor.fetchone()
        if event is None:
            return NotBound(
                f"tenant {handing.tenant} has no event {handing.event_id}", unknown=True
            )
        if wait is None:
            return NotBound(f"tenant {handing.tenant} has no wait {handing.wait_id}", unknown=True)
        if wait[5] == WaitKind.HUMAN:
            return NotBound(f"wait {handing.wait_id} is a person's task: complete it instead")
        triples = {(wait[0], wait[1]), *((event[0], key) for key in event[1])}
        hashes = sorted(lock_hash(handing.tenant, name, key) for name, key in triples)
        await connection.execute(LOCK_KEYS, {"hashes": hashes})
        cursor = await connection.execute(BIND_EVENT, target)
        row = await cursor.fetchone()
        refusal = _refusal(handing, row)
        if refusal is not None:
            return refusal
        workflow_id = str(wait[2])
        action_id = await _record(connection, handing, workflow_id)
    return Bound(handing.tenant, handing.event_id, handing.wait_id, workflow_id, action_id)


def _refusal(handing: Handing, row: tuple[str, bool, bool] | None) -> NotBound | None:
    if row is None:
        return NotBound(f"tenant {handing.tenant} has no wait {handing.wait_id}", unknown=True)
    status, held_elsewhere, delivered = row
    if delivered:
        return None
    if status != "waiting":
        return NotBound(f"wait {handing.wait_id} is closed: nobody would take the event")
    if held_elsewhere:
        return NotBound(f"event {handing.event_id} is another exclusive wait's")
    return NotBound(f"event {handing.event_id} was handed to wait {handing.wait_id} before")


async def _record(connection: Connection, handing: Handing, workflow_id: str) -> str:
    return await record_action(
        connection,
        OperatorAction(
            tenant=handing.tenant,
            actor=handing.actor,
            action="bind",
            target_kind="event",
            target_id=handing.event_id,
            reason=handing.reason,
            detail={"wait_id": handing.wait_id, "workflow_id": workflow_id},
        ),
    )
