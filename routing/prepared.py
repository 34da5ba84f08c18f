"""A batch of events, ready to be recorded: all that needs no database is worked out.

The consumer does this while the batch before is in its transaction, so that Postgres and Python
work side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pointsman.contract import HUMAN_TASK_COMPLETED
from routing.arrays import BigintArray, bigint_array
from routing.columns import Columns, event_arrays, keys_of, lock_hashes
from routing.incoming import Identity, IncomingEvent


@dataclass(frozen=True, slots=True)
class Part:
    """As much of a batch as goes into one transaction."""

    batch: Sequence[IncomingEvent]
    firsts: Mapping[Identity, IncomingEvent]
    """Of events with one identity the first."""
    unique: Sequence[IncomingEvent]
    """The firsts, in their order."""
    locks: BigintArray | None
    """Those of all keys, sorted; None where no event has a key."""
    arrays: Columns
    answers: Sequence[IncomingEvent] = ()
    """Of the unique ones those that may complete a human task."""

    def without(self, identities: Collection[Identity]) -> Part:
        """The same part but for these events; its locks are held already."""
        return part_of([each for each in self.batch if each.identity not in identities])


class PreparedEvents(list[IncomingEvent]):
    """The events of a batch, in their order, with the parts that they are recorded in."""

    __slots__ = ("parts",)

    def __init__(self, events: Sequence[IncomingEvent], locks_per_transaction: int) -> None:
        """Work out the parts; none takes more locks than that, unless it is but one event."""
        super().__init__(events)
        self.parts: Sequence[Part] = [
            part_of(batch) for batch in _by_locks(events, locks_per_transaction)
        ]


def part_of(batch: Sequence[IncomingEvent]) -> Part:
    """These events as one part."""
    firsts = {incoming.identity: incoming for incoming in reversed(batch)}
    # Redelivered beside itself is hardly ever an event: then the batch is as it should be.
    unique = batch
    if len(firsts) < len(batch):
        unique = [incoming for incoming in batch if firsts[incoming.identity] is incoming]
    hashes = lock_hashes(unique)
    locks = bigint_array(hashes) if hashes else None
    answers = [incoming for incoming in unique if incoming.event.name == HUMAN_TASK_COMPLETED]
    return Part(batch, firsts, unique, locks, event_arrays(unique), answers)


def _by_locks(events: Sequence[IncomingEvent], limit: int) -> Iterator[Sequence[IncomingEvent]]:
    part: list[IncomingEvent] = []
    locks = 0
    for incoming in events:
        needed = len(keys_of(incoming))
        if part and locks + needed > limit:
            yield part
            part, locks = [], 0
        part.append(incoming)
        locks += needed
    if part:
        yield part
