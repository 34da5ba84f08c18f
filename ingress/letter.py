"""A dead letter: an entry that could never be recorded, whole, and why.

`<stream>:dlq` holds each entry with all its original fields, and beside them what this module
adds: `dlq_stream`, `dlq_entry_id`, `dlq_reason` and `dlq_detail`. An original field whose name
begins with `dlq_` is kept under `dlq_original:` and its name, so that nothing is ever overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from correlation.reason import Reason
from ingress.entry import Entry, EntryId, StreamName
from ingress.trimming import parse_id

SUFFIX: Final = ":dlq"
PREFIX: Final = b"dlq_"
STREAM_FIELD: Final = b"dlq_stream"
ENTRY_FIELD: Final = b"dlq_entry_id"
REASON_FIELD: Final = b"dlq_reason"
DETAIL_FIELD: Final = b"dlq_detail"
ADDED_FIELDS: Final = frozenset({STREAM_FIELD, ENTRY_FIELD, REASON_FIELD, DETAIL_FIELD})
ESCAPED: Final = b"dlq_original:"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One entry that was set aside, and why."""

    letter_id: EntryId
    stream: StreamName
    """Where the entry came from, and goes back to."""
    entry_id: EntryId
    reason: str
    detail: str
    fields: Mapping[bytes, bytes]
    """The entry's own fields, byte for byte."""

    @property
    def set_aside_at(self) -> datetime:
        """When it was set aside, by the clock of Redis."""
        milliseconds, _ = parse_id(self.letter_id.encode())
        return datetime.fromtimestamp(milliseconds / 1000, UTC)


def dead_letter_stream(stream: StreamName) -> StreamName:
    """Where a stream's dead letters stand."""
    return StreamName(f"{stream}{SUFFIX}")


def letter_fields(entry: Entry, reason: Reason, detail: str) -> dict[bytes, bytes]:
    """The fields of the dead letter of an entry; `read_letter` is the inverse."""
    fields = {
        (ESCAPED + name if name.startswith(PREFIX) else name): value
        for name, value in entry.fields.items()
    }
    return fields | letter_additions(entry.stream, entry.entry_id, reason, detail)


def letter_additions(
    stream: StreamName, entry_id: EntryId, reason: Reason, detail: str
) -> dict[bytes, bytes]:
    """What a dead letter has beside the fields of its entry."""
    return {
        STREAM_FIELD: stream.encode(),
        ENTRY_FIELD: entry_id.encode(),
        REASON_FIELD: reason.value.encode(),
        DETAIL_FIELD: detail.encode("utf-8", "replace"),
    }


def read_letter(
    letter_id: EntryId, fields: Mapping[bytes, bytes], stream: StreamName
) -> DeadLetter:
    """Read a dead letter; one that somebody else wrote counts as having come from `stream`."""
    return DeadLetter(
        letter_id,
        StreamName(_text(fields.get(STREAM_FIELD, stream.encode()))),
        EntryId(_text(fields.get(ENTRY_FIELD, b""))),
        _text(fields.get(REASON_FIELD, b"")),
        _text(fields.get(DETAIL_FIELD, b"")),
        {
            name.removeprefix(ESCAPED): value
            for name, value in fields.items()
            if name not in ADDED_FIELDS
        },
    )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
