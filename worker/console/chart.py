"""The overview's chart: counts over time as stacked bars, in the units of its drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

from routing.audit_pages import SummaryLine

OUTCOMES: Final = ("matched", "no_wait", "unresolved", "malformed", "rejected")
"""From the ground up: what went well stands at the bottom."""
WIDTH: Final = 720
HEIGHT: Final = 150
GAP: Final = 2.0
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Piece:
    """One outcome's share of a bar."""

    outcome: str
    count: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One span of time."""

    since: datetime
    until: datetime
    x: float
    width: float
    total: int
    pieces: Sequence[Piece]


@dataclass(frozen=True, slots=True)
class Chart:
    """All bars, oldest first, and the value at the top of the scale."""

    bars: Sequence[Bar]
    top: int
    width: int = WIDTH
    height: int = HEIGHT


def chart_of(
    counts: Sequence[SummaryLine], *, since: datetime, until: datetime, bucket: timedelta
) -> Chart:
    """The chart of these counts; spans without events are bars without pieces."""
    first = EPOCH + (since - EPOCH) // bucket * bucket
    spans = ceil((until - first) / bucket)
    by_span: dict[int, dict[str, int]] = {}
    for line in counts:
        within = by_span.setdefault((line.since - first) // bucket, {})
        within[line.outcome] = within.get(line.outcome, 0) + line.count
    top = _round_up(max((sum(span.values()) for span in by_span.values()), default=0))
    step = WIDTH / spans
    bars = [
        _bar(first + index * bucket, bucket, index * step, step, by_span.get(index, {}), top)
        for index in range(spans)
    ]
    return Chart(bars, top)


def _bar(
    since: datetime, bucket: timedelta, x: float, step: float, counts: dict[str, int], top: int
) -> Bar:
    ground, pieces = float(HEIGHT), list[Piece]()
    for outcome in OUTCOMES:
        if count := counts.get(outcome, 0):
            # One event among thousands must still be seen.
            height = max(2.0, count / top * (HEIGHT - 10))
            ground -= height
            pieces.append(Piece(outcome, count, round(max(ground, 0.0), 2), round(height, 2)))
    width = max(1.0, step - GAP)
    total = sum(counts.values())
    return Bar(since, since + bucket, round(x, 2), round(width, 2), total, pieces)


def _round_up(value: int) -> int:
    """The next number that reads well on a scale, such as 1, 5, 20, 250 or 400."""
    power = 1
    while True:
        for tenths in (10, 15, 20, 25, 30, 40, 50, 60, 80):
            top, rest = divmod(tenths * power, 10)
            if rest == 0 and value <= top:
                return top
        power *= 10
