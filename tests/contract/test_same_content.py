"""The same event again, in other words: every matcher decides alike, and exactly."""

from __future__ import annotations

import pytest

from pointsman.correlation.exact_number import exact_number
from tests.contract.matching_sides import Side


@pytest.mark.parametrize(
    ("first", "same"),
    [
        ("1e99999999999999999999", "10e99999999999999999998"),
        ("1e400", "10e399"),
        ("-0", "0.0"),
        ("9" * 5000, "9" * 5000 + ".0"),
    ],
    ids=["vast", "beyond a float", "zero", "long"],
)
async def test_a_number_in_another_spelling_is_the_same_content(
    side: Side, first: str, same: str
) -> None:
    await side.publish("paid", key="7", payload={"a": exact_number(first)})

    again = await side.publish("paid", key="7", payload={"a": exact_number(same)})
    other = await side.publish("paid", key="7", payload={"a": exact_number(f"{same[:-1]}7")})

    assert again == ("no_wait", "no_open_wait", True)
    assert other == ("rejected", "conflicting_duplicate", False)


async def test_true_is_not_the_same_content_as_one(side: Side) -> None:
    await side.publish("paid", key="7", payload={"a": 1})

    ended = await side.publish("paid", key="7", payload={"a": True})

    assert ended == ("rejected", "conflicting_duplicate", False)
