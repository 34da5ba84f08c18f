"""Why is my workflow still waiting? Its waits, what they were handed, and what passed them by.

Nothing here writes. Events are found while they are buffered (the setting `buffer_ttl`), and the
look for similar or keyless ones goes through the tenant's newest five thousand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from itertools import groupby, islice
from typing import Any, Final

from psycopg.rows import kwargs_row

from correlation.key import lock_hash
from correlation.near_misses import difference, ending, named, span, tenants_apart
from correlation.resemblance import Lookalikes
from correlation.wait_seen import WaitSeen
from pointsman.contract import WaitKind
from routing.audit import list_waits
from routing.audit_records import WaitFilter, WaitLine
from routing.audit_sentences import moment
from routing.database import Connection, Database
from routing.explain_advice import advice_on
from routing.explain_records import (
    DeliverySeen,
    EventSeen,
    MissedEvent,
    RunExplanation,
    WaitExplanation,
)
from routing.explain_search import waits_met_elsewhere
from routing.explain_statements import (
    BUFFERED_NAMES,
    DELIVERIES_OF_WAITS,
    EVENTS_OF_KEYS,
    RECENT_EVENTS,
)
from routing.statements import PLAN_ANEW

MOST_WAITS: Final = 20
MOST_NAMES: Final = 100
MOST_OF_A_KEY: Final = 5
MOST_RECENT: Final = 5_000
MOST_KEYS: Final = 5_000
"""Of the keys of the newest events so many are compared: an event may have 64."""
MOST_DELIVERIES: Final = 20
MOST_MISSED: Final = 5
NOTHING: Final = timedelta(0)
_NONE_CAME: Final = "No such event has come while it waited."


async def explain_run(
    database: Database,
    workflow_id: str,
    *,
    tenant: str | None = None,
    behind_wall: bool = False,
    across_tenants: bool = False,
) -> Sequence[RunExplanation]:
    """Explain a workflow's waits, once for each tenant that has waits of it; empty when none has.

    With a `tenant` only that one's; `behind_wall` reads as that tenant. `across_tenants` as in
    `explain_stored`. Raises DatabaseUnavailable.
    """
    wall = tenant if behind_wall else None
    wanted = WaitFilter(tenant=tenant, workflow_id=workflow_id, closed_too=True, limit=MOST_WAITS)
    async with database.transaction(tenant=wall) as connection:
        await connection.execute(PLAN_ANEW)
        listed = await list_waits(connection, wanted)
    lines = sorted(listed, key=lambda line: (line.tenant, line.status != "waiting"))
    if not lines:
        return []
    # This takes a connection of its own: between two transactions, so that none is held meanwhile.
    elsewhere = await waits_met_elsewhere(database, lines) if across_tenants else frozenset[str]()
    async with database.transaction(tenant=wall) as connection:
        await connection.execute(PLAN_ANEW)
        read = [
            await _read(connection, owner, [_seen(line) for line in waits])
            for owner, waits in groupby(lines, key=lambda line: line.tenant)
        ]
    return [await _run(each, workflow_id, elsewhere) for each in read]


def _seen(line: WaitLine) -> WaitSeen:
    """The wait without its tenant, which the explanation names already."""
    return WaitSeen(**{part.name: getattr(line, part.name) for part in fields(WaitSeen)})


@dataclass(frozen=True, slots=True)
class _Read:
    """What is read of one tenant's waits, before anything is made of it."""

    tenant: str
    waits: Sequence[WaitSeen]
    deliveries: Sequence[DeliverySeen]
    recent: Sequence[EventSeen]
    names: Sequence[str]
    same_key: Mapping[str, Sequence[EventSeen]]
    """By wait id the events that have its key."""


async def _read(connection: Connection, tenant: str, waits: Sequence[WaitSeen]) -> _Read:
    parameters = {
        "tenant": tenant,
        "wait_ids": [wait.wait_id for wait in waits],
        "count": MOST_DELIVERIES,
    }
    cursor = connection.cursor(row_factory=kwargs_row(DeliverySeen))
    await cursor.execute(DELIVERIES_OF_WAITS.encode(), parameters)
    deliveries = await cursor.fetchall()
    recent = await _recent(connection, tenant, {wait.name for wait in waits})
    names = await _buffered_names(connection, tenant)
    same_key = {
        wait.wait_id: await _events_of_key(connection, tenant, names, wait) for wait in waits
    }
    return _Read(tenant, waits, deliveries, recent, names, same_key)


async def _run(read: _Read, workflow_id: str, elsewhere: Collection[str]) -> RunExplanation:
    """Wait by wait, letting others have their turn; no connection is held meanwhile."""
    tenant, waits = read.tenant, read.waits
    namesakes = {name: Namesakes(name, read.recent) for name in {wait.name for wait in waits}}
    explained = []
    for wait in waits:
        await asyncio.sleep(0)
        mine = tuple(each for each in read.deliveries if each.wait_id == wait.wait_id)
        missed = tuple(_missed(wait, mine, read.same_key[wait.wait_id], namesakes[wait.name]))
        wrong_tenant = tenant if wait.wait_id in elsewhere else None
        explained.append(_explained(wait, mine, missed, wrong_tenant))
    return RunExplanation(
        tenant=tenant,
        workflow_id=workflow_id,
        waits=tuple(explained),
        sentences=tuple(_summary(workflow_id, waits)),
        what_to_do=tuple(
            dict.fromkeys(fix for each in explained if _open(each.wait) for fix in each.what_to_do)
        ),
        truncated=len(read.recent) >= MOST_RECENT
        or len(read.names) >= MOST_NAMES
        or any(each.truncated for each in namesakes.values()),
    )


class Namesakes:
    """The newest events of one name, by their keys: folded once, however many waits ask."""

    def __init__(self, name: str, recent: Sequence[EventSeen]) -> None:
        self.keyless = [e for e in recent if e.name == name and e.outcome == "unresolved"]
        self.by_key: dict[str, list[EventSeen]] = {}
        self.truncated = False
        """Whether the events have more keys than are compared."""
        for event in recent:
            for key in event.keys if event.name == name else ():
                if key in self.by_key:
                    self.by_key[key].append(event)
                elif len(self.by_key) < MOST_KEYS:
                    self.by_key[key] = [event]
                else:
                    self.truncated = True
        self.lookalikes = Lookalikes(self.by_key)


def _summary(workflow_id: str, waits: Sequence[WaitSeen]) -> Iterator[str]:
    still = [_awaited(wait) for wait in waits if _open(wait)]
    if still:
        yield f"{workflow_id} waits for {'; '.join(still)}."
    else:
        yield f"{workflow_id} has no open wait: as far as is known here, it waits for no event."
        last = max(waits, key=lambda wait: wait.closed_at or wait.registered_at)
        yield (
            f"Its last wait was for {last.name} with the key '{last.correlation_key}', until "
            f"{ending(last)}."
        )


def _awaited(wait: WaitSeen) -> str:
    if wait.kind == WaitKind.HUMAN:
        return f"a person to complete task {wait.wait_id}"
    return f"{wait.name} with the key '{wait.correlation_key}'"


def _open(wait: WaitSeen) -> bool:
    return wait.status == "waiting"


def _explained(
    wait: WaitSeen,
    deliveries: tuple[DeliverySeen, ...],
    missed: tuple[MissedEvent, ...],
    wrong_tenant: str | None,
) -> WaitExplanation:
    sentences = [*_state(wait, deliveries), *(_handed(each) for each in deliveries)]
    sentences += [each.sentence for each in missed]
    fixes = [advice_on(each.reason) for each in deliveries if each.status in {"pending", "dead"}]
    fixes += ["Compare the event's payload with the workflow's filter."] * any(
        each.disposition == "filtered" for each in deliveries
    )
    fixes += [each.what_to_do for each in missed]
    if _open(wait) and wait.kind == WaitKind.HUMAN and not deliveries:
        fixes.append(f"Let somebody complete task {wait.wait_id}: see `pointsman tasks show`.")
    elif wrong_tenant is not None:
        sentences.append("An event of another tenant has, or had, this name and key.")
        fixes.append(tenants_apart(wrong_tenant, "publisher"))
    elif _open(wait) and not deliveries and not missed:
        fixes.append(
            f"See whether {wait.name} has been published for '{wait.correlation_key}' at all, and "
            "under which tenant."
        )
    return WaitExplanation(
        wait=wait,
        deliveries=deliveries,
        missed_events=missed,
        sentences=tuple(sentences),
        what_to_do=tuple(dict.fromkeys(filter(None, fixes))),
    )


def _state(wait: WaitSeen, deliveries: Sequence[DeliverySeen]) -> Iterator[str]:
    what = _awaited(wait)
    if not _open(wait):
        after = f" after {span(wait.closed_at - wait.registered_at)}" if wait.closed_at else ""
        began = moment(wait.registered_at)
        yield f"{named(wait)} waited for {what} from {began} until {ending(wait)}{after}."
        return
    until = "" if wait.until is None else f" until {moment(wait.until)}"
    yield f"{named(wait)} waits for {what} since {moment(wait.registered_at)}{until}."
    if not deliveries:
        yield "Nobody has answered." if wait.kind == WaitKind.HUMAN else _NONE_CAME
    if wait.filter:
        yield f"Its own filter decides which of them it accepts: {wait.filter}."


def _handed(delivery: DeliverySeen) -> str:
    event = f"Event {delivery.event_id}"
    why = ": ".join(filter(None, (delivery.reason, delivery.detail)))
    match delivery.status:
        case "delivered" if delivery.disposition == "filtered":
            because = f": {delivery.detail}" if delivery.detail else ""
            return f"{event} reached it; the workflow's own filter refused it{because}."
        case "delivered" if delivery.disposition is None:
            return (
                f"{event} reached it; the workflow has not said yet what became of it: see that "
                "its worker runs."
            )
        case "delivered":
            return f"{event} reached it ({delivery.disposition})."
        case "pending" if why:
            return f"{event} is on its way, after {delivery.attempts} tries ({why})."
        case "pending":
            return f"{event} is on its way."
        case "withdrawn":
            return f"{event} was withdrawn before it was signalled ({why})."
        case _:
            return f"{event} could not be signalled ({why})."


def _missed(
    wait: WaitSeen,
    deliveries: Sequence[DeliverySeen],
    same_key: Sequence[EventSeen],
    namesakes: Namesakes,
) -> Iterator[MissedEvent]:
    if wait.kind == WaitKind.HUMAN:
        return
    had = {each.event_id for each in deliveries}
    before = [e for e in same_key if e.name == wait.name and e.event_id not in had]
    if not wait.lookback:
        before = [e for e in before if _within_reach(wait, e)]
    yield from (_before(wait, event) for event in before[:MOST_MISSED] if _in_time(wait, event))
    others = [e for e in same_key if e.name != wait.name and _within_reach(wait, e)]
    yield from (_other_name(wait, event) for event in others[:MOST_MISSED])

    def passed(event: EventSeen) -> bool:
        return event.event_id not in had and _within_reach(wait, event)

    yield from _spelt_otherwise(wait, namesakes, passed)
    keyless = islice(filter(passed, namesakes.keyless), MOST_MISSED)
    yield from map(_unresolved, keyless)


def _in_time(wait: WaitSeen, event: EventSeen) -> bool:
    """Whether the event came before the wait ended; a later one is none of its business."""
    return wait.closed_at is None or event.received_at < wait.closed_at


def _within_reach(wait: WaitSeen, event: EventSeen) -> bool:
    """Whether the wait could have taken the event, had it been its own: not one from before it."""
    return event.received_at >= wait.registered_at - wait.lookback and _in_time(wait, event)


def _before(wait: WaitSeen, event: EventSeen) -> MissedEvent:
    gap = wait.registered_at - event.received_at
    if gap <= NOTHING:
        sentence = (
            f"Event {event.event_id} has this name and key and came while it waited, and was not "
            "handed to it: another exclusive wait took it, or it had another key then."
        )
        return MissedEvent(
            kind="before_the_wait",
            event=event,
            sentence=sentence,
            what_to_do=f"Replay event {event.event_id}, or hand it to wait {wait.wait_id}.",
        )
    looks = f"looks back {span(wait.lookback)} only"
    if wait.lookback >= gap:
        looks = "could not take it: it was taken already, or no longer buffered"
    return MissedEvent(
        kind="before_the_wait",
        event=event,
        sentence=f"Event {event.event_id} has this name and key and came {span(gap)} before it "
        f"began to wait; it {looks}.",
        what_to_do=f"Hand event {event.event_id} to wait {wait.wait_id}, and give such waits a "
        f"look-back of more than {span(gap)}.",
    )


def _other_name(wait: WaitSeen, event: EventSeen) -> MissedEvent:
    return MissedEvent(
        kind="other_name",
        event=event,
        sentence=f"Event {event.event_id} has the key '{wait.correlation_key}' under another name, "
        f"{event.name}.",
        what_to_do=f"If {event.name} should wake it, let the workflow wait for that name as well.",
    )


def _spelt_otherwise(
    wait: WaitSeen, namesakes: Namesakes, passed: Callable[[EventSeen], bool]
) -> Iterator[MissedEvent]:
    def newest(key: str) -> EventSeen | None:
        return next(filter(passed, namesakes.by_key[key]), None)

    resembling = namesakes.lookalikes.closest(
        wait.correlation_key, MOST_MISSED, lambda key: newest(key) is not None
    )
    for key, resemblance in resembling:
        event = newest(key)
        if event is None:
            continue
        differs, fix = difference(resemblance)
        yield MissedEvent(
            kind="other_key",
            event=event,
            sentence=f"Event {event.event_id} has the key '{key}'; '{wait.correlation_key}' "
            f"{differs}.",
            what_to_do=fix,
            resemblance=resemblance.value,
        )


def _unresolved(event: EventSeen) -> MissedEvent:
    return MissedEvent(
        kind="unresolved",
        event=event,
        sentence=f"Event {event.event_id} of this name has no key ({event.reason}): "
        f"{event.detail}.",
        what_to_do=advice_on(event.reason) or "Look at the event.",
    )


async def _buffered_names(connection: Connection, tenant: str) -> list[str]:
    cursor = await connection.execute(BUFFERED_NAMES, {"tenant": tenant, "count": MOST_NAMES})
    return [str(row[0]) for row in await cursor.fetchall()]


async def _events_of_key(
    connection: Connection, tenant: str, names: Sequence[str], wait: WaitSeen
) -> Sequence[EventSeen]:
    probed = list(dict.fromkeys((wait.name, *names)))
    parameters = {
        "tenant": tenant,
        "names": probed,
        "keys": [wait.correlation_key] * len(probed),
        "hashes": [lock_hash(tenant, name, wait.correlation_key) for name in probed],
        "count": MOST_OF_A_KEY,
    }
    return await _events(connection, EVENTS_OF_KEYS, parameters)


async def _recent(connection: Connection, tenant: str, names: set[str]) -> Sequence[EventSeen]:
    parameters = {"tenant": tenant, "names": sorted(names), "count": MOST_RECENT}
    return await _events(connection, RECENT_EVENTS, parameters)


async def _events(
    connection: Connection, statement: str, parameters: dict[str, Any]
) -> Sequence[EventSeen]:
    cursor = connection.cursor(row_factory=kwargs_row(_event))
    await cursor.execute(statement.encode(), parameters)
    return await cursor.fetchall()


def _event(*, keys: Sequence[str], **columns: Any) -> EventSeen:
    return EventSeen(keys=tuple(keys), **columns)
