"""Into how many shards the streams are divided, and which of them a process takes."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator
from pydantic_settings import BaseSettings, NoDecode

MOST_SHARDS: Final = 1024
_SPAN: Final = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?", re.ASCII)


def parse_shards(text: object) -> object:
    """`0,2` or `0-3,7` as numbers in order; raises ValueError saying how shards are written."""
    if not isinstance(text, str):
        return text
    numbers: set[int] = set()
    for part in text.split(","):
        found = _SPAN.fullmatch(part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if first > last:
            raise ValueError("expected shards counted from 0, such as 0 or 0,2 or 0-3,7")
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))


def format_shards(shards: tuple[int, ...] | None) -> str | None:
    """A text that `parse_shards` reads back."""
    return None if shards is None else ",".join(map(str, shards))


ShardNumbers = Annotated[
    tuple[int, ...] | None, NoDecode, BeforeValidator(parse_shards), PlainSerializer(format_shards)
]


class ShardSettings(BaseSettings):
    """The shards' settings."""

    stream_shards: int = Field(
        default=1,
        ge=1,
        le=MOST_SHARDS,
        description="Into how many streams each stream is divided by the hash of tenant and key: "
        "`NAME:0-of-4` to `NAME:3-of-4`. 1: the stream itself. Publishers must use the same.",
    )
    shards_taken: ShardNumbers = Field(
        default=None,
        description="Which of them this process reads, such as `0-3,7`; unset: all. The order of a "
        "key is kept as long as one process alone reads its shard.",
    )

    @model_validator(mode="after")
    def _shards_exist(self) -> Self:
        taken = self.shards_taken
        if taken and taken[-1] >= self.stream_shards:
            raise ValueError(
                f"POINTSMAN_SHARDS_TAKEN names shard {taken[-1]}: with POINTSMAN_STREAM_SHARDS "
                f"{self.stream_shards} the last one is {self.stream_shards - 1}"
            )
        return self
