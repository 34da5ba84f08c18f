"""Keys that resemble another are found without comparing it with each of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from correlation.resemblance import MOST_ALIKE, Lookalikes, likeness

KEYS = st.text(alphabet="aAbB01lIOo-_. éÉ,", min_size=1, max_size=8)


@given(KEYS, st.lists(KEYS, max_size=30))
def test_the_same_are_found_as_by_comparing_with_each(key: str, others: list[str]) -> None:
    expected = sorted(
        (like.rank, like.extra, len(other), other)
        for other in set(others)
        if (like := likeness(key, other)) is not None
    )

    found = Lookalikes(others).closest(key, 1)

    assert [other for other, _ in found] == [other for *_, other in expected[:1]]


def test_few_of_very_many_keys_are_compared() -> None:
    lookalikes = Lookalikes(f"INV-{number:05}" for number in range(5_000))

    for number in range(20):
        lookalikes.closest(f"inv-{number}", 5)

    assert lookalikes.compared < 20 * MOST_ALIKE


def test_of_keys_that_all_look_alike_a_bounded_number_is_compared() -> None:
    lookalikes = Lookalikes(f"inv{'-' * number}7" for number in range(400))

    [first, *_] = lookalikes.closest("INV7", 5)

    assert first[0] == "inv7"
    assert lookalikes.compared <= 8 * MOST_ALIKE
