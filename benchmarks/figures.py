"""Figures: values of several rounds, their median and their spread; and what is made of them."""

from __future__ import annotations

import json
import os
import platform
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

RATIOS: Final = {
    "noise_vs_raw_insert": "at least 0.6",
    "noise_vs_by_hand": "at least 10",
    "resume_vs_raw_signal": "at least 0.85",
    "latency_p50_over_raw_ms": "at most 10",
    "latency_p99_over_raw_ms": "at most 30",
    "waits_10m_vs_10k_cost": "at most 1.25",
    "hot_key_vs_uniform": "at least 0.3",
    "rss_growth": "at most 0.1",
    "closings_runs_behind_s": "at most 10",
    "closings_waits_behind_s": "at most 10",
    "closings_calls_a_second": "at most 5",
}
"""What is wanted of each; a run that does not measure one writes null for it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity, measured once in each round."""

    part: str
    name: str
    unit: str
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """Half of what lies between the least and the greatest, as a share of the median."""
        return (max(self.values) - min(self.values)) / 2 / self.median if self.median else 0.0


@dataclass(slots=True)
class Results:
    """All figures of a run, in the order in which they were measured first."""

    scale: str
    console: Console
    figures: dict[tuple[str, str], Figure] = field(default_factory=dict)
    ratios: dict[str, float | None] = field(default_factory=lambda: dict.fromkeys(RATIOS))

    def add(self, part: str, name: str, value: float, unit: str) -> None:
        figure = self.figures.setdefault((part, name), Figure(part, name, unit))
        figure.values.append(value)
        self.console.print(f"  [dim]{part}: {name} {_shown(value)} {unit}[/dim]")

    def median(self, part: str, name: str) -> float:
        return self.figures[part, name].median

    def set_ratio(self, key: str, value: float) -> None:
        self.ratios[key] = round(value, 3)

    def show(self) -> None:
        table = Table(title=f"Pointsman, {self.scale} run on {os.cpu_count()} cores")
        for column in ("part", "figure"):
            table.add_column(column)
        for column in ("median", "spread", "rounds"):
            table.add_column(column, justify="right")
        table.add_column("unit")
        for figure in self.figures.values():
            spread, rounds = f"±{figure.spread:.0%}", str(len(figure.values))
            row = (figure.part, figure.name, _shown(figure.median), spread, rounds, figure.unit)
            table.add_row(*row)
        ratios = Table(title="Ratios, each within this run")
        ratios.add_column("ratio")
        ratios.add_column("value", justify="right")
        ratios.add_column("wanted")
        for key, value in self.ratios.items():
            shown = "not measured" if value is None else f"{value:g}"
            ratios.add_row(key, shown, RATIOS.get(key, ""))
        self.console.print(table, ratios)

    def write(self, path: Path) -> None:
        figures: list[dict[str, Any]] = [
            {
                "part": figure.part,
                "name": figure.name,
                "unit": figure.unit,
                "median": figure.median,
                "least": min(figure.values),
                "greatest": max(figure.values),
                "rounds": figure.values,
            }
            for figure in self.figures.values()
        ]
        machine = {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.platform(),
            "load_at_end": os.getloadavg(),
        }
        document = {
            "scale": self.scale,
            "machine": machine,
            "ratios": self.ratios,
            "figures": figures,
        }
        path.write_text(json.dumps(document, indent=2) + "\n")


def percentile(values: list[float], share: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"
