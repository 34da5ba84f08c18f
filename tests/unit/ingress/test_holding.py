"""What a consumer holds, and in what portions it hands it out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingress.entry import Entry, EntryId, StreamName, TrimmedEntry, entry_of
from ingress.holding import Holding

STREAM = StreamName("s")


def entry(number: int, size: int = 1) -> Entry:
    return entry_of(STREAM, EntryId(f"{number}-0"), {b"f": b"x" * (size - 1)})


def test_a_batch_is_bounded_in_count() -> None:
    holding = Holding(count=2, max_bytes=1000)
    entries = [entry(number) for number in range(3)]
    holding.keep(entries)

    batches = [holding.hand_out().entries, holding.hand_out().entries]

    assert batches == [entries[:2], entries[2:]]


def test_a_batch_is_bounded_in_bytes() -> None:
    holding = Holding(count=10, max_bytes=100)
    entries = [entry(1, 60), entry(2, 40), entry(3, 1)]
    holding.keep(entries)

    batches = [holding.hand_out().entries, holding.hand_out().entries]

    assert batches == [entries[:2], entries[2:]]


def test_an_entry_beyond_the_bound_goes_alone() -> None:
    holding = Holding(count=10, max_bytes=100)
    entries = [entry(1, 1), entry(2, 500), entry(3, 1)]
    holding.keep(entries)

    batches = [holding.hand_out().entries for _ in entries]

    assert batches == [[each] for each in entries]


def test_entries_are_held_until_they_are_let_go() -> None:
    holding = Holding(count=10, max_bytes=100)
    trimmed = TrimmedEntry(STREAM, EntryId("2-0"))
    holding.keep([entry(1)], [trimmed])
    handed_out = holding.hand_out()

    held = holding.held_of(STREAM)
    holding.let_go([*handed_out.entries, *handed_out.trimmed])

    assert not holding
    assert held == {"1-0", "2-0"}
    assert holding.held == frozenset()


@given(
    st.lists(st.integers(min_value=1, max_value=50)),
    st.integers(min_value=1, max_value=5),
    st.integers(min_value=1, max_value=100),
)
def test_whatever_is_kept_is_handed_out_once_in_order_and_within_bounds(
    sizes: list[int], count: int, max_bytes: int
) -> None:
    holding = Holding(count=count, max_bytes=max_bytes)
    entries = [entry(number, size) for number, size in enumerate(sizes)]
    holding.keep(entries)

    batches = []
    while holding:
        batches.append(holding.hand_out().entries)

    assert [each for batch in batches for each in batch] == entries
    assert all(1 <= len(batch) <= count for batch in batches)
    assert all(
        len(batch) == 1 or sum(entry.size for entry in batch) <= max_bytes for batch in batches
    )
