"""Loads of other shapes: mixed, one hot key, fan-out, several keys, payloads of three sizes."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from typing import Final

from temporalio.client import Client

from benchmarks import runs
from benchmarks.events import Fields, an_event, fill_waits, noise, publish, waited_for
from benchmarks.figures import Results
from benchmarks.resume import seconds_of_delivery, until_delivered
from benchmarks.scale import Scale
from benchmarks.stage import Stage, consume_all

PART = "variety"
FIRST: Final = 30_000_000
FAN_OUT: Final = 1_000
SEVERAL_KEYS: Final = json.dumps({"*": ["$.lines[*].invoiceId"]})
_draw = random.Random(11)


async def prepare(stage: Stage, client: Client, scale: Scale) -> None:
    """The workflows that these loads wake, and their waits."""
    targets = range(FIRST, FIRST + scale.variety_events // 10)
    stage.clear_waits()
    fill_waits(stage.database, FIRST, len(targets))
    await runs.start(client, targets, runs.NOBODY)
    await runs.start(client, range(FIRST * 2, FIRST * 2 + FAN_OUT), runs.NOBODY)


def measure(stage: Stage, scale: Scale, results: Results) -> None:
    """All shapes in each round."""
    count = scale.variety_events
    for _ in range(scale.rounds):
        results.add(PART, "90 % noise", _mixed(stage, count), "events/s")
        uniform = consume_all(stage, noise(count), count, processes=2)
        results.add(PART, "uniform keys, two processes", uniform.rate, "events/s")
        hot = consume_all(stage, _half_on_one_key(count), count, processes=2)
        results.add(PART, "half on one key, two processes", hot.rate, "events/s")
        several = consume_all(stage, _several_keys(count), count, rules=SEVERAL_KEYS)
        results.add(PART, "eight keys per event", several.rate, "events/s")
        for kilobytes, share in ((0.5, 1), (8, 2), (256, 0)):
            entries = count // share if share else scale.payload_events
            sized = noise(entries, size=int(kilobytes * 1024))
            pace = consume_all(stage, sized, entries)
            results.add(PART, f"payloads of {kilobytes} kB", pace.rate, "events/s")
        results.add(PART, "one event, 1,000 waits", _fan_out(stage), "signals/s")
    results.set_ratio(
        "hot_key_vs_uniform",
        results.median(PART, "half on one key, two processes")
        / results.median(PART, "uniform keys, two processes"),
    )


def _mixed(stage: Stage, count: int) -> float:
    """Events a second until all are recorded and all signals have arrived."""
    stage.clear_events()
    stream = stage.new_stream()
    waking = count // 10
    each_tenth = itertools.islice(
        itertools.chain.from_iterable(
            (next(wanted), *itertools.islice(others, 9))
            for wanted, others in [(waited_for(range(FIRST, FIRST + waking)), noise(count))]
            for _ in range(waking)
        ),
        count,
    )
    publish(stage.redis, stream, each_tenth)
    with stage.pointsman(stream) as process:
        until_delivered(stage, waking, process)
    stage.redis.delete(stream)
    return count / seconds_of_delivery(stage)


def _half_on_one_key(count: int) -> Iterator[Fields]:
    """Nobody waits for the hot key: what it costs is the locks and the look-up."""
    for number in range(count):
        if number % 2:
            yield an_event(7, "hot")
        else:
            yield an_event(number, f"cold-{_draw.getrandbits(48)}")


def _several_keys(count: int) -> Iterator[Fields]:
    for number in range(count):
        yield an_event(number, "-", keys=[f"line-{_draw.getrandbits(48)}" for _ in range(8)])


def _fan_out(stage: Stage) -> float:
    stage.clear_events()
    stage.database.execute("DELETE FROM workflow_run_waits WHERE correlation_key = 'fan-out'")
    fill_waits(stage.database, FIRST * 2, FAN_OUT)
    stage.database.execute(
        "UPDATE workflow_run_waits SET tenant_id = 'tenant-1', event_name = 'INVOICE_EVENT_1',"
        " correlation_key = 'fan-out' WHERE wait_id >= %s",
        [f"wait-{FIRST * 2:09d}"],
    )
    stream = stage.new_stream()
    publish(stage.redis, stream, iter([an_event(1, "fan-out")]))
    with stage.pointsman(stream) as process:
        until_delivered(stage, FAN_OUT, process)
    stage.redis.delete(stream)
    return FAN_OUT / seconds_of_delivery(stage)
