"""Triggers within the match transaction: looked up once per batch, their launches written with it.

Without a trigger of the batch's names this costs one statement, sent together with the match, and
no round trip; with one it costs one round trip more, however many events and triggers there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from psycopg import AsyncCursor
from psycopg.rows import TupleRow

from correlation.event import Event
from correlation.exact_reading import NotJson, read_stored
from correlation.launching import Decision, Launching, NotLaunching, decide
from correlation.reason import Reason
from correlation.trigger_input import InputMapping
from correlation.triggers import Condition, TriggersError, compile_trigger
from routing.columns import Columns, keys_of
from routing.database import Connection
from routing.incoming import IncomingEvent
from routing.launch_statements import RECORD_LAUNCHES, TRIGGERS_OF_NAMES
from routing.launches import launched_workflow_id

LONGEST_DETAIL: Final = 1000


class _Row(NamedTuple):
    """One row of TRIGGERS_OF_NAMES."""

    tenant: str
    event_name: str
    trigger_id: str
    version: int
    workflow_type: str
    task_queue: str
    input_mapping: str
    where: str | None
    only_without_wait: bool
    namespace: str | None


async def look_up_triggers(
    connection: Connection, batch: Sequence[IncomingEvent]
) -> AsyncCursor[TupleRow]:
    """Ask for the enabled triggers of the batch's names; the answer is not waited for."""
    names = {(incoming.event.tenant, incoming.event.name) for incoming in batch}
    return await _asked(connection, sorted(names))


async def foresee_launches(
    connection: Connection, event: Event, key: str | None
) -> Sequence[tuple[str, str, bool, Decision]]:
    """What each trigger would make of an event: its id, workflow type, and whether alone only."""
    asked = await _asked(connection, [(event.tenant, event.name)])
    rows = [_Row(*found) for found in await asked.fetchall()]
    return [
        (
            row.trigger_id,
            row.workflow_type,
            row.only_without_wait,
            _decided(event, key, row),
        )
        for row in rows
    ]


async def _asked(connection: Connection, names: Sequence[tuple[str, str]]) -> AsyncCursor[TupleRow]:
    return await connection.execute(
        TRIGGERS_OF_NAMES,
        {
            "trigger_tenants": [tenant for tenant, _ in names],
            "trigger_names": [name for _, name in names],
        },
    )


async def record_launches(
    connection: Connection,
    asked: AsyncCursor[TupleRow],
    batch: Sequence[IncomingEvent],
    namespace: str,
) -> tuple[int, int]:
    """Write down what each trigger makes of the events that this transaction recorded.

    To be called after the events are inserted; triggers that name no namespace launch in
    `namespace`. Returns how many launches wait to be claimed, and how many were written down at
    all.
    """
    by_name: dict[tuple[str, str], list[_Row]] = {}
    for found in await asked.fetchall():
        row = _Row(*found)
        by_name.setdefault((row.tenant, row.event_name), []).append(row)
    if not by_name:
        return 0, 0
    rows = [
        (*_launch_row(incoming, trigger), trigger.namespace or namespace)
        for incoming in batch
        for trigger in by_name.get((incoming.event.tenant, incoming.event.name), ())
    ]
    if not rows:
        return 0, 0
    columns: Columns = dict(zip(_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    cursor = await connection.execute(RECORD_LAUNCHES, columns)
    statuses = [row[0] for row in await cursor.fetchall()]
    return statuses.count("pending"), len(statuses)


_COLUMNS = (
    "tenants",
    "event_ids",
    "trigger_ids",
    "versions",
    "workflow_ids",
    "workflow_types",
    "task_queues",
    "only_without_wait",
    "inputs",
    "reasons",
    "details",
    "namespaces",
)


def _launch_row(incoming: IncomingEvent, trigger: _Row) -> tuple[object, ...]:
    event = incoming.event
    key = next(iter(keys_of(incoming)), None)
    decision: Decision
    if incoming.launches_held is not None:
        decision = NotLaunching(Reason.SCHEMA_INVALID, incoming.launches_held)
    else:
        decision = _decided(event, key, trigger)
    workflow_id = launched_workflow_id(event.tenant, event.event_id, trigger.trigger_id)
    facts = (
        event.tenant,
        event.event_id,
        trigger.trigger_id,
        trigger.version,
        workflow_id,
        trigger.workflow_type,
        trigger.task_queue,
        trigger.only_without_wait,
    )
    match decision:
        case Launching(input_text):
            return (*facts, input_text, None, None)
        case NotLaunching(reason, detail):
            return (*facts, None, reason.value, detail)


def _decided(event: Event, key: str | None, trigger: _Row) -> Decision:
    """What a stored trigger makes of an event; one that cannot be read costs the event nothing."""
    try:
        mapping, where = _compiled(trigger.input_mapping, trigger.where)
    except (TriggersError, NotJson) as error:
        return NotLaunching(Reason.TRIGGER_UNUSABLE, str(error)[:LONGEST_DETAIL])
    return decide(event, key, mapping, where)


@lru_cache(maxsize=1024)
def _compiled(mapping: str, where: str | None) -> tuple[InputMapping, tuple[Condition, ...]]:
    """The stored definition, compiled; raises TriggersError or NotJson.

    It was checked when it was stored, perhaps by another release.
    """
    definition: Mapping[str, Any] = {
        "tenant": "-",
        "event": "-",
        "workflow": "-",
        "task_queue": "-",
        "input": read_stored(mapping),
        "where": read_stored(where or "{}"),
    }
    trigger = compile_trigger("stored", definition, stored=True)
    return trigger.input, trigger.where
