"""What of an event is written down as it is in every release."""

from __future__ import annotations

from routing.columns import content_digest
from tests.builders import an_event


def test_a_content_digest_is_the_same_in_every_release() -> None:
    for _ in range(2):
        one, other = an_event(payload={"a": 1}), an_event(payload={"a": 2})
        with_key = an_event(payload={"a": 1}, key="k")

        assert content_digest(one).hex() == "8f0b02a1f8a0373acc567383eb99ca73"
        assert content_digest(other).hex() == "ba571e69d8e0f3413b0ee99076e14e06"
        assert content_digest(with_key).hex() == "5d8e81b637e5b9199ec998f0674a182e"
