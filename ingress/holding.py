"""What one consumer of a stream has in its hands."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from ingress.entry import Entry, EntryId, Reading, StreamName, TrimmedEntry

Position = tuple[StreamName, EntryId]


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

    def keep(self, entries: Iterable[Entry], trimmed: Iterable[TrimmedEntry] = ()) -> None:
        """Take in what was read, behind what is kept already."""
        for entry in entries:
            self._kept.append(entry)
            self._held.add((entry.stream, entry.entry_id))
        for gone in trimmed:
            self._trimmed.append(gone)
            self._held.add((gone.stream, gone.entry_id))

    def hand_out(self) -> Reading:
        """The next batch: at most `count` entries, and at most `max_bytes` unless it is but one."""
        batch: list[Entry] = []
        size = 0
        while self._kept and len(batch) < self._count:
            size += size_of(self._kept[0])
            if batch and size > self._max_bytes:
                break
            batch.append(self._kept.popleft())
        trimmed, self._trimmed = self._trimmed, []
        return Reading(batch, trimmed)

    def let_go(self, entries: Sequence[Entry | TrimmedEntry]) -> None:
        """Forget entries that are acknowledged, or that are to be read again."""
        self._held.difference_update((entry.stream, entry.entry_id) for entry in entries)


def size_of(entry: Entry) -> int:
    """Bytes of an entry's names and values."""
    return sum(map(len, entry.fields)) + sum(map(len, entry.fields.values()))
