"""What routing stored events again would do, under any rules: reads, and never writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final

from psycopg.rows import dict_row

from correlation.rules import Rules
from routing.columns import Columns, event_columns, identity_columns
from routing.database import Connection
from routing.incoming import Identity, IncomingEvent, Origin
from routing.replay_statements import FORESEE_NOW, FORESEE_SINCE_ARRIVAL, STORED_EVENTS
from routing.statements import PLAN_ANEW
from routing.stored_event import StoredEvent, keys_of_resolution

PORTION: Final = 100
"""Events that are read at a time."""
MOST_READINGS: Final = 1_000_000
"""Derivation paths that are read in all, one for each path and event."""

Transact = Callable[[], AbstractAsyncContextManager[Connection]]
"""Opens a transaction to read in."""


@dataclass(frozen=True, slots=True)
class Waking:
    """A wait that an event would be handed to."""

    wait_id: str
    workflow_id: str
    correlation_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """One stored event, routed again in thought."""

    tenant: str
    event_id: str
    name: str
    outcome: str
    """As it is recorded."""
    old_keys: tuple[str, ...]
    new_keys: tuple[str, ...]
    would_wake: tuple[Waking, ...]
    """Waits that it has not been handed to."""
    would_stop: bool
    """True when it met waits under keys that it would have no more; those stay as they are."""

    @property
    def changes(self) -> bool:
        """Whether routing it again makes any difference."""
        return self.old_keys != self.new_keys or bool(self.would_wake)


@dataclass(frozen=True, slots=True)
class Routable:
    """A stored event with its resolution under the rules in question."""

    stored: StoredEvent
    incoming: IncomingEvent
    matched_keys: tuple[str, ...]


async def foresee(
    connection: Connection,
    identities: Sequence[Identity],
    rules: Rules,
    *,
    since_arrival: bool = False,
) -> Sequence[Foreseen]:
    """What routing these events under `rules` would do, in their order; unknown ones are left out.

    Waits count that are open now; with `since_arrival` those that were open when the event came as
    well. In the caller's transaction.
    """
    return await foresee_routable(
        connection, await routable(connection, identities, rules), since_arrival=since_arrival
    )


async def foresee_in_turn(
    transact: Transact, identities: Sequence[Identity], rules: Rules, *, since_arrival: bool = False
) -> AsyncIterator[Foreseen]:
    """The same of many events, a few at a time, until a million paths have been read.

    No connection is held while events are resolved, and other work has its turn between them.
    """
    left = MOST_READINGS
    for start in range(0, len(identities), PORTION):
        async with transact() as connection:
            rows = await stored_rows(connection, identities[start : start + PORTION])
        events: list[Routable] = []
        for row in rows:
            left -= 1 + len(rules.paths_for(row["name"]))
            events.append(_routable(row, rules))
            await asyncio.sleep(0)
        async with transact() as connection:
            found = await foresee_routable(connection, events, since_arrival=since_arrival)
        for each in found:
            yield each
        if left <= 0:
            return


async def foresee_routable(
    connection: Connection, events: Sequence[Routable], *, since_arrival: bool = False
) -> Sequence[Foreseen]:
    """What routing these events, which are resolved, would do; in their order."""
    if not events:
        return []
    await connection.execute(PLAN_ANEW)
    columns = event_columns([each.incoming for each in events])
    statement = FORESEE_SINCE_ARRIVAL if since_arrival else FORESEE_NOW
    cursor = await connection.execute(statement.encode(), only_named(statement, columns))
    wakings: dict[int, list[Waking]] = {}
    for ordinal, *waking in await cursor.fetchall():
        wakings.setdefault(ordinal, []).append(Waking(*waking))
    return [
        _foreseen(each, wakings.get(ordinal, ())) for ordinal, each in enumerate(events, start=1)
    ]


async def routable(
    connection: Connection, identities: Sequence[Identity], rules: Rules
) -> Sequence[Routable]:
    """The stored events, resolved under `rules`."""
    return [_routable(row, rules) for row in await stored_rows(connection, identities)]


async def stored_rows(
    connection: Connection, identities: Sequence[Identity]
) -> Sequence[dict[str, Any]]:
    """What is stored of the events, in their order; unknown ones are left out."""
    await connection.execute(PLAN_ANEW)
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(STORED_EVENTS.encode(), identity_columns(list(dict.fromkeys(identities))))
    return await cursor.fetchall()


def only_named(statement: str, columns: Columns) -> Mapping[str, object]:
    """Those of the columns that the statement takes: others would cost a copy of each payload."""
    return {name: column for name, column in columns.items() if f"%({name})" in statement}


def _routable(row: dict[str, Any], rules: Rules) -> Routable:
    origin = Origin(row.pop("stream"), row.pop("entry_id"))
    matched = tuple(row.pop("matched_keys"))
    keys, context = tuple(row.pop("keys")), row.pop("context") or {}
    stored = StoredEvent(keys=keys, context=context, **row)
    incoming = IncomingEvent(stored.event(), stored.resolved_by(rules), origin, rules.version)
    return Routable(stored, incoming, matched)


def _foreseen(event: Routable, wakings: Sequence[Waking]) -> Foreseen:
    new_keys = tuple(keys_of_resolution(event.incoming.resolution))
    return Foreseen(
        tenant=event.stored.tenant,
        event_id=event.stored.event_id,
        name=event.stored.name,
        outcome=event.stored.outcome,
        old_keys=event.stored.keys,
        new_keys=new_keys,
        would_wake=tuple(wakings),
        would_stop=bool(event.matched_keys)
        and any(key in event.stored.keys for key in event.matched_keys)
        and not any(key in new_keys for key in event.matched_keys),
    )
