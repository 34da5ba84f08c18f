"""A token bucket for each caller, in the memory of one process."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MOST_CALLERS: Final = 10_000


@dataclass(slots=True)
class _Bucket:
    left: float
    filled_at: float


class RateLimit:
    """So many requests at once, and so many per second on average."""

    def __init__(self, *, rate: float, burst: int, clock: Callable[[], float]) -> None:
        """`clock` gives seconds that never go back."""
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def admit(self, identity: str) -> int | None:
        """None when the request may go on, else the whole seconds after which it may."""
        bucket = self._filled(identity)
        # The one used last is forgotten last.
        self._buckets.move_to_end(identity)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        if (seconds := self._wait(bucket)) is None:
            bucket.left -= 1
        return seconds

    def look(self, identity: str) -> int | None:
        """As `admit`, without counting a request."""
        return self._wait(self._filled(identity)) if identity in self._buckets else None

    def _filled(self, identity: str) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(identity, _Bucket(self._burst, now))
        bucket.left = min(self._burst, bucket.left + (now - bucket.filled_at) * self._rate)
        bucket.filled_at = now
        return bucket

    def _wait(self, bucket: _Bucket) -> int | None:
        return None if bucket.left >= 1 else max(1, math.ceil((1 - bucket.left) / self._rate))
