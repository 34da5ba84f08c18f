"""When to try again, and whether the stream is to be reached: decisions without any waiting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from redis.exceptions import RedisError, ResponseError

_GROUP_GONE: Final = ("NOGROUP", "UNBLOCKED")


@dataclass(frozen=True, slots=True)
class BackOff:
    """Pauses that double from `first` up to `longest`, shortened at random by up to a half."""

    first: timedelta = timedelta(milliseconds=100)
    longest: timedelta = timedelta(seconds=5)

    def pause(self, failures: int, fraction: float) -> timedelta:
        """The pause after so many failures in a row (from 1); `fraction` is random in [0, 1)."""
        doubled: timedelta = self.first * (1 << min(failures - 1, 30))
        return min(doubled, self.longest) * (1 - fraction / 2)


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """Whether the last word from the stream's server was good, and what it was if not."""

    connected: bool
    detail: str


DEFAULT_BACK_OFF: Final = BackOff()
CONNECTED: Final = StreamStatus(connected=True, detail="connected")
NOT_YET_CONNECTED: Final = StreamStatus(connected=False, detail="not yet connected")


def lost(error: RedisError | OSError) -> StreamStatus:
    """The status after an error."""
    return StreamStatus(connected=False, detail=f"{type(error).__name__}: {error}")


def is_group_gone(error: RedisError | OSError) -> bool:
    """Whether the server answers well, but stream or group were removed (FLUSHALL, DEL)."""
    return isinstance(error, ResponseError) and str(error).startswith(_GROUP_GONE)
