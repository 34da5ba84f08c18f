"""Which streams the settings name: all of them, and those that this process reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ingress.entry import StreamName
from pointsman.shard_names import shard_stream
from worker.settings import Settings


def stream_names(settings: Settings) -> Sequence[StreamName]:
    """All streams, in the order given; of each its shards."""
    return _shards(settings, range(settings.stream_shards))


def streams_taken(settings: Settings) -> Sequence[StreamName]:
    """The streams that this process reads."""
    taken = settings.shards_taken
    return stream_names(settings) if taken is None else _shards(settings, taken)


def _shards(settings: Settings, numbers: Iterable[int]) -> Sequence[StreamName]:
    return [
        StreamName(shard_stream(name, number, settings.stream_shards))
        for name in settings.stream
        for number in numbers
    ]
