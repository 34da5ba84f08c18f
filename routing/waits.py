"""Registering and closing waits, under the same locks that matching takes."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from correlation.closing import Closing, without_taken_back
from correlation.event import EventName, TenantId
from correlation.key import CorrelationKey, lock_hash
from correlation.reason import Reason
from pointsman.contract import Cardinality, WaitKind
from routing.chains import Chain
from routing.database import Connection, Database
from routing.faults import WaitConflict
from routing.incoming import DEFAULT_NAMESPACE, RunId, WaitId, WorkflowId
from routing.launch_statements import RELEASE_LAUNCHES
from routing.ownership import Voucher
from routing.ownership_statements import PROVED_WORKFLOWS
from routing.registration_statements import KNOWN_WAITS, REGISTER_WAITS
from routing.return_statements import RETURN_EVENTS
from routing.run_statements import PROJECT_REGISTERED
from routing.statements import (
    CLOSE_WAITS,
    DISPOSE_DELIVERIES,
    KEYS_OF_WAITS,
    LOCK_KEYS,
    PLAN_ANEW,
    REOFFER_EVENTS,
    SETTLE_CLOSED,
    STATUS_OF_WAITS,
    TRY_LOCK_KEYS,
)
from routing.task_records import AskedOfPeople
from routing.task_statements import KNOWN_TASKS, REGISTER_TASKS

_RUN_GONE: Final = (Reason.RUN_CLOSED, Reason.RUN_NOT_FOUND)


FOREIGN: Final = "foreign"


@dataclass(frozen=True, slots=True)
class Wait:
    """A run's registered interest in (tenant, event name, correlation key)."""

    tenant: TenantId
    wait_id: WaitId
    event_name: EventName
    correlation_key: CorrelationKey
    workflow_id: WorkflowId
    run_id: RunId | None
    signal_name: str
    kind: WaitKind = WaitKind.EVENT
    cardinality: Cardinality = Cardinality.ALL
    filter: str | None = None
    lookback: timedelta = timedelta(0)
    expires_at: datetime | None = None
    times_out_at: datetime | None = None
    """When the workflow gives up by itself: shown to people, and nothing else."""
    task: AskedOfPeople | None = None
    """Of a wait of kind `human`: what is asked of a person."""
    namespace: str = DEFAULT_NAMESPACE
    first_run_id: RunId | None = None
    """The first run of the chain that the run belongs to."""
    vouched_by: Voucher | None = None
    """Who proved that the workflow is the tenant's; None: nobody."""

    @property
    def chain(self) -> Chain:
        """Whose it is."""
        return Chain(self.namespace, self.workflow_id, self.run_id, self.first_run_id)


@dataclass(frozen=True, slots=True)
class Registration:
    """How a wait stands after it was registered."""

    wait_id: WaitId
    status: str
    """`waiting` or `closed` (a repeated registration of a wait that has ended since)."""
    matched_events: int
    """Events taken by the look-back; each is a delivery now."""
    conflict: bool = False
    """True when another wait is registered under this id; nothing was changed."""
    rivals: tuple[WaitId, ...] = ()
    """Open waits of other runs of the same workflow id: they may be of a chain that is gone."""
    held_by: Chain | None = None
    """The other run of the same workflow id that registered the wait; nothing was changed."""


class Waits:
    """The waits in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, waits: Sequence[Wait]) -> list[Registration]:
        """Register a batch of waits; when this returns, it is committed.

        Answers in the order given. Repeating a registration changes nothing. Raises
        DatabaseUnavailable or RecordRefused.
        """
        unique = {(wait.tenant, wait.wait_id): wait for wait in waits}
        async with self._database.transaction() as connection:
            await connection.execute(LOCK_KEYS, {"hashes": _hashes(unique.values())})
            await connection.execute(PLAN_ANEW)
            columns = _wait_columns(list(unique.values()))
            cursor = await connection.execute(REGISTER_WAITS, columns)
            await connection.execute(PROJECT_REGISTERED, _run_columns(columns))
            if asking := [wait for wait in unique.values() if wait.task is not None]:
                await connection.execute(REGISTER_TASKS, _task_columns(asking))
            rows = await cursor.fetchall()
            answers = {
                (row[0], row[1]): Registration(row[1], "waiting", row[3], rivals=tuple(row[4]))
                for row in rows
                if row[2]
            }
            known = [wait for identity, wait in unique.items() if identity not in answers]
            if known:
                answers |= await _known(connection, known)
        return [answers[wait.tenant, wait.wait_id] for wait in waits]

    async def close(self, closings: Sequence[Closing]) -> list[str]:
        """Apply what is said of waits; when this returns, it is committed.

        Answers each closing with the wait's status: `waiting`, `closed` or `unknown`; or `foreign`
        where another workflow than the wait's asks, and both are proved: it changes nothing. What
        an exclusive wait gives back goes to the next exclusive wait in line. Raises
        DatabaseUnavailable or RecordRefused.
        """
        identities = [(closing.tenant, closing.wait_id) for closing in closings]
        async with waits_locked(self._database, identities) as connection:
            foreign = await _foreign(connection, closings)
            own = [each for each in closings if each not in foreign]
            statuses = await close_locked(connection, own)
        return [
            FOREIGN if closing in foreign else statuses.get(identity, "unknown")
            for closing, identity in zip(closings, identities, strict=True)
        ]


@asynccontextmanager
async def waits_locked(
    database: Database, waits: Collection[tuple[str, str]]
) -> AsyncGenerator[Connection]:
    """A transaction that holds the locks of these waits (tenant, wait id).

    Those are the locks of their own keys and, for what an exclusive wait gives back goes to another
    one, of every key of the events that it was handed. Without waits it is a plain transaction.
    """
    expected: set[int] = set()
    while True:
        async with database.transaction() as connection:
            if not waits or not (expected := await _lock(connection, waits, expected)):
                yield connection
                return


async def _lock(
    connection: Connection, waits: Collection[tuple[str, str]], expected: set[int]
) -> set[int]:
    """Lock the keys of waits, in order; empty when all are locked.

    An event may come before the wait's own key is locked and bring further keys along, which are
    out of order then. If one of them is in other hands, all the keys come back: begin anew, in a
    transaction of its own, and expect them.
    """
    keys, may_have_changed = await _keys_of(connection, waits)
    locked = expected | keys
    await connection.execute(LOCK_KEYS, {"hashes": sorted(locked)})
    while may_have_changed:
        keys, may_have_changed = await _keys_of(connection, waits)
        late = keys - locked
        if not late:
            break
        locked |= late
        cursor = await connection.execute(TRY_LOCK_KEYS, {"hashes": sorted(late)})
        row = await cursor.fetchone()
        if row is None or not row[0]:
            return locked
    return set()


async def _keys_of(
    connection: Connection, waits: Collection[tuple[str, str]]
) -> tuple[set[int], bool]:
    """The hashes to be locked for waits, and whether there may be others by the time they are."""
    await connection.execute(PLAN_ANEW)
    cursor = await connection.execute(KEYS_OF_WAITS, identity_columns(waits))
    rows = await cursor.fetchall()
    known = {(row[0], row[3]) for row in rows}
    exclusive = any(row[4] == Cardinality.EXCLUSIVE for row in rows)
    return {lock_hash(*row[:3]) for row in rows}, exclusive or len(known) < len(set(waits))


async def _foreign(connection: Connection, closings: Sequence[Closing]) -> set[Closing]:
    """Closings that another workflow asks for than the one that proved the wait to be its own."""
    asking = [closing for closing in closings if closing.asked_by is not None]
    if not asking:
        return set()
    identities = identity_columns((closing.tenant, closing.wait_id) for closing in asking)
    cursor = await connection.execute(PROVED_WORKFLOWS, identities)
    proved = {(row[0], row[1]): (row[2], row[3]) for row in await cursor.fetchall()}
    return {
        closing
        for closing in asking
        if proved.get((closing.tenant, closing.wait_id), closing.asked_by) != closing.asked_by
    }


async def close_locked(
    connection: Connection, closings: Sequence[Closing]
) -> dict[tuple[str, str], str]:
    """Apply what is said of waits that `waits_locked` holds; the status of each that is known."""
    closings = without_taken_back(closings)
    parameters = _closing_columns(closings)
    await connection.execute(PLAN_ANEW)
    if returned := [closing for closing in closings if closing.returns]:
        await connection.execute(RETURN_EVENTS, _closing_columns(returned))
    if said := [closing for closing in closings if _speaks_of_event(closing)]:
        await connection.execute(DISPOSE_DELIVERIES, _closing_columns(said))
    if closed := [closing for closing in closings if closing.closes]:
        await connection.execute(CLOSE_WAITS, _closing_columns(closed))
    await connection.execute(SETTLE_CLOSED, parameters)
    await connection.execute(REOFFER_EVENTS, parameters)
    if any(closing.reason in _RUN_GONE for closing in closings):
        await connection.execute(RELEASE_LAUNCHES, parameters)
    cursor = await connection.execute(STATUS_OF_WAITS, parameters)
    return {(row[0], row[1]): str(row[2]) for row in await cursor.fetchall()}


def identity_columns(waits: Iterable[tuple[str, str]]) -> dict[str, object]:
    """The parameters that name waits (tenant, wait id)."""
    listed = list(waits)
    return {
        "tenants": [tenant for tenant, _ in listed],
        "wait_ids": [wait_id for _, wait_id in listed],
    }


def _speaks_of_event(closing: Closing) -> bool:
    speaks = closing.disposition is not None and closing.event_id is not None
    return speaks and not closing.returns


async def _known(
    connection: Connection, waits: Sequence[Wait]
) -> dict[tuple[str, str], Registration]:
    """How waits stand that were registered before."""
    identities = identity_columns((wait.tenant, wait.wait_id) for wait in waits)
    cursor = await connection.execute(KNOWN_WAITS, identities)
    rows = {(row[0], row[1]): row for row in await cursor.fetchall()}
    asked: dict[tuple[str, str], tuple[str, str | None]] = {}
    if any(wait.task is not None for wait in waits):
        cursor = await connection.execute(KNOWN_TASKS, identities)
        asked = {(row[0], row[1]): (row[2], row[3]) for row in await cursor.fetchall()}
    return {
        identity: _registration(wait, rows[identity], asked.get(identity))
        for wait in waits
        for identity in [(wait.tenant, wait.wait_id)]
    }


def _registration(
    wait: Wait, row: tuple[Any, ...], asked: tuple[str, str | None] | None
) -> Registration:
    task = None if wait.task is None else (wait.task.title, wait.task.form)
    _, _, name, key, workflow_id, signal_name, kind, cardinality, status, *of, matched = row
    namespace, run_id, first_run_id = of
    stored = Chain(namespace, workflow_id, run_id, first_run_id)
    if _is_of_another_run(wait, stored):
        return Registration(wait.wait_id, status, matched, held_by=stored)
    same = task == asked and (name, key, stored.namespace, workflow_id) == (
        wait.event_name,
        wait.correlation_key,
        wait.namespace,
        wait.workflow_id,
    )
    same = same and (signal_name, kind, cardinality) == (
        wait.signal_name,
        wait.kind.value,
        wait.cardinality.value,
    )
    return Registration(wait.wait_id, status, matched, conflict=not same)


def _is_of_another_run(wait: Wait, stored: Chain) -> bool:
    """Whether another run of the workflow registered this wait, as far as both are known."""
    if (wait.namespace, wait.workflow_id) != (stored.namespace, stored.workflow_id):
        return False
    if None in {wait.run_id, wait.first_run_id, stored.run_id, stored.first_run_id}:
        return False
    return wait.run_id != stored.run_id


def raise_conflict(wait: Wait) -> None:
    """Say that another wait is registered under this one's id."""
    raise WaitConflict(
        f"wait_id {wait.wait_id!r} of tenant {wait.tenant!r} is registered with other content: "
        "every wait needs an id of its own"
    )


def _hashes(waits: Iterable[Wait]) -> list[int]:
    return sorted({lock_hash(wait.tenant, wait.event_name, wait.correlation_key) for wait in waits})


def _wait_columns(waits: Sequence[Wait]) -> dict[str, object]:
    return {
        "tenants": [wait.tenant for wait in waits],
        "wait_ids": [wait.wait_id for wait in waits],
        "names": [wait.event_name for wait in waits],
        "keys": [wait.correlation_key for wait in waits],
        "hashes": [lock_hash(wait.tenant, wait.event_name, wait.correlation_key) for wait in waits],
        "workflow_ids": [wait.workflow_id for wait in waits],
        "run_ids": [wait.run_id for wait in waits],
        "signal_names": [wait.signal_name for wait in waits],
        "kinds": [wait.kind.value for wait in waits],
        "cardinalities": [wait.cardinality.value for wait in waits],
        "filters": [wait.filter for wait in waits],
        "lookbacks": [wait.lookback for wait in waits],
        "expiries": [wait.expires_at for wait in waits],
        "timeouts": [wait.times_out_at for wait in waits],
        "namespaces": [wait.namespace for wait in waits],
        "first_run_ids": [wait.first_run_id for wait in waits],
        "vouchers": [wait.vouched_by and wait.vouched_by.value for wait in waits],
        "run_vouchers": [
            wait.vouched_by.value if wait.vouched_by is Voucher.ACTIVITY else None for wait in waits
        ],
    }


def _task_columns(waits: Sequence[Wait]) -> dict[str, object]:
    tasks = [wait.task for wait in waits if wait.task is not None]
    return {
        **identity_columns((wait.tenant, wait.wait_id) for wait in waits),
        "titles": [task.title for task in tasks],
        "forms": [task.form for task in tasks],
        "assignees": [json.dumps(task.assignees) for task in tasks],
        "dues": [task.due_at for task in tasks],
    }


_RUN_COLUMNS: Final = (
    *("tenants", "workflow_ids", "run_ids", "namespaces", "first_run_ids", "run_vouchers"),
)


def _run_columns(columns: Mapping[str, object]) -> dict[str, object]:
    return {name: columns[name] for name in _RUN_COLUMNS}


def _closing_columns(closings: Sequence[Closing]) -> dict[str, object]:
    return {
        "tenants": [closing.tenant for closing in closings],
        "wait_ids": [closing.wait_id for closing in closings],
        "event_ids": [closing.event_id for closing in closings],
        "dispositions": [
            closing.disposition.value if closing.disposition else None for closing in closings
        ],
        "reasons": [closing.reason.value if closing.reason else None for closing in closings],
        "details": [closing.detail for closing in closings],
        "streams_too": [closing.closes_streams for closing in closings],
        "first_run_ids": [closing.first_run_id for closing in closings],
    }
