"""Rules in the shadow: what a proposed set would make of the events that have come already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from correlation.rules import Rules
from routing.audit_pages import EventQuery
from routing.foresight import Foreseen, Transact, foresee_in_turn
from routing.replay import selected


@dataclass(frozen=True, slots=True)
class Difference:
    """What would be otherwise under the proposed rules."""

    rules_version: str
    events: int
    """How many stored events were tried."""
    waking_events: int
    woken_runs: int
    stopping: int
    """How many events would no longer have a key that they matched with."""
    resolved: int
    """How many without a key would have one."""
    unresolved: int
    """How many with a key would have none."""
    changed: tuple[Foreseen, ...]
    """Every event that would have other keys."""

    @property
    def sentence(self) -> str:
        """The difference in one sentence."""
        if not self.changed:
            return f"The rules make no difference to the last {self.events} events."
        return (
            f"Of the last {self.events} events {self.waking_events} would now wake "
            f"{self.woken_runs} runs; {self.stopping} would stop matching; {self.resolved} would "
            f"gain a key; {self.unresolved} would lose theirs."
        )


async def shadow(
    transact: Transact,
    rules: Rules,
    *,
    last: int,
    tenants: Sequence[str] | None = None,
) -> Difference:
    """Try rules on the newest stored events. Reads only, in transactions of its own.

    Fewer events than `last` are tried when the rules have so many paths that a million are read.

    A run counts as woken when its wait is open now or was open when the event came, and was not
    handed the event.
    """
    async with transact() as connection:
        identities, _ = await selected(connection, tenants, EventQuery(), last)
    foreseen = [
        each async for each in foresee_in_turn(transact, identities, rules, since_arrival=True)
    ]
    return difference(rules.version, foreseen)


def difference(rules_version: str, foreseen: Sequence[Foreseen]) -> Difference:
    """The difference that single events add up to."""
    changed = [_by_rules_alone(each) for each in foreseen if each.old_keys != each.new_keys]
    return Difference(
        rules_version=rules_version,
        events=len(foreseen),
        waking_events=_count(each.would_wake for each in changed),
        woken_runs=len({(e.tenant, w.workflow_id) for e in changed for w in e.would_wake}),
        stopping=_count(each.would_stop for each in changed),
        resolved=_count(not each.old_keys and each.new_keys for each in changed),
        unresolved=_count(each.old_keys and not each.new_keys for each in changed),
        changed=tuple(changed),
    )


def _by_rules_alone(event: Foreseen) -> Foreseen:
    """Without the waits that it would meet under a key that it has already."""
    woken = (each for each in event.would_wake if each.correlation_key not in event.old_keys)
    return replace(event, would_wake=tuple(woken))


def _count(claims: Iterable[object]) -> int:
    return sum(map(bool, claims))
