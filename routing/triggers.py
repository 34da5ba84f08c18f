"""Triggers in the database: applying, disabling, listing. Every change is audited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import Rollback

from correlation.exact_reading import read_stored
from correlation.exact_writing import exact_json
from correlation.trigger_input import input_definition
from correlation.triggers import Trigger, where_definition
from routing.database import Connection, Database
from routing.launch_statements import APPLY_TRIGGER, DISABLE_TRIGGER, LIST_TRIGGERS
from routing.operator_actions import OperatorAction, record_action
from routing.quotas import check_triggers, lock_trigger_names

FROM_THE_BEGINNING: Final = ("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What applying one trigger did."""

    tenant: str
    trigger_id: str
    change: str
    """`created`, `changed` or `unchanged`."""
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerLine:
    """One trigger as it stands in the database."""

    tenant: str
    trigger_id: str
    event: str
    workflow: str
    task_queue: str
    input: Mapping[str, Any] | str
    """Dotted member → `{path, default?}`, `{event}` or `{value}`; a path: what stands there; empty:
    the whole event.
    """
    where: Mapping[str, Any]
    only_without_wait: bool
    enabled: bool
    version: int
    updated_at: datetime
    namespace: str | None = None
    """Temporal namespace to launch in; None: the first one that is served."""


async def apply_triggers(
    database: Database,
    triggers: Sequence[Trigger],
    *,
    actor: str,
    reason: str | None = None,
    dry_run: bool = False,
    behind_wall: str | None = None,
    most_per_event: int = 0,
) -> Sequence[Applied]:
    """Create or change triggers, all or none; others are left as they are.

    A `dry_run` only answers what would change. `behind_wall` names the only tenant whose triggers
    may be written, `most_per_event` how many enabled triggers one event's name may have (0: any).
    Raises DatabaseUnavailable, RecordRefused or QuotaReached.
    """
    applied: list[Applied] = []
    async with database.transaction(tenant=behind_wall) as connection:
        await lock_trigger_names(connection, triggers)
        for trigger in triggers:
            # One after the other on one connection: a comprehension would only hide the loop.
            applied.append(await _apply(connection, trigger, actor, reason))  # noqa: PERF401
        pairs = zip(triggers, applied, strict=True)
        changed = [trigger for trigger, end in pairs if end.change != "unchanged"]
        await check_triggers(connection, changed, most_per_event)
        if dry_run:
            raise Rollback  # ends the block above, and nothing else
    return applied


async def _apply(
    connection: Connection, trigger: Trigger, actor: str, reason: str | None
) -> Applied:
    before = await find_trigger(connection, trigger.tenant, trigger.trigger_id)
    cursor = await connection.execute(APPLY_TRIGGER, _columns(trigger))
    row = await cursor.fetchone()
    if row is None:
        version = 1 if before is None else before.version
        return _applied(trigger, "unchanged", version)
    applied = _applied(trigger, "created" if before is None else "changed", int(row[0]))
    action = _action(
        trigger.tenant, trigger.trigger_id, "apply_trigger", actor, reason, applied.version
    )
    await record_action(connection, action)
    return applied


async def disable_trigger(
    connection: Connection,
    tenant: str,
    trigger_id: str,
    *,
    actor: str,
    reason: str | None = None,
) -> TriggerLine | None:
    """Let a trigger launch nothing any more; None when there is none. Repeating is harmless."""
    cursor = await connection.execute(DISABLE_TRIGGER, {"tenant": tenant, "trigger_id": trigger_id})
    row = await cursor.fetchone()
    if row is not None:
        action = _action(tenant, trigger_id, "disable_trigger", actor, reason, int(row[0]))
        await record_action(connection, action)
    return await find_trigger(connection, tenant, trigger_id)


async def find_trigger(connection: Connection, tenant: str, trigger_id: str) -> TriggerLine | None:
    """One trigger."""
    found = await list_triggers(connection, [tenant], trigger_id=trigger_id, limit=1)
    return found[0] if found else None


async def list_triggers(
    connection: Connection,
    tenants: Sequence[str] | None,
    *,
    event_name: str | None = None,
    trigger_id: str | None = None,
    after: tuple[str, str] = FROM_THE_BEGINNING,
    limit: int = 50,
) -> Sequence[TriggerLine]:
    """Triggers by tenant and id, those after `after`; of every tenant for None."""
    cursor = await connection.execute(
        LIST_TRIGGERS,
        {
            "tenants": None if tenants is None else list(tenants),
            "event_name": event_name,
            "trigger_id": trigger_id,
            "after_tenant": after[0],
            "after_id": after[1],
            "count": limit,
        },
    )
    return [_line(row) for row in await cursor.fetchall()]


def _line(row: Sequence[Any]) -> TriggerLine:
    tenant, trigger_id, event, workflow, queue, mapping, where, alone, enabled, *rest = row
    version, at, namespace = rest
    return TriggerLine(
        tenant=tenant,
        trigger_id=trigger_id,
        event=event,
        workflow=workflow,
        task_queue=queue,
        input=read_stored(mapping),
        where=read_stored(where or "{}"),
        only_without_wait=alone,
        enabled=enabled,
        version=version,
        updated_at=at,
        namespace=namespace,
    )


def _columns(trigger: Trigger) -> dict[str, object]:
    where = where_definition(trigger.where)
    return {
        "tenant": trigger.tenant,
        "trigger_id": trigger.trigger_id,
        "event_name": trigger.event_name,
        "workflow_type": trigger.workflow_type,
        "task_queue": trigger.task_queue,
        "input": exact_json(input_definition(trigger.input)),
        # By name, so that the order of a file's lines makes no new version.
        "filter": exact_json(dict(sorted(where.items()))) if where else None,
        "only_without_wait": trigger.only_without_wait,
        "enabled": trigger.enabled,
        "namespace": trigger.namespace,
    }


def _applied(trigger: Trigger, change: str, version: int) -> Applied:
    return Applied(
        tenant=trigger.tenant, trigger_id=trigger.trigger_id, change=change, version=version
    )


def _action(
    tenant: str, trigger_id: str, action: str, actor: str, reason: str | None, version: int
) -> OperatorAction:
    return OperatorAction(
        tenant=tenant,
        actor=actor,
        action=action,
        target_kind="trigger",
        target_id=trigger_id,
        reason=reason,
        detail={"version": version},
    )
