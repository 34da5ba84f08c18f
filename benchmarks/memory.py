"""Resident memory of one process before, during and after many events."""

from __future__ import annotations

import time

from benchmarks.events import noise, publish
from benchmarks.figures import Results
from benchmarks.scale import Scale
from benchmarks.stage import Process, Stage, Stuck

PART = "memory"
WARM = 0.1
"""The share of the events after which everything that is allocated once has been."""
PATIENCE_SECONDS = 600


def measure(stage: Stage, scale: Scale, results: Results) -> None:
    """One process takes all events, part by part; the stream is emptied as it goes."""
    stage.clear_events()
    stream = stage.new_stream()
    parts = 20
    size = scale.memory_events // parts
    sizes: list[float] = []
    with stage.pointsman(stream) as process:
        while not stage.consumers(stream):
            process.check()
            time.sleep(0.01)
        before = process.resident_megabytes()
        for part in range(parts):
            publish(stage.redis, stream, noise(size))
            _until(stage, stream, (part + 1) * size, process)
            stage.redis.xtrim(stream, maxlen=0, approximate=False)
            sizes.append(process.resident_megabytes())
        time.sleep(3)
        after = process.resident_megabytes()
    stage.redis.delete(stream)
    warm = sizes[int(parts * WARM)]
    results.add(PART, "before the first event", before, "MB")
    results.add(PART, f"after {int(scale.memory_events * WARM):,} events", warm, "MB")
    results.add(PART, "most", max(sizes), "MB")
    results.add(PART, f"after {scale.memory_events:,} events", after, "MB")
    results.set_ratio("rss_growth", max(*sizes, after) / warm - 1)


def _until(stage: Stage, stream: str, count: int, process: Process) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while stage.progress(stream).done < count:
        process.check()
        if time.monotonic() > deadline:
            raise Stuck(process.log.read_text()[-2000:])
        time.sleep(0.02)
