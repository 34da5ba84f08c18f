"""What a source of entries hands on: raw entries, and what was read of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NewType, Protocol, TypeAlias

import msgspec

from correlation.event import Event
from correlation.reason import Reason

StreamName = NewType("StreamName", str)
EntryId = NewType("EntryId", str)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One stream entry as it came: field names and values are bytes, never decoded here."""

    stream: StreamName
    entry_id: EntryId
    fields: Mapping[bytes, bytes]
    size: int
    """Bytes of its names and values."""
    claimed: bool = False
    """True when the entry had been left pending, by another consumer or by this one's past life."""


def entry_of(
    stream: StreamName, entry_id: EntryId, fields: Mapping[bytes, bytes], *, claimed: bool = False
) -> Entry:
    """An entry with its size, which is asked for more than once."""
    return Entry(stream, entry_id, fields, size_of(fields), claimed)


def size_of(fields: Mapping[bytes, bytes]) -> int:
    """Bytes of an entry's names and values."""
    return sum(map(len, fields)) + sum(map(len, fields.values()))


@dataclass(frozen=True, slots=True)
class TrimmedEntry:
    """An entry that was removed from its stream while it was pending: only its id is left."""

    stream: StreamName
    entry_id: EntryId


@dataclass(frozen=True, slots=True)
class DeadlyEntry:
    """An entry that ended the process whenever it was tried alone.

    Its dead letter is written, and its content was not loaded for that.
    """

    stream: StreamName
    entry_id: EntryId
    detail: str


Pending: TypeAlias = Entry | TrimmedEntry | DeadlyEntry
"""What the group counts as pending, however much of it is left."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one read brought: bounded in count and bytes, in stream order."""

    entries: Sequence[Entry] = ()
    trimmed: Sequence[TrimmedEntry] = ()
    deadly: Sequence[DeadlyEntry] = ()
    alone: bool = False
    """The one entry was in hand when processes died: nothing else may be in work beside it."""

    def __bool__(self) -> bool:
        return bool(self.entries or self.trimmed or self.deadly)

    @property
    def pending(self) -> list[Pending]:
        """All that is to be acknowledged when it is recorded."""
        return [*self.entries, *self.trimmed, *self.deadly]


@dataclass(frozen=True, slots=True)
class Malformed:
    """An entry that is no event, and why. What could be read of it stands beside the reason."""

    reason: Reason
    detail: str
    tenant: str | None = None
    event_id: str | None = None
    event_name: str | None = None


Decoded = Event | Malformed


class EntrySource(Protocol):
    """Where the consumer loop reads entries from."""

    async def read(self) -> Reading:
        """Claim what was abandoned, then wait (bounded) for new entries; empty when idle.

        Connection loss is healed inside, with back-off; this only returns or is cancelled.
        """
        ...

    async def acknowledge(self, entries: Sequence[Pending]) -> None:
        """Tell the stream that these entries are recorded and need no redelivery."""
        ...

    async def survived(self, entry: Entry) -> None:
        """An entry that was handed out alone did not end the process; whatever else came of it."""
        ...
