"""Were entries removed from a stream before the group read them?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_LAST_OF_A_MILLISECOND: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class GroupProgress:
    """What XINFO says about a stream and one of its groups, at one moment.

    Ids are (milliseconds, sequence). `entries_read` is unknown when the group was created without
    saying where it starts, and after some deletions.
    """

    length: int
    entries_added: int
    first_id: tuple[int, int] | None
    last_id: tuple[int, int]
    last_delivered_id: tuple[int, int]
    entries_read: int | None


def trimmed_unread(progress: GroupProgress) -> int:
    """How many entries are gone that the group never read; 0 where that cannot be told.

    Every entry ever added was read, is still to be read, or is gone. What is still to be read is
    known exactly in two situations: the group has read nothing of what is there (then all of it),
    or everything (then none). In between the answer is 0, until one of them comes about.

    A loss that the group has read past stays visible on Redis 7.0, where `entries-read` counts
    deliveries; later versions let it jump over the gap. There the loss shows only in between
    (measured on 7.0.15; the later behaviour is that of the server's source). `lag` shows neither.
    """
    if progress.entries_read is None:
        return 0
    if progress.first_id is None or progress.first_id > progress.last_delivered_id:
        unread = progress.length
    elif progress.last_delivered_id >= progress.last_id:
        unread = 0
    else:
        return 0
    return max(0, progress.entries_added - progress.entries_read - unread)


def parse_id(entry_id: bytes) -> tuple[int, int]:
    """`b"1526985054069-0"` as numbers that can be compared."""
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence or 0)


def id_before(entry_id: str) -> str:
    """The greatest id that is smaller than this one."""
    milliseconds, sequence = parse_id(entry_id.encode())
    if sequence:
        return f"{milliseconds}-{sequence - 1}"
    return f"{max(0, milliseconds - 1)}-{_LAST_OF_A_MILLISECOND if milliseconds else 0}"
