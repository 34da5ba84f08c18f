"""What the shards of a stream are called."""

from __future__ import annotations


def shard_stream(stream: str, shard: int, shards: int) -> str:
    """The name of one shard, counted from 0; a single one is the stream itself.

    The number of shards is in the name, so that two layouts never share a stream: while one is
    drained, the other fills, and nobody reads a key in both at once.
    """
    return stream if shards == 1 else f"{stream}:{shard}-of-{shards}"


def shard_streams(stream: str, shards: int) -> list[str]:
    """The names of all shards, in order."""
    return [shard_stream(stream, shard, shards) for shard in range(shards)]
