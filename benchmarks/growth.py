"""What an event costs as waits and audit rows grow; more processes; registering waits."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import AsyncExitStack

from benchmarks import noise as noise_part
from benchmarks.events import (
    NAMES,
    TENANTS,
    fill_waits,
    name_of,
    noise,
    publish,
    tenant_of,
    wait_key,
)
from benchmarks.figures import Results
from benchmarks.scale import Scale
from benchmarks.stage import Stage, consumed
from correlation.event import EventName, TenantId
from correlation.key import CorrelationKey
from routing.database import DatabaseLimits, open_database
from routing.incoming import WaitId, WorkflowId
from routing.waits import Wait, Waits
from worker.batching import Batcher

PART = "growth"
AT_ONCE = 50
PROCESSES = (1, 2, 4)

FILL_AUDIT = """
INSERT INTO workflow_runtime_events (
    tenant_id, event_id, event_name, outcome, reason, correlation_key, key_source, key_detail,
    rules_version, payload, content_digest, stream, entry_id, occurred_at, received_at,
    available_until
)
SELECT 'tenant-' || n %% %(tenants)s, 'earlier-' || n, 'INVOICE_EVENT_' || n %% %(names)s,
       'no_wait', 'no_open_wait', 'earlier-' || n, 'derived', '*: invoice.id', 'earlier',
       '{"invoice": {"id": "earlier-' || n || '"}}', decode(md5(n::text), 'hex'), 'earlier',
       n || '-0', now(), now() - interval '1 day' + n * interval '1 millisecond',
       now() + interval '6 days'
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""

_serial = itertools.count(1)


def measure(stage: Stage, scale: Scale, results: Results) -> None:
    """A database for each size, so that the sizes take turns."""
    sizes = {count: stage.beside(f"growth_{count}_{next(_serial)}") for count in scale.growth_waits}
    for count, sized in sizes.items():
        fill_waits(sized.database, 1, count)
    for _ in range(scale.rounds):
        for count, sized in sizes.items():
            pace = noise_part.ours(sized, scale.growth_events)
            results.add(PART, f"{count:,} open waits", pace.microseconds, "µs/event")
    for sized in sizes.values():
        sized.close()
    least, most = min(sizes), max(sizes)
    cost = results.median(PART, f"{most:,} open waits")
    ratio = cost / results.median(PART, f"{least:,} open waits")
    results.set_ratio(f"waits_{_short(most)}_vs_{_short(least)}_cost", ratio)
    if scale.audit_rows:
        _with_audit(stage, scale, results)
    _more_processes(stage, scale, results)


def _short(count: int) -> str:
    return f"{count // 1_000_000}m" if count >= 1_000_000 else f"{count // 1_000}k"


def _with_audit(stage: Stage, scale: Scale, results: Results) -> None:
    """The same, on top of millions of audit rows (which cannot be cleared away between rounds)."""
    sized = stage.beside(f"growth_audit_{next(_serial)}")
    fill_waits(sized.database, 1, 10_000)
    step = 1_000_000
    for first in range(1, scale.audit_rows + 1, step):
        terms = {"tenants": TENANTS, "names": NAMES, "first": first, "last": first + step - 1}
        sized.database.execute(FILL_AUDIT, terms)
    sized.database.execute("VACUUM ANALYZE workflow_runtime_events")
    for _ in range(scale.rounds):
        stream = sized.new_stream()
        publish(sized.redis, stream, noise(scale.growth_events))
        with sized.pointsman(stream) as process:
            pace = consumed(sized, stream, scale.growth_events, [process])
        sized.redis.delete(stream)
        name = f"10,000 open waits, {scale.audit_rows:,} audit rows"
        results.add(PART, name, pace.microseconds, "µs/event")
    sized.close()


def _more_processes(stage: Stage, scale: Scale, results: Results) -> None:
    for _ in range(scale.rounds):
        for processes in PROCESSES:
            pace = noise_part.ours(stage, scale.growth_events * 2, processes=processes)
            name = f"{processes} consumer process{'es' if processes > 1 else ''}"
            results.add(PART, name, pace.rate, "events/s")


async def registering(stage: Stage, scale: Scale, results: Results) -> None:
    """Waits registered by fifty callers at once, as the activity does it, but without Temporal."""
    async with open_database(stage.database_url, DatabaseLimits()) as database:
        batcher = Batcher(Waits(database).register)
        for _ in range(scale.rounds):
            rate = await _register(batcher, scale.registered)
            results.add(PART, "waits registered, no events", rate, "waits/s")
            async with AsyncExitStack() as stack:
                stage.clear_events()
                stream = stage.new_stream()
                count = scale.growth_events * 5
                await asyncio.to_thread(publish, stage.redis, stream, noise(count))
                process = stack.enter_context(stage.pointsman(stream))
                while stage.progress(stream).done == 0:
                    process.check()
                    await asyncio.sleep(0.01)
                rate = await _register(batcher, scale.registered)
                results.add(PART, "waits registered, under event load", rate, "waits/s")
            stage.redis.delete(stream)


async def _register(batcher: Batcher[Wait, object], count: int) -> float:
    waiting = iter(range(count))

    async def register() -> None:
        for _ in waiting:
            await batcher.call(_a_wait(next(_serial)))

    started = time.perf_counter()
    await asyncio.gather(*(register() for _ in range(AT_ONCE)))
    return count / (time.perf_counter() - started)


def _a_wait(number: int) -> Wait:
    return Wait(
        tenant=TenantId(tenant_of(number)),
        wait_id=WaitId(f"registered-{number}"),
        event_name=EventName(name_of(number)),
        correlation_key=CorrelationKey(f"registered-{wait_key(number)}"),
        workflow_id=WorkflowId(f"workflow-{number}"),
        run_id=None,
        signal_name="pointsman.event",
    )
