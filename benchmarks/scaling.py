"""`python -m benchmarks.scaling [events/s ...]`: what the measured figures carry, part by part.

A model, no measurement: each part is as many units as it takes, each unit as fast as
`benchmarks/results.json` says, and never busier than `--busy`. What it leaves out stands in
docs/scaling.md.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).with_name("results.json")
RATES: Final = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)


class NotMeasured(Exception):
    """The results lack a figure that the model needs; says which, and the command for it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the chain, and what one unit of it carries at full load."""

    name: str
    unit: str
    per_second: float
    """Of what the part handles: events, or signals."""
    share: float = 1.0
    """How many of those one event makes."""

    @property
    def events(self) -> float:
        """Events per second that one unit carries."""
        return self.per_second / self.share if self.share else math.inf


@dataclass(frozen=True, slots=True)
class Step:
    """What one rate takes."""

    rate: float
    units: Mapping[str, int]
    limit: str
    """The part that is busiest with these units: the next one to be added to."""
    busy: float
    """How busy that part is."""


def parts_of(results: Mapping[str, Any], waking: float) -> list[Part]:
    """The parts as they were measured; `waking` is the share of events that wake a workflow.

    Raises NotMeasured.
    """
    return [
        Part("Redis", "servers", _median(results, "noise", "raw XREADGROUP + json + XACK")),
        Part("consumers", "processes", _median(results, "noise", "Pointsman, one process")),
        Part("Postgres", "Citus workers", _median(results, "noise", "raw insert")),
        Part("delivery", "processes", _median(results, "resume", "Pointsman, "), waking),
        Part("Temporal", "servers like the measured one", _raw_signals(results), waking),
    ]


def step_to(rate: float, parts: Sequence[Part], busy: float) -> Step:
    """The least units that carry the rate with none of them busier than that."""
    units = {part.name: max(1, math.ceil(rate / (part.events * busy))) for part in parts}
    loads = {part.name: rate / (part.events * units[part.name]) for part in parts}
    limit = max(loads, key=loads.__getitem__)
    return Step(rate, units, limit, loads[limit])


def table_of(steps: Sequence[Step], parts: Sequence[Part]) -> str:
    """The steps as a table in Markdown."""
    heads = ["events/s", *(f"{part.name} ({part.unit})" for part in parts), "limit (busy)"]
    lines = [_row(heads), _row(["---"] * len(heads))]
    for step in steps:
        units = [f"{step.units[part.name]:,}" for part in parts]
        lines.append(_row([f"{step.rate:,.0f}", *units, f"{step.limit} ({step.busy:.0%})"]))
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _raw_signals(results: Mapping[str, Any]) -> float:
    return _median(results, "resume", "raw signals, ")


def _median(results: Mapping[str, Any], part: str, name: str) -> float:
    """The figure whose name begins so; of several (other sizes) the least."""
    found = [
        float(figure["median"])
        for figure in results["figures"]
        if figure["part"] == part
        and figure["name"].startswith(name)
        and figure["unit"] in {"events/s", "signals/s"}
    ]
    if not found:
        raise NotMeasured(f"no figure {part}: {name!r}; run ./dev bench --only noise resume first")
    return min(found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("rates", nargs="*", type=float, default=RATES, metavar="EVENTS/S")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--waking", type=float, default=0.1, help="share of events that wake")
    parser.add_argument("--busy", type=float, default=0.6, help="how busy a unit may be")
    return parser.parse_args()


def main() -> None:
    given = _arguments()
    if not given.results.exists():
        raise SystemExit(f"{given.results} is not there: run make bench, or name --results")
    results = json.loads(given.results.read_text())
    try:
        parts = parts_of(results, given.waking)
    except NotMeasured as problem:
        raise SystemExit(str(problem)) from None
    machine = results["machine"]
    print(f"Measured on {machine['cores']} cores ({results['scale']} run), all parts on them.")
    for part in parts:
        print(f"  one unit of {part.name}: {part.per_second:,.0f}/s, {part.events:,.0f} events/s")
    print(f"{given.waking:.0%} of the events wake a workflow; no unit over {given.busy:.0%}.\n")
    print(table_of([step_to(rate, parts, given.busy) for rate in given.rates], parts))
    print(f"\nOne key: {parts[1].events * given.busy:,.0f} events/s at most (one consumer).")
    print(f"One tenant: {parts[2].events * given.busy:,.0f} events/s at most (one Citus worker).")


if __name__ == "__main__":
    main()
