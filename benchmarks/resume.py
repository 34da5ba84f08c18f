"""Events that each wake one workflow: signals a second, and event → workflow ended."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from itertools import cycle, islice

from temporalio.client import Client

from benchmarks import raw, runs
from benchmarks.events import fill_waits, publish, waited_for
from benchmarks.figures import Results
from benchmarks.scale import Scale
from benchmarks.stage import Process, Stage, Stuck

PART = "resume"
RAW, OURS = "raw signals", "Pointsman"
CONCURRENCY = 50
"""Pointsman's own default."""
_fresh = itertools.count(10_000_000)


async def measure(stage: Stage, client: Client, scale: Scale, results: Results) -> None:
    """Both signal the same workflows, with the same number of calls in flight."""
    most = max(scale.resumed)
    stage.clear_waits()
    fill_waits(stage.database, 1, most)
    await runs.start(client, range(1, most + 1), runs.NOBODY)
    for count in scale.resumed:
        numbers = range(1, count + 1)
        # Each signal makes the next one to its workflow dearer: the two go first in turn.
        for who in islice(cycle([RAW, OURS, OURS, RAW]), 2 * scale.rounds):
            if who == RAW:
                pace = await raw_signals(client, numbers)
            else:
                pace = await asyncio.to_thread(pointsman_signals, stage, numbers)
            results.add(PART, f"{who}, {count:,} workflows", pace, "signals/s")
    results.set_ratio(
        "resume_vs_raw_signal",
        results.median(PART, f"{OURS}, {most:,} workflows")
        / results.median(PART, f"{RAW}, {most:,} workflows"),
    )
    await _to_the_end(stage, client, scale, results)


async def raw_signals(client: Client, numbers: Sequence[int]) -> float:
    """Signals a second, nothing but the calls."""
    ids = [runs.workflow_id(number) for number in numbers]
    argument = b'{"eventId": "raw-%d", "payload": {"note": "%s"}}'
    arguments = [argument % (next(_fresh), b"x" * 700) for _ in ids]
    return (await raw.signal_all(client, ids, arguments, CONCURRENCY)).rate


def pointsman_signals(stage: Stage, numbers: Sequence[int]) -> float:
    """Signals a second: from the first match to the last delivery that is written back."""
    stage.clear_events()
    stream = stage.new_stream()
    publish(stage.redis, stream, waited_for(numbers))
    with stage.pointsman(stream) as process:
        until_delivered(stage, len(numbers), process)
    stage.redis.delete(stream)
    return len(numbers) / seconds_of_delivery(stage)


def until_delivered(stage: Stage, count: int, process: Process) -> None:
    """Wait until so many deliveries have arrived."""
    deadline = time.monotonic() + 300
    while stage.count("workflow_event_deliveries", "status = 'delivered'") < count:
        process.check()
        if time.monotonic() > deadline:
            raise Stuck(process.log.read_text()[-2000:])
        time.sleep(0.2)


def seconds_of_delivery(stage: Stage) -> float:
    """By Postgres' clock, from the first match to the last delivery that is written back."""
    row = stage.database.execute(
        "SELECT extract(epoch FROM max(delivered_at) - min(created_at))"
        " FROM workflow_event_deliveries"
    ).fetchone()
    assert row is not None
    return float(row[0])


async def _to_the_end(stage: Stage, client: Client, scale: Scale, results: Results) -> None:
    """Signal (or publish) until the workflows' code has ended, with one worker beside."""
    count = scale.completed
    async with runs.worker(client):
        for _ in range(scale.rounds):
            numbers = [next(_fresh) for _ in range(count)]
            await _started(client, numbers)
            started = time.perf_counter()
            await raw_signals(client, numbers)
            await runs.finished(count)
            rate = count / (runs.Finished.last - started)
            results.add(PART, "raw signal → completed", rate, "workflows/s")
            numbers = [next(_fresh) for _ in range(count)]
            await _started(client, numbers)
            rate = await _published_to_completed(stage, numbers)
            results.add(PART, "Pointsman publish → completed", rate, "workflows/s")


async def _started(client: Client, numbers: Sequence[int]) -> None:
    runs.Finished.count = 0
    await runs.start(client, numbers, runs.SOMEBODY)
    await asyncio.sleep(1)  # their first workflow tasks are none of what is measured


async def _published_to_completed(stage: Stage, numbers: Sequence[int]) -> float:
    stage.clear_events()
    stage.clear_waits()
    fill_waits(stage.database, numbers[0], numbers[-1] - numbers[0] + 1)
    stream = stage.new_stream()
    with stage.pointsman(stream) as process:
        while not stage.consumers(stream):
            process.check()
            await asyncio.sleep(0.01)
        started = time.perf_counter()
        await asyncio.to_thread(publish, stage.redis, stream, waited_for(numbers))
        await runs.finished(len(numbers))
    stage.redis.delete(stream)
    return len(numbers) / (runs.Finished.last - started)
