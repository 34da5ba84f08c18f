"""From XADD to the acknowledged signal, at a steady rate, beside the signal call alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from temporalio.client import Client

from benchmarks import raw, runs
from benchmarks.events import an_event, fill_waits, wait_key
from benchmarks.figures import Results, percentile
from benchmarks.resume import until_delivered
from benchmarks.scale import Scale
from benchmarks.stage import Stage

PART = "latency"
FIRST = 20_000_000
TARGETS = 100
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


async def measure(stage: Stage, client: Client, scale: Scale, results: Results) -> None:
    """Turn about, at each rate; the ratios are those of the lowest rate."""
    stage.clear_waits()
    numbers = range(FIRST, FIRST + TARGETS)
    fill_waits(stage.database, FIRST, TARGETS)
    await runs.start(client, numbers, runs.NOBODY)
    for rate in scale.latency_rates:
        for _ in range(scale.rounds):
            _add(results, f"raw signal at {rate}/s", await _raw(client, rate, scale))
            _add(results, f"Pointsman at {rate}/s", await _ours(stage, rate, scale))
    lowest = min(scale.latency_rates)
    for share in ("p50", "p99"):
        ours = results.median(PART, f"Pointsman at {lowest}/s, {share}")
        alone = results.median(PART, f"raw signal at {lowest}/s, {share}")
        results.set_ratio(f"latency_{share}_over_raw_ms", ours - alone)


def _add(results: Results, name: str, milliseconds: list[float]) -> None:
    for label, share in SHARES.items():
        results.add(PART, f"{name}, {label}", percentile(milliseconds, share), "ms")


async def _steadily(
    rate: int, seconds: int, act: Callable[[int], Coroutine[Any, Any, None]]
) -> None:
    """Begin an act at each tick, whether or not the earlier ones have ended."""
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(rate * seconds):
            await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
            group.create_task(act(number))


async def _raw(client: Client, rate: int, scale: Scale) -> list[float]:
    taken: list[float] = []

    async def act(number: int) -> None:
        started = time.perf_counter()
        argument = b'{"eventId": "latency-%f"}' % started
        await raw.signal_once(client, runs.workflow_id(FIRST + number % TARGETS), argument)
        taken.append((time.perf_counter() - started) * 1000)

    await _steadily(rate, scale.latency_seconds, act)
    return taken


async def _ours(stage: Stage, rate: int, scale: Scale) -> list[float]:
    """By the clock of the machine: XADD is sent → Pointsman writes back that it is delivered."""
    stage.clear_events()
    stream = stage.new_stream()
    sent: dict[str, float] = {}

    async def act(number: int) -> None:
        target = FIRST + number % TARGETS
        event = an_event(target, wait_key(target))
        sent[event["event_id"]] = time.time()
        # redis-py declares a dictionary of its own unions, which is invariant.
        stage.redis.xadd(stream, event)  # type: ignore[arg-type]

    with stage.pointsman(stream) as process:
        while not stage.consumers(stream):
            process.check()
            await asyncio.sleep(0.01)
        await act(0)  # the first one opens connections
        await asyncio.sleep(0.5)
        sent.clear()
        await _steadily(rate, scale.latency_seconds, act)
        await asyncio.to_thread(until_delivered, stage, len(sent) + 1, process)
    stage.redis.delete(stream)
    rows = stage.database.execute(
        "SELECT event_id, extract(epoch FROM delivered_at) FROM workflow_event_deliveries"
    ).fetchall()
    return [(float(at) - sent[event_id]) * 1000 for event_id, at in rows if event_id in sent]
