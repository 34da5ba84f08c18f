"""Running the roles of a process: waiting for the database, the loops, and the way out."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Coroutine
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from routing.faults import DatabaseUnavailable
from routing.wakeups import listen
from worker.cancelling import cancel
from worker.composition import OpenApp, Service, compose
from worker.loop_thread import run_in_thread
from worker.observe.heartbeat import turn
from worker.rules_source import Kept, ReloadableRules, Reloaded
from worker.settings import Settings

if TYPE_CHECKING:  # imported on use, by the roles that need it
    from worker.activities import WaitActivities

log = structlog.get_logger(__name__)

SWITCH_INTERVAL: Final = 0.001
"""Seconds after which a thread that computes gives way; a loop pays it for each of its turns."""
TIME_TO_CLOSE: Final = timedelta(seconds=1)
"""For the API's connections, after its requests are ended."""


async def run(settings: Settings) -> None:
    """Run the roles of this process until SIGTERM or SIGINT; finishes what is in hand.

    Raises SchemaMismatch when the database is not migrated. A server that is missing is waited
    for, at the start as later.
    """
    stopping = asyncio.Event()
    sys.setswitchinterval(SWITCH_INTERVAL)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with compose(settings) as service:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _reload, service.rules)
        async with service.observation.shown(stopping):
            if await _schema_is_ready(service, stopping):
                _collect_rarely()
                await run_roles(service, stopping)
    log.info("service.stopped")


def _collect_rarely() -> None:
    """Look for reference cycles rarely, and never among what lives as long as the program.

    Events are free of cycles. By Python's own thresholds the search begins every fifty events or
    so, and took a seventh of the processor time that an event costs (see docs/performance.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def run_roles(service: Service, stopping: asyncio.Event) -> None:
    """Run until `stopping` is set, then drain: stop reading, finish, deliver, leave."""
    service.observation.serving = True
    log.info(
        "service.started", roles=sorted(service.settings.roles), consumer=service.settings.consumer
    )
    async with asyncio.TaskGroup() as group:
        background = [group.create_task(loop) for loop in _background(service)]
        async with asyncio.TaskGroup() as foreground:
            if service.consumer is not None:
                foreground.create_task(service.consumer.run(stopping))
            if service.activities is not None:
                foreground.create_task(_serve_activities(service, service.activities, stopping))
            if service.api is not None:
                foreground.create_task(_serve_api(service, service.api, stopping))
            foreground.create_task(_until_set(stopping))
        if service.outgoing is not None:
            await service.outgoing.drain(service.settings.shutdown_grace / 2)
        await cancel(background)


async def _serve_activities(
    service: Service, served: WaitActivities, stopping: asyncio.Event
) -> None:
    from worker.temporal_worker import serve_activities

    activities = served.all
    come_by = service.observation.worker.beat
    settings, codecs, backoff = service.settings, service.codecs, service.backoff
    async with asyncio.TaskGroup() as group:
        for namespace in settings.temporal_namespaces:
            group.create_task(
                serve_activities(
                    settings, codecs, activities, stopping, backoff, come_by, namespace
                )
            )


async def _serve_api(service: Service, opened: OpenApp, stopping: asyncio.Event) -> None:
    """Serve the API in a loop of its own: a request that stalls it delays no matching."""
    # Imported on use: processes without this role need no web framework.
    from worker.api.serving import serve_api

    observation = service.observation

    async def serve(stop: asyncio.Event) -> None:
        turning = asyncio.create_task(turn(observation.api_loop))
        try:
            async with opened() as app:
                come_by = observation.api.beat
                await serve_api(app, service.settings, stop, service.backoff, come_by)
        finally:
            await cancel([turning])

    within = service.settings.shutdown_grace / 2 + TIME_TO_CLOSE
    await run_in_thread("api", serve, stopping, within=within)


def _background(service: Service) -> list[Coroutine[Any, Any, None]]:
    settings, wake = service.settings, service.sink.wake
    loops: list[Coroutine[Any, Any, None]] = [service.sink.run()]
    if service.outgoing is not None:
        url = settings.database_url.get_secret_value()
        come_by = service.observation.listener.beat
        loops.append(listen(url, service.outgoing.wake, service.backoff, come_by))
    if service.sweeping is not None:
        from worker.duties import duties

        loops += duties(service.sweeping, wake, settings, service.observation)
    return loops


async def _schema_is_ready(service: Service, stopping: asyncio.Event) -> bool:
    """Wait for the database and check its schema; False when told to stop before."""
    failures = 0
    while not stopping.is_set():
        try:
            await service.database.verify_schema()
        except DatabaseUnavailable as error:
            if failures == 0:
                log.warning("postgres.awaited", error=str(error))
            pause = service.backoff.delay(failures).total_seconds()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause)
            failures += 1
        else:
            return True
    return False


def _reload(rules: ReloadableRules) -> None:
    """Read the rules again (SIGHUP); a bad file changes nothing."""
    match rules.reload():
        case Reloaded(new, changed):
            log.info("rules.reloaded", version=new.version, changed=changed)
        case Kept(old, error):
            log.error("rules.kept", version=old.version, error=str(error))


async def _until_set(event: asyncio.Event) -> None:
    await event.wait()
