"""What one consumer of a stream has in its hands."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, islice
from operator import attrgetter
from typing import Any

from ingress.entry import Entry, EntryId, Pending, Reading, StreamName, TrimmedEntry

Position = tuple[StreamName, EntryId]

_position: Callable[[Any], Position] = attrgetter("stream", "entry_id")


class Holding:
    """Entries that Redis counts as pending for this consumer, in two steps.

    *Kept* ones were read and wait, in order, to be handed out in bounded batches; all that are kept
    or handed out are *held* until they are let go. Whatever is pending for this consumer in Redis
    and not held here was lost on its way, and has to be read again.
    """

    def __init__(self, *, count: int, max_bytes: int) -> None:
        self._count = count
        self._max_bytes = max_bytes
        self._kept: deque[Entry] = deque()
        self._trimmed: list[TrimmedEntry] = []
        self._held: set[Position] = set()

    def __bool__(self) -> bool:
        """Whether anything waits to be handed out."""
        return bool(self._kept or self._trimmed)

    @property
    def held(self) -> frozenset[Position]:
        """The positions held at this moment."""
        return frozenset(self._held)

    def held_of(self, stream: StreamName) -> frozenset[EntryId]:
        """The ids held of one stream."""
        return frozenset(entry_id for of, entry_id in self._held if of == stream)

    def keep(self, entries: Sequence[Entry], trimmed: Sequence[TrimmedEntry] = ()) -> None:
        """Take in what was read, behind what is kept already."""
        self._kept.extend(entries)
        self._trimmed.extend(trimmed)
        self._held.update(map(_position, (*entries, *trimmed)))

    def hand_out(self) -> Reading:
        """The next batch: at most `count` entries, and at most `max_bytes` unless it is but one."""
        sizes = accumulate(entry.size for entry in islice(self._kept, self._count))
        count = max(bisect_right(list(sizes), self._max_bytes), min(len(self._kept), 1))
        batch = [self._kept.popleft() for _ in range(count)]
        trimmed, self._trimmed = self._trimmed, []
        return Reading(batch, trimmed)

    def let_go(self, entries: Sequence[Pending]) -> None:
        """Forget entries that are acknowledged, or that are to be read again."""
        self._held.difference_update(map(_position, entries))

    def hold(self, positions: Iterable[Position]) -> None:
        """Count entries as held whose content was not read."""
        self._held.update(positions)

    def forget(self, position: Position) -> None:
        """Let one go whose content was not read."""
        self._held.discard(position)
