from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pointsman.domain_event import DomainEvent, stream_fields
from pointsman.shard_names import shard_streams
from pointsman.sharding import Sharding, shard_of

NOW = datetime(2026, 11, 21, tzinfo=UTC)

RULES = {"INVOICE_PAID": "invoice.id"}


def stream_of(sharding: Sharding, **terms: Any) -> str:
    stated: dict[str, Any] = {"name": "INVOICE_PAID", "tenant": "acme", **terms}
    return sharding.stream_of(stream_fields(DomainEvent(**stated), now=lambda: NOW))


def test_a_shard_is_the_same_in_every_language_and_release() -> None:
    # printf 'acme\0invoice-7' | sha256sum begins with 8cf0113a8cc72d88.
    shards = [shard_of("acme", "invoice-7", count) for count in (1, 2, 7, 64)]

    assert shards == [0, 0, 2, 8]


@pytest.mark.parametrize(
    "other",
    [
        {"correlation_key": "42"},
        {"correlation_key": " 42 "},
        {"payload": {"correlationKey": 42.0}},
        {"payload": {"invoice": {"id": "42"}}},
        {"payload": {"invoice": {"id": 42}}, "event_id": "another"},
    ],
)
def test_every_spelling_of_a_key_goes_to_one_shard(other: dict[str, object]) -> None:
    sharding = Sharding("events", 1000, RULES)

    assert stream_of(sharding, **other) == stream_of(sharding, correlation_key=42)


def test_tenants_are_spread_apart() -> None:
    sharding = Sharding("events", 1000)

    streams = {stream_of(sharding, correlation_key=7, tenant=each) for each in ("acme", "globex")}

    assert len(streams) == 2


def test_events_without_a_key_are_spread_by_their_ids() -> None:
    sharding = Sharding("events", 4)

    streams = {stream_of(sharding, event_id=f"event-{number}") for number in range(100)}

    assert sorted(streams) == shard_streams("events", 4)


def test_one_shard_is_the_stream_itself() -> None:
    assert stream_of(Sharding("events", 1), correlation_key=7) == "events"
    assert shard_streams("events", 1) == ["events"]


def test_two_layouts_share_no_stream() -> None:
    layouts = [set(shard_streams("events", shards)) for shards in (1, 2, 3, 4)]

    assert sum(map(len, layouts)) == len(set().union(*layouts))


def test_no_shards_are_refused() -> None:
    with pytest.raises(ValueError, match="shards: 0 is not a number of shards"):
        Sharding("events", 0)
