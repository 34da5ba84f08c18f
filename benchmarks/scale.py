"""How much is measured: `quick` for a first look, `standard` for the figures, `full` for growth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The sizes of one run."""

    name: str
    rounds: int
    """Every figure is the median of so many rounds; raw and ours take turns."""
    noise_events: int
    noise_waits: int
    by_hand_events: int
    resumed: tuple[int, ...]
    completed: int
    """Workflows that are run to their end, publish → completed."""
    latency_seconds: int
    latency_rates: tuple[int, ...]
    variety_events: int
    payload_events: int
    """Events of 256 kB."""
    growth_waits: tuple[int, ...]
    growth_events: int
    audit_rows: int
    """How many audit rows the last step of the growth starts from; 0: none."""
    registered: int
    memory_events: int
    closings_waits: int
    """Open waits, and as many open runs, while others close."""
    closings_a_second: int
    closings_seconds: int
    stream_events: int
    """Events that one run takes of one stream."""


QUICK: Final = Scale(
    name="quick",
    rounds=3,
    noise_events=10_000,
    noise_waits=50_000,
    by_hand_events=500,
    resumed=(500,),
    completed=100,
    latency_seconds=4,
    latency_rates=(20,),
    variety_events=4_000,
    payload_events=150,
    growth_waits=(10_000, 100_000),
    growth_events=5_000,
    audit_rows=0,
    registered=2_000,
    memory_events=50_000,
    closings_waits=50_000,
    closings_a_second=100,
    closings_seconds=10,
    stream_events=500,
)

STANDARD: Final = Scale(
    name="standard",
    rounds=3,
    noise_events=100_000,
    noise_waits=1_000_000,
    by_hand_events=2_000,
    resumed=(2_000, 10_000),
    completed=300,
    latency_seconds=8,
    latency_rates=(20, 200),
    variety_events=10_000,
    payload_events=300,
    growth_waits=(10_000, 100_000, 1_000_000),
    growth_events=20_000,
    audit_rows=0,
    registered=5_000,
    memory_events=200_000,
    closings_waits=1_000_000,
    closings_a_second=100,
    closings_seconds=40,
    stream_events=2000,
)

FULL: Final = Scale(
    name="full",
    rounds=3,
    noise_events=100_000,
    noise_waits=1_000_000,
    by_hand_events=3_000,
    resumed=(2_000, 10_000),
    completed=1_000,
    latency_seconds=30,
    latency_rates=(20, 200),
    variety_events=50_000,
    payload_events=1_000,
    growth_waits=(10_000, 100_000, 1_000_000, 10_000_000),
    growth_events=20_000,
    audit_rows=10_000_000,
    registered=20_000,
    memory_events=1_000_000,
    closings_waits=1_000_000,
    closings_a_second=100,
    closings_seconds=120,
    stream_events=5000,
)

SCALES: Final = {scale.name: scale for scale in (QUICK, STANDARD, FULL)}
