"""What an event reached: how far each of its deliveries and launches has come.

The outcome says how matching ended; the states say what came of it. An event is in a state when
any of its deliveries or launches is: a list under a state shows what the count of the state counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class EventState(StrEnum):
    """One of the states that an event can be in, several at a time."""

    MATCHED = "matched"
    """It met a wait, whatever came of it."""
    PENDING = "pending"
    """A signal or a launch is on its way to Temporal."""
    DELIVERED = "delivered"
    """Temporal took the signal; the workflow has not said yet what became of it."""
    ACCEPTED = "accepted"
    FILTERED = "filtered"
    LATE = "late"
    WITHDRAWN = "withdrawn"
    """The wait was closed before the signal went out."""
    DEAD = "dead"
    """A signal or a launch was given up."""
    LAUNCHED = "launched"
    """It started a workflow through a trigger."""
    WOKE = "woke"
    """It woke a run: accepted, or delivered and not answered yet."""
    NOBODY = "nobody"
    """It met no wait and starts nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How many of an event's deliveries and launches have come how far."""

    matched: int = 0
    """Waits that the event met: the sum of all deliveries."""
    delivered: int = 0
    """Signals that Temporal took, whatever the workflows said of them."""
    pending: int = 0
    accepted: int = 0
    filtered: int = 0
    late: int = 0
    withdrawn: int = 0
    dead: int = 0
    launched: int = 0
    launches_pending: int = 0
    launches_dead: int = 0

    @property
    def unanswered(self) -> int:
        """Signals that Temporal took and no workflow has spoken of."""
        return self.delivered - self.accepted - self.filtered - self.late

    @property
    def woke(self) -> int:
        """Runs that the event woke, as far as is known."""
        return self.delivered - self.filtered - self.late


def states_of(reach: Reach) -> tuple[str, ...]:
    """The states that the event is in, without `matched`, `woke` and `nobody`: they follow."""
    counts = {
        EventState.ACCEPTED: reach.accepted,
        EventState.DELIVERED: reach.unanswered,
        EventState.PENDING: reach.pending + reach.launches_pending,
        EventState.FILTERED: reach.filtered,
        EventState.LATE: reach.late,
        EventState.WITHDRAWN: reach.withdrawn,
        EventState.DEAD: reach.dead + reach.launches_dead,
        EventState.LAUNCHED: reach.launched,
    }
    return tuple(state.value for state, count in counts.items() if count)


def woke_words(reach: Reach) -> str:
    """For a list's cell: `1 of 3 (1 late, 1 dead)`, `launched 1`; empty when nothing came of it."""
    parts: list[str] = []
    if reach.matched:
        asides = ", ".join(f"{count} {word}" for word, count in _asides(reach) if count)
        woken = f"{reach.woke} of {reach.matched}"
        parts.append(f"{woken} ({asides})" if asides else woken)
    parts += [f"{word} {count}" for word, count in _launches(reach) if count]
    return ", ".join(parts)


def _asides(reach: Reach) -> Iterator[tuple[str, int]]:
    yield "on its way" if reach.pending == 1 else "on their way", reach.pending
    yield "filtered", reach.filtered
    yield "late", reach.late
    yield "withdrawn", reach.withdrawn
    yield "dead", reach.dead


def _launches(reach: Reach) -> Iterator[tuple[str, int]]:
    yield "launched", reach.launched
    yield "launching", reach.launches_pending
    yield "dead launches:", reach.launches_dead


# Which states a delivery, or a launch, puts its event in: for statements that call the row `d`.
STATES_OF_DELIVERY: Final = """
CASE WHEN d.status = 'delivered' AND d.disposition IS NULL
     THEN ARRAY['matched', 'woke', 'delivered']
     WHEN d.disposition = 'accepted' THEN ARRAY['matched', 'woke', 'accepted']
     WHEN d.status = 'delivered' THEN ARRAY['matched', d.disposition]
     ELSE ARRAY['matched', d.status] END"""
STATES_OF_LAUNCH: Final = (
    "CASE d.status WHEN 'skipped' THEN ARRAY[]::text[] ELSE ARRAY[d.status] END"
)
