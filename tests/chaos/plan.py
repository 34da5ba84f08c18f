"""What a course publishes and who waits for it: drawn from a seed, the same every time."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tests.chaos.workflows import EVENT_NAME

TENANTS: Final = ("acme", "globex")
LAUNCHING_NAME: Final = "CLIENT_CREATED"
KEYS_PER_COLLECTOR: Final = 10
EVENTS_PER_KEY: Final = 5
CANARY: Final = "canary-of-a-payload-8d1f"
"""Stands in every payload; in no log."""


class Kind(StrEnum):
    """What an entry is, and so how it has to end."""

    COLLECTED = "collected"
    ONCE = "once"
    UNAWAITED = "unawaited"
    UNRESOLVED = "unresolved"
    LAUNCHING = "launching"
    """Without a key, too: it launches, and wakes nobody."""
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    MALFORMED = "malformed"


# Shares of all entries; what is left is collected.
SHARES: Final = {
    Kind.ONCE: 0.03,
    Kind.UNAWAITED: 0.25,
    Kind.UNRESOLVED: 0.05,
    Kind.LAUNCHING: 0.05,
    Kind.DUPLICATE: 0.04,
    Kind.CONFLICT: 0.02,
    Kind.MALFORMED: 0.03,
}


@dataclass(frozen=True)
class Planned:
    """One entry to publish."""

    kind: Kind
    tenant: str
    event_id: str
    key: str
    fields: dict[str, str]

    @property
    def is_event(self) -> bool:
        """Whether it ends as a row of the events' table, under its id."""
        return self.kind not in {Kind.CONFLICT, Kind.MALFORMED}


@dataclass(frozen=True)
class Waiter:
    """One workflow to start, before the entry of this number."""

    workflow: str
    workflow_id: str
    tenant: str
    keys: list[str]
    before: int


@dataclass(frozen=True)
class Plan:
    """Everything that will happen, in order."""

    entries: list[Planned] = field(default_factory=list)
    waiters: list[Waiter] = field(default_factory=list)


def make_plan(name: str, count: int, chance: random.Random) -> Plan:
    """`count` entries and the workflows that wait; `name` makes workflow ids unique."""
    numbers = {kind: max(2, round(count * share)) for kind, share in SHARES.items()}
    collected = count - sum(numbers.values())
    keys = [f"K-{number}" for number in range(max(1, collected // EVENTS_PER_KEY // 2))]
    entries = [
        _event(Kind.COLLECTED, TENANTS[n % 2], n, keys[n // 2 % len(keys)])
        for n in range(collected)
    ]
    entries += [
        _event(kind, TENANTS[n % 2], n, key.format(n // 2))
        for kind, key in (
            (Kind.ONCE, "once-{}"),
            (Kind.UNAWAITED, "nobody-{}"),
            (Kind.UNRESOLVED, ""),
            (Kind.LAUNCHING, ""),
        )
        for n in range(numbers[kind])
    ]
    originals = chance.choices(entries, k=numbers[Kind.DUPLICATE] + numbers[Kind.CONFLICT])
    chance.shuffle(entries)
    entries += [
        Planned(Kind.MALFORMED, "", f"malformed-{n}", "", {"payload_json": CANARY, "n": str(n)})
        for n in range(numbers[Kind.MALFORMED])
    ]
    for number, original in enumerate(originals):
        if number < numbers[Kind.DUPLICATE]:
            copy = Planned(
                Kind.DUPLICATE, original.tenant, original.event_id, original.key, original.fields
            )
            entries.insert(chance.randrange(len(entries) + 1), copy)
        else:
            # Behind its original: whichever comes first is the event.
            entries.append(_conflicting(original))
    waiters = list(_waiters(name, keys, numbers[Kind.ONCE], len(entries), chance))
    return Plan(entries, sorted(waiters, key=lambda waiter: waiter.before))


def _event(kind: Kind, tenant: str, number: int, key: str) -> Planned:
    event_id = f"{kind}-{number}"
    payload = {"canary": CANARY, "tenant": tenant, "number": number}
    fields = {
        "event_id": event_id,
        "event_type": LAUNCHING_NAME if kind is Kind.LAUNCHING else EVENT_NAME,
        "tenant": tenant,
        "workflow_correlation_key": key,
        "payload_json": json.dumps(payload),
    }
    return Planned(kind, tenant, event_id, key, fields)


def _conflicting(original: Planned) -> Planned:
    fields = {**original.fields, "payload_json": json.dumps({"canary": CANARY, "other": True})}
    return Planned(Kind.CONFLICT, original.tenant, original.event_id, original.key, fields)


def _waiters(
    name: str, keys: list[str], once: int, entries: int, chance: random.Random
) -> Iterator[Waiter]:
    """Some start before their events, some in the middle of them, some behind."""
    for tenant in TENANTS:
        for start in range(0, len(keys), KEYS_PER_COLLECTOR):
            workflow_id = f"{name}-{tenant}-collector-{start}"
            chosen = keys[start : start + KEYS_PER_COLLECTOR]
            before = chance.choice((0, chance.randrange(entries)))
            yield Waiter("Collector", workflow_id, tenant, chosen, before)
    for number in range(once):
        tenant = TENANTS[number % 2]
        workflow_id = f"{name}-{tenant}-once-{number // 2}"
        yield Waiter(
            "OneShot", workflow_id, tenant, [f"once-{number // 2}"], chance.randrange(entries)
        )
