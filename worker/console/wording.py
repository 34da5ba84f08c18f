"""The words that people read in place of the machine's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

OUTCOME_WORDS: Final[Mapping[str, str]] = {
    "matched": "matched",
    "no_wait": "no wait",
    "unresolved": "unresolved",
    "malformed": "malformed",
    "rejected": "rejected",
}
STATE_WORDS: Final[Mapping[str, str]] = {
    "matched": "met a wait",
    "woke": "woke a run",
    "accepted": "accepted",
    "delivered": "delivered, not answered",
    "pending": "on its way",
    "filtered": "filtered",
    "late": "too late",
    "withdrawn": "withdrawn",
    "dead": "dead",
    "launched": "launched",
    "nobody": "reached nobody",
}
STATUS_WORDS: Final[Mapping[str, str]] = {
    "pending": "on its way",
    "delivered": "delivered",
    "dead": "dead",
    "withdrawn": "withdrawn",
    "launched": "launched",
    "skipped": "skipped",
    "waiting": "waiting",
    "closed": "closed",
}


def span_text(span: timedelta) -> str:
    """A duration in its largest fitting unit: `40 ms`, `3.2 s`, `5 min`, `2 h`, `3 d`."""
    seconds = span.total_seconds()
    if abs(seconds) < 1:
        return f"{round(seconds * 1000)} ms"
    for unit, size, below in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if abs(seconds) < below:
            value = seconds / size
            whole = unit != "s" or abs(value) >= 10 or value == int(value)
            return f"{value:.0f} {unit}" if whole else f"{value:.1f} {unit}"
    return f"{seconds / 86_400:.0f} d"
