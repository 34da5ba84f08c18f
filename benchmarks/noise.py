"""Events that nobody waits for: how many a second, from the stream to committed audit and ack."""

from __future__ import annotations

from benchmarks import raw
from benchmarks.events import fill_waits, noise, publish
from benchmarks.figures import Results
from benchmarks.scale import Scale
from benchmarks.stage import Pace, Stage, consume_all, consumed

PART = "noise"


def measure(stage: Stage, scale: Scale, results: Results) -> None:
    """Raw parts, Pointsman and the hand-written consumer take turns."""
    fill_waits(stage.database, 1, scale.noise_waits)
    for _ in range(scale.rounds):
        _raw(stage, scale, results)
        pace = ours(stage, scale.noise_events)
        results.add(PART, "Pointsman, one process", pace.rate, "events/s")
        results.add(PART, "Pointsman, processor time", _cpu(pace), "µs/event")
        results.add(PART, "by hand", _by_hand(stage, scale).rate, "events/s")
    rate = results.median(PART, "Pointsman, one process")
    results.set_ratio("noise_vs_raw_insert", rate / results.median(PART, "raw insert"))
    results.set_ratio("noise_vs_by_hand", rate / results.median(PART, "by hand"))


def ours(stage: Stage, count: int, *, processes: int = 1) -> Pace:
    """The pace of so many processes at noise."""
    return consume_all(stage, noise(count), count, processes=processes)


def _raw(stage: Stage, scale: Scale, results: Results) -> None:
    stream = stage.new_stream()
    publish(stage.redis, stream, noise(scale.noise_events))
    pace = raw.read_and_acknowledge(stage.redis, stream, scale.noise_events)
    stage.redis.delete(stream)
    results.add(PART, "raw XREADGROUP + json + XACK", pace.rate, "events/s")
    stage.clear_events()
    pace = raw.insert(stage.database, noise(scale.noise_events))
    results.add(PART, "raw insert", pace.rate, "events/s")


def _by_hand(stage: Stage, scale: Scale) -> Pace:
    stream = stage.new_stream()
    publish(stage.redis, stream, noise(scale.by_hand_events))
    with stage.by_hand(stream) as process:
        pace = consumed(stage, stream, scale.by_hand_events, [process])
    stage.redis.delete(stream)
    return pace


def _cpu(pace: Pace) -> float:
    return pace.cpu_seconds / pace.count * 1e6
