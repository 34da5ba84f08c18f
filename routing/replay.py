"""Routing a stored event again, under the rules of today.

The same locks and the same tables as the first time. A wait is never handed one event twice: the
deliveries' primary key sees to that. Who did it and why stands in the operators' audit, written in
the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from correlation.key import lock_hash
from correlation.reason import Outcome
from correlation.rules import Rules
from routing.audit_pages import EventQuery, page_of_events
from routing.columns import event_columns, lock_hashes
from routing.database import Connection, Database
from routing.foresight import (
    PORTION,
    Foreseen,
    Routable,
    Transact,
    foresee_in_turn,
    only_named,
    routable,
)
from routing.incoming import Identity
from routing.operator_actions import OperatorAction, record_action
from routing.paging import Cursor
from routing.replay_statements import REPLAY_EVENTS, REPLAY_VOUCHED
from routing.statements import LOCK_KEYS, PLAN_ANEW
from routing.stored_event import keys_of_resolution

BATCH: Final = 100
"""Events per transaction; at most 64 keys each, so that the locks stay within bounds."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """How one event ended when it was routed again."""

    tenant: str
    event_id: str
    outcome: Outcome
    reason: str | None
    old_keys: tuple[str, ...]
    new_keys: tuple[str, ...]
    waits: tuple[str, ...]
    """Ids of the waits that it was newly handed to."""
    action_id: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What replaying would do, without doing it."""

    events: int
    """How many the filter selects, as far as they were counted."""
    changing: int
    """For how many of them it would make a difference."""
    would_wake: int
    """How many workflows it would wake."""
    examples: tuple[Foreseen, ...]
    """The first of those for which it would make a difference."""
    truncated: bool
    """True when the filter selects more than were counted."""


class Replayer:
    """Replays stored events; every method raises DatabaseUnavailable."""

    def __init__(self, database: Database, buffer_ttl: timedelta) -> None:
        self._database = database
        self._buffer_ttl = buffer_ttl

    async def replay(
        self,
        identities: Sequence[Identity],
        rules: Rules,
        *,
        actor: str,
        reason: str | None = None,
        behind_wall: str | Collection[str] | None = None,
        vouched_only: bool = False,
    ) -> Sequence[Replayed]:
        """Route these events again; each batch of a hundred is committed by itself.

        Unknown events are left out. Afterwards wake the dispatcher: the new deliveries wait in the
        table. `behind_wall` names the tenants whose rows alone may be read and written;
        `vouched_only` leaves out waits that nobody proved to be their tenant's.
        """
        replayed: list[Replayed] = []
        unique = list(dict.fromkeys(identities))
        for start in range(0, len(unique), BATCH):
            async with self._database.transaction(tenant=behind_wall) as connection:
                events = await routable(connection, unique[start : start + BATCH], rules)
                statement = REPLAY_VOUCHED if vouched_only else REPLAY_EVENTS
                replayed.extend(
                    await self._replay_batch(connection, statement, events, actor, reason)
                )
        return replayed

    async def _replay_batch(
        self,
        connection: Connection,
        statement: str,
        events: Sequence[Routable],
        actor: str,
        reason: str | None,
    ) -> Sequence[Replayed]:
        if not events:
            return ()
        await connection.execute(PLAN_ANEW)
        await connection.execute(LOCK_KEYS, {"hashes": _locks(events)})
        columns = event_columns([each.incoming for each in events])
        parameters = {**only_named(statement, columns), "buffer_ttl": self._buffer_ttl}
        cursor = await connection.execute(statement.encode(), parameters)
        replayed = []
        for ordinal, outcome, why, waits in await cursor.fetchall():
            event = events[ordinal - 1]
            action = _action(event, actor, reason, outcome=outcome, waits=waits)
            action_id = await record_action(connection, action)
            replayed.append(_replayed(event, outcome, why, waits, action_id))
        return replayed


async def selected(
    connection: Connection, tenants: Sequence[str] | None, query: EventQuery, limit: int
) -> tuple[list[Identity], bool]:
    """The events that a filter selects, the newest first, and whether there are more.

    Rejected entries are no events and are left out.
    """
    identities: list[Identity] = []
    cursor: Cursor | None = None
    while True:
        page = await page_of_events(connection, tenants, query, after=cursor, limit=500)
        identities.extend(
            (line.tenant, line.event_id)
            for line in page.lines
            if line.source == "event" and line.event_id is not None
        )
        if len(identities) > limit:
            return identities[:limit], True
        if page.next is None:
            return identities, False
        cursor = page.next


async def preview(
    transact: Transact,
    identities: Sequence[Identity],
    rules: Rules,
    *,
    truncated: bool = False,
    examples: int = 20,
) -> Preview:
    """What replaying these events under `rules` would do now; `truncated` where it read but some.

    Opens transactions of its own, and holds none while it works.
    """
    seen = 0
    changing: list[Foreseen] = []
    async for each in foresee_in_turn(transact, identities, rules):
        seen += 1
        if each.changes:
            changing.append(each)
    woken = {(e.tenant, waking.workflow_id) for e in changing for waking in e.would_wake}
    cut = truncated or seen + PORTION <= len(identities)
    return Preview(seen, len(changing), len(woken), tuple(changing[:examples]), cut)


def _locks(events: Sequence[Routable]) -> list[int]:
    """Of the keys that the events have now, and of those that they had."""
    former = {
        lock_hash(each.stored.tenant, each.stored.name, key)
        for each in events
        for key in each.stored.keys
    }
    return sorted(former.union(lock_hashes(each.incoming for each in events)))


def _action(
    event: Routable, actor: str, reason: str | None, *, outcome: str, waits: Sequence[str]
) -> OperatorAction:
    stored = event.stored
    return OperatorAction(
        tenant=stored.tenant,
        actor=actor,
        action="replay",
        target_kind="event",
        target_id=stored.event_id,
        reason=reason,
        detail={
            "outcome": [stored.outcome, outcome],
            "keys": [list(stored.keys), list(keys_of_resolution(event.incoming.resolution))],
            "rules_version": [stored.rules_version, event.incoming.rules_version],
            "waits": list(waits),
        },
    )


def _replayed(
    event: Routable, outcome: str, reason: str | None, waits: Sequence[str], action_id: str
) -> Replayed:
    return Replayed(
        tenant=event.stored.tenant,
        event_id=event.stored.event_id,
        outcome=Outcome(outcome),
        reason=reason,
        old_keys=event.stored.keys,
        new_keys=tuple(keys_of_resolution(event.incoming.resolution)),
        waits=tuple(waits),
        action_id=action_id,
    )
