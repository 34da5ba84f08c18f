"""Looking for the waits around an event: every query reads, is bounded and goes by an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, product
from typing import Final

from psycopg.rows import kwargs_row

from correlation.event import Event
from correlation.near_misses import Findings
from correlation.places import scalars_of
from correlation.resemblance import spellings
from correlation.wait_seen import WaitSeen
from routing.audit_records import WaitLine
from routing.database import Connection, Database, Parameters
from routing.explain_statements import (
    AWAITED_NAMES,
    EVENTS_OF_ANOTHER_TENANT,
    WAITS_BESIDE_KEYS,
    WAITS_OF_ANOTHER_TENANT,
    WAITS_OF_KEYS,
)
from routing.statements import PLAN_ANEW

MOST_NAMES: Final = 200
MOST_KEYS: Final = 64
MOST_PROBES: Final = 2_000
MOST_OF_A_KEY: Final = 20
MOST_BESIDE: Final = 500
MOST_TENANTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Search:
    """What was found, and whether more might have been."""

    findings: Findings
    awaited_now: bool
    """Whether any wait of the event's name is open."""
    truncated: bool


async def search(
    connection: Connection,
    event: Event,
    keys: Sequence[str],
    received_at: datetime,
    met: frozenset[str],
    *,
    another_tenant: bool,
) -> Search:
    """Look around an event, in the caller's transaction; what it may not see is not found."""
    keys = list(keys)[:MOST_KEYS]
    await connection.execute(PLAN_ANEW)
    cursor = await connection.execute(AWAITED_NAMES, {"tenant": event.tenant, "count": MOST_NAMES})
    names = [(str(name), bool(is_open)) for name, is_open in await cursor.fetchall()]
    others = sorted({name for name, _ in names} - {event.name})
    scalars = [*scalars_of(event.payload.value)]
    values = {*(scalar.key for scalar in scalars), str(event.event_id)} - set(keys)
    beside, truncated = await _beside(connection, event, keys)
    findings = Findings(
        event=event,
        keys=keys,
        received_at=received_at,
        met=met,
        exact=await _of_keys(connection, event.tenant, [event.name], keys),
        same_key=await _of_keys(connection, event.tenant, others, keys),
        beside=beside,
        elsewhere=await _of_keys(connection, event.tenant, [event.name], sorted(values)),
        scalars=scalars,
        another_tenant=another_tenant,
        names=frozenset(name for name, _ in names),
    )
    truncated = truncated or len(names) >= MOST_NAMES
    return Search(findings, (event.name, True) in names, truncated)


async def another_tenant_waits(database: Database, event: Event, keys: Sequence[str]) -> bool:
    """Whether a wait of another tenant has the event's name and one of its keys.

    Reads past the wall between tenants, which is why it answers with yes or no only; who may ask
    is the caller's business.
    """
    if not keys:
        return False
    async with database.transaction() as connection:
        await connection.execute(PLAN_ANEW)
        cursor = await connection.execute(
            WAITS_OF_ANOTHER_TENANT.encode(),
            {
                "tenant": event.tenant,
                "name": event.name,
                "keys": list(keys)[:MOST_KEYS],
                "count": MOST_TENANTS,
            },
        )
        row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def waits_met_elsewhere(database: Database, waits: Sequence[WaitLine]) -> frozenset[str]:
    """The ids of those waits whose name and key a buffered event of another tenant has.

    `waits` are sorted by tenant. Reads past the wall between tenants, which is why nothing else
    of the events is read.
    """
    found: set[str] = set()
    async with database.transaction() as connection:
        await connection.execute(PLAN_ANEW)
        for tenant, lines in groupby(waits, key=lambda wait: wait.tenant):
            mine = list(lines)
            parameters = {
                "tenant": tenant,
                "wait_ids": [wait.wait_id for wait in mine],
                "names": [wait.name for wait in mine],
                "keys": [wait.correlation_key for wait in mine],
                "count": MOST_TENANTS,
            }
            cursor = await connection.execute(EVENTS_OF_ANOTHER_TENANT.encode(), parameters)
            found.update(str(row[0]) for row in await cursor.fetchall())
    return frozenset(found)


async def read_waits(
    connection: Connection, statement: str, parameters: Parameters
) -> list[WaitSeen]:
    """The waits that a statement of this package finds."""
    cursor = connection.cursor(row_factory=kwargs_row(WaitSeen))
    await cursor.execute(statement.encode(), parameters)
    return await cursor.fetchall()


async def _of_keys(
    connection: Connection, tenant: str, names: Sequence[str], keys: Sequence[str]
) -> list[WaitSeen]:
    pairs = [*product(names, keys)][:MOST_PROBES]
    if not pairs:
        return []
    parameters = {
        "tenant": tenant,
        "names": [name for name, _ in pairs],
        "keys": [key for _, key in pairs],
        "count": MOST_OF_A_KEY,
    }
    return await read_waits(connection, WAITS_OF_KEYS, parameters)


async def _beside(
    connection: Connection, event: Event, keys: Sequence[str]
) -> tuple[list[WaitSeen], bool]:
    """Waits with other spellings of the keys, and those that stand beside them in the index."""
    spelt = sorted({spelling for key in keys for spelling in spellings(key)} - set(keys))
    found = await _of_keys(connection, event.tenant, [event.name], spelt)
    truncated = False
    for key in keys[:3]:
        parameters = {
            "tenant": event.tenant,
            "name": event.name,
            "keys": [key],
            "count": MOST_BESIDE,
        }
        beside = await read_waits(connection, WAITS_BESIDE_KEYS, parameters)
        truncated = truncated or len(beside) >= MOST_BESIDE
        found.extend(beside)
    return list({wait.wait_id: wait for wait in found}.values()), truncated
