"""Writes `events.jsonl` and `workflows.jsonl`: the same files every time.

    python -m examples.make_events

A line of `events.jsonl` is one stream entry beside what should come of it:

    {"entry": {field: value}, "expect": {"outcome", "reason"?, "wakes"?, "refused_by"?}}

A value is a string, or `{"base64": ...}` for bytes that are no text, or `{"repeat": ..., "times":
...}` for a long text. `{"repeats": true}` in place of an outcome is a second copy of an event that
came before. `wakes` names the workflows that accept the event, `refused_by` those that are
signalled and whose own filter refuses it. A line of `workflows.jsonl` is one workflow to start
(`before` or `after` the events are published), the number of its waits, and its result.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from examples.awaited_events import awaited_events
from examples.event_forms import Line
from examples.everyday_events import everyday_events
from examples.unusual_events import unusual_events
from examples.waiting_workflows import workflows

FOLDER = Path(__file__).parent


def event_lines() -> list[Line]:
    """Every entry in the order of the stream; what belongs together keeps its own order."""
    sequences = [*awaited_events(), *everyday_events(), *unusual_events()]
    chance = random.Random(7)  # noqa: S311 - the same shuffle every time
    order = [number for number, sequence in enumerate(sequences) for _ in sequence]
    chance.shuffle(order)
    remaining = [iter(sequence) for sequence in sequences]
    return [next(remaining[number]) for number in order]


def as_text(lines: Iterable[dict[str, Any]]) -> str:
    """One JSON object per line."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def files() -> Sequence[tuple[Path, str]]:
    """What this program writes."""
    return (
        (FOLDER / "events.jsonl", as_text(line.as_json() for line in event_lines())),
        (FOLDER / "workflows.jsonl", as_text(workflows())),
    )


if __name__ == "__main__":
    for path, text in files():
        path.write_text(text, encoding="utf-8")
        print(f"{path.name}: {text.count(chr(10))} lines")
