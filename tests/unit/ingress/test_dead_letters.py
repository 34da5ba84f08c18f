"""A dead letter holds its entry whole, whatever the entry's fields are called."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from correlation.reason import Reason
from ingress.entry import EntryId, StreamName, entry_of
from ingress.letter import ADDED_FIELDS, ESCAPED, letter_fields, read_letter

STREAM = StreamName("events")
NAMES = st.binary(max_size=20) | st.sampled_from(
    [*ADDED_FIELDS, b"dlq_", ESCAPED, ESCAPED + b"dlq_reason", ESCAPED + ESCAPED]
)


@given(fields=st.dictionaries(NAMES, st.binary(max_size=20)), detail=st.text(max_size=40))
def test_what_is_set_aside_is_read_back_byte_for_byte(
    fields: dict[bytes, bytes], detail: str
) -> None:
    entry = entry_of(STREAM, EntryId("5-3"), fields)

    letter = read_letter(EntryId("9-0"), letter_fields(entry, Reason.POISON, detail), STREAM)

    assert letter.fields == fields
    assert (letter.stream, letter.entry_id, letter.reason) == (STREAM, "5-3", "poison")


def test_a_letter_that_somebody_else_wrote_goes_back_to_its_stream() -> None:
    letter = read_letter(EntryId("1700000000000-0"), {b"a": b"b"}, STREAM)

    assert (letter.stream, letter.entry_id, letter.fields) == (STREAM, "", {b"a": b"b"})
    assert letter.set_aside_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
