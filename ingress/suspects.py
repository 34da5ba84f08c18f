"""Entries that were in hand when processes died: each is tried alone, then set aside.

Redis counts how often an entry was handed out. Many a death and some outages raise that count
without the entry's doing, so that it raises a suspicion and no more: a suspect costs a batch of its
own. Only a process that dies while it tries an entry alone counts against that entry; it is noted
before the entry is read, for reading it may be what the process dies of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from heapq import heappop, heappush
from itertools import count

import structlog

from ingress.entry import DeadlyEntry, Entry, EntryId, Reading, StreamName, TrimmedEntry
from ingress.holding import Position
from ingress.stream_group import StreamGroup

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Alone:
    """What came of a suspect whose turn it was."""

    position: Position
    reading: Reading
    """The entry, or what is left of it; empty when another consumer has it now."""


class Suspects:
    """The suspects of one consumer. Raises as `StreamGroup` does; then it may be called again."""

    def __init__(
        self,
        groups: Mapping[StreamName, StreamGroup],
        *,
        tries: int,
        pause: timedelta,
        clock: Callable[[], float],
    ) -> None:
        """After `tries` deaths alone an entry is set aside; between them it pauses for `pause`."""
        self._groups = groups
        self._tries = tries
        self._pause = pause
        self._clock = clock
        self._due: list[tuple[float, int, Position]] = []
        self._numbers = count()
        self._under_way: dict[Position, int] = {}

    @property
    def under_way(self) -> Sequence[Position]:
        """The entries that are being tried."""
        return list(self._under_way)

    async def add(self, name: StreamName, ids: Sequence[EntryId]) -> None:
        """Take in suspects; one that has ended a process alone lets the others go first."""
        if not ids:
            return
        tries = await self._groups[name].tries(ids)
        now = self._clock()
        for entry_id, number in zip(ids, tries, strict=True):
            due = now + self._pause.total_seconds() if 0 < number < self._tries else now
            heappush(self._due, (due, next(self._numbers), (name, entry_id)))

    async def try_next(self) -> Alone | None:
        """Begin to try the suspect whose turn it is, or set it aside; None without one."""
        if not self._due or self._due[0][0] > self._clock():
            return None
        name, entry_id = position = self._due[0][2]
        group = self._groups[name]
        # After an error in the midst of this, the number of the try is known already.
        number = self._under_way.get(position) or 1 + (await group.tries([entry_id]))[0]
        if number > self._tries:
            reading = await _set_aside(group, entry_id, number - 1)
        else:
            self._under_way[position] = number
            await group.begin_try(entry_id, number)
            _log.warning("entry.tried_alone", stream=name, entry_id=entry_id, number=number)
            reading = await self._read(group, entry_id)
        heappop(self._due)
        return Alone(position, reading)

    def survived(self, position: Position) -> None:
        """The try is over."""
        self._under_way.pop(position, None)

    async def _read(self, group: StreamGroup, entry_id: EntryId) -> Reading:
        found = await group.own_entry(entry_id)
        if isinstance(found, Entry):
            return Reading([found], alone=True)
        await group.end_tries([entry_id])
        self.survived((group.stream, entry_id))
        return Reading() if found is None else Reading(trimmed=[found])


async def _set_aside(group: StreamGroup, entry_id: EntryId, tries: int) -> Reading:
    detail = f"the process ended each time it tried this entry alone ({tries} times)"
    if not await group.copy_to_dead_letters(entry_id, detail):
        return Reading(trimmed=[TrimmedEntry(group.stream, entry_id)])
    _log.error("entry.dead_lettered", stream=group.stream, entry_id=entry_id, error=detail)
    await group.end_tries([entry_id])
    return Reading(deadly=[DeadlyEntry(group.stream, entry_id, detail)])
