"""`python -m benchmarks.steps`: what each step costs alone, in microseconds of one event of noise.

Runs without servers: the steps of one process between the reply of Redis and the bytes that go to
Postgres, each the best of many runs of a batch of 500.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.events import BATCH, RULES, Fields, noise
from correlation.event import Event
from correlation.exact_reading import read_json
from correlation.resolution import resolve
from correlation.rules import compile_rules
from ingress.entry import Entry, EntryId, StreamName, entry_of
from ingress.envelope import decode
from ingress.holding import Holding
from routing.columns import content_digest, event_arrays, event_columns, lock_hashes
from routing.incoming import IncomingEvent, Origin

STREAM: Final = StreamName("benchmark:steps")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    for name, step in steps().items():
        print(f"{name:<28}{_best(step, runs) / BATCH * 1e6:8.2f} µs/event")


def steps() -> dict[str, Callable[[], object]]:
    """Each step on the same batch, given what the steps before it make."""
    entries = [_entry(number, fields) for number, fields in enumerate(noise(BATCH))]
    texts = [entry.fields[b"payload_json"].decode() for entry in entries]
    rules = compile_rules(json.loads(RULES))
    events = [_decoded(entry) for entry in entries]
    incoming = [
        IncomingEvent(event, resolve(event, rules), Origin(STREAM, entry.entry_id), rules.version)
        for entry, event in zip(entries, events, strict=True)
    ]
    return {
        "bounding the batch": lambda: _bounded(entries),
        "an entry and its size": lambda: [
            entry_of(STREAM, entry.entry_id, entry.fields) for entry in entries
        ],
        "decode": lambda: [decode(entry.fields, size=entry.size) for entry in entries],
        "  of it exact JSON": lambda: [read_json(text) for text in texts],
        "resolve": lambda: [resolve(event, rules) for event in events],
        "lock hashes": lambda: lock_hashes(incoming),
        "columns and their arrays": lambda: event_arrays(incoming),
        "  of it the columns": lambda: event_columns(incoming),
        "  of it digests": lambda: [content_digest(event) for event in events],
    }


def _entry(number: int, fields: Fields) -> Entry:
    raw = {name.encode(): text.encode() for name, text in fields.items()}
    return entry_of(STREAM, EntryId(f"1790000000000-{number}"), raw)


def _decoded(entry: Entry) -> Event:
    event = decode(entry.fields)
    assert isinstance(event, Event)
    return event


def _bounded(entries: Sequence[Entry]) -> None:
    holding = Holding(count=BATCH, max_bytes=8 * 1024 * 1024)
    holding.keep(entries)
    holding.let_go(holding.hand_out().entries)


def _best(step: Callable[[], object], runs: int) -> float:
    """Seconds; the search for reference cycles is left out, as the service all but does."""

    def once() -> float:
        started = time.perf_counter()
        step()
        return time.perf_counter() - started

    gc.collect()
    gc.disable()
    return min(once() for _ in range(runs))


if __name__ == "__main__":
    main()
