"""Telling how many entries a group never got to read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingress.trimming import GroupProgress, parse_id, trimmed_unread

UNREAD = GroupProgress(
    length=10,
    entries_added=10,
    first_id=(1, 0),
    last_id=(10, 0),
    last_delivered_id=(0, 0),
    entries_read=0,
)


@pytest.mark.parametrize(
    ("progress", "gone"),
    [
        (UNREAD, 0),
        (replace(UNREAD, length=3, first_id=(8, 0)), 7),
        (replace(UNREAD, length=3, first_id=(8, 0), last_delivered_id=(2, 0), entries_read=2), 5),
        (replace(UNREAD, length=0, first_id=None, last_delivered_id=(2, 0), entries_read=2), 8),
        (replace(UNREAD, length=0, first_id=None, last_delivered_id=(10, 0), entries_read=10), 0),
        (replace(UNREAD, length=3, first_id=(8, 0), last_delivered_id=(10, 0), entries_read=5), 5),
        (replace(UNREAD, length=3, first_id=(8, 0), last_delivered_id=(10, 0), entries_read=10), 0),
        (replace(UNREAD, length=9, first_id=(2, 0), last_delivered_id=(3, 0), entries_read=3), 0),
        (replace(UNREAD, length=3, first_id=(8, 0), last_delivered_id=(8, 0), entries_read=3), 0),
        (replace(UNREAD, length=3, first_id=(8, 0), entries_read=None), 0),
        (replace(UNREAD, length=3, first_id=(8, 0), entries_read=9), 0),
    ],
    ids=[
        "nothing trimmed",
        "trimmed before the first read",
        "trimmed beyond what was read",
        "everything trimmed, part unread",
        "everything trimmed, all read",
        "read past the gap, deliveries counted",
        "read past the gap, counter jumped",
        "only read entries trimmed",
        "in between: cannot be told",
        "progress unknown",
        "never negative",
    ],
)
def test_entries_gone_before_they_were_read_are_counted(progress: GroupProgress, gone: int) -> None:
    assert trimmed_unread(progress) == gone


def test_ids_compare_as_numbers() -> None:
    assert parse_id(b"9-10") < parse_id(b"10-9") < parse_id(b"10-10")
    assert parse_id(b"7") == (7, 0)
