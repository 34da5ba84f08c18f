"""The composition root: the one place where settings become objects and objects meet.

`run(settings)` is the program. Read `compose` from top to bottom and you have seen how an event
travels: source → consumer → recorder → matcher → dispatcher → Temporal.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from correlation.rules import Rules
from ingress.dead_letters import RedisDeadLetters
from ingress.entry import StreamName
from ingress.redis_connection import connect_redis
from ingress.redis_streams import RedisStreamSource, StreamReading
from routing.database import Database, DatabaseLimits, open_database
from routing.delivery_store import DeliveryStore
from routing.dispatch import Dispatcher, DispatchLimits
from routing.faults import DatabaseUnavailable
from routing.gate import Backoff
from routing.matching import Matcher, Matching
from routing.reconcile import Reconciler
from routing.sweep import Sweeper
from routing.temporal import TemporalSignaller
from routing.waits import Waits
from routing.wakeups import RemoteDispatcher, listen
from worker.activities import WaitActivities
from worker.consumer import Consumer
from worker.recording import Recorder
from worker.rules_source import Kept, ReloadableRules, Reloaded, rules_from_file, rules_from_text
from worker.settings import Role, Settings
from worker.sweeping import reconcile_for_ever, sweep_for_ever
from worker.temporal_worker import TemporalRuns, connect_lazily, serve_activities

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """The assembled parts of one process; which of them run is its roles' business."""

    settings: Settings
    rules: ReloadableRules
    backoff: Backoff
    database: Database
    source: RedisStreamSource
    consumer: Consumer
    dispatcher: Dispatcher
    sink: Dispatcher | RemoteDispatcher
    activities: WaitActivities
    sweeper: Sweeper
    reconciler: Reconciler


@asynccontextmanager
async def compose(settings: Settings) -> AsyncGenerator[Service]:
    """Assemble the service; opens connections lazily and closes them at the end."""
    rules = ReloadableRules(lambda: _rules(settings))
    # A consumer's name may be configured and outlive the process; a lease must not.
    owner = f"{settings.consumer}/{secrets.token_hex(4)}"
    backoff = Backoff(settings.backoff_initial, settings.backoff_maximum)
    redis_url = settings.redis_url.get_secret_value()
    connect = partial(connect_redis, redis_url, block=settings.block)
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(settings.database_url.get_secret_value(), _database_limits(settings))
        )
        temporal = await connect_lazily(settings)
        source = RedisStreamSource(_stream_reading(settings), connect)
        stack.push_async_callback(source.aclose)
        dead_letters = RedisDeadLetters(connect)
        stack.push_async_callback(dead_letters.aclose)
        dispatcher = Dispatcher(
            DeliveryStore(database, owner, settings.delivery_lease),
            TemporalSignaller(temporal, settings.signal_timeout),
            _dispatch_limits(settings, backoff),
        )
        sink = dispatcher if Role.DELIVERY in settings.roles else RemoteDispatcher(database)
        recorder = Recorder(
            Matcher(database, _matching(settings, owner)),
            dead_letters,
            max_deliveries=settings.max_deliveries,
            backoff=backoff,
        )
        yield Service(
            settings=settings,
            rules=rules,
            backoff=backoff,
            database=database,
            source=source,
            consumer=Consumer(
                source,
                recorder,
                sink,
                lambda: rules.current,
                max_entry_bytes=settings.max_entry_bytes,
            ),
            dispatcher=dispatcher,
            sink=sink,
            activities=WaitActivities(Waits(database), sink.wake),
            sweeper=Sweeper(database, settings.buffer_ttl),
            reconciler=Reconciler(database, TemporalRuns(temporal, settings.signal_timeout)),
        )


async def run(settings: Settings) -> None:
    """Run the roles of this process until SIGTERM or SIGINT; finishes what is in hand.

    Raises SchemaMismatch when the database is not migrated. A server that is missing is waited
    for, at the start as later.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with compose(settings) as service:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _reload, service.rules)
        if await _schema_is_ready(service, stopping):
            await run_roles(service, stopping)
    log.info("service.stopped")


async def run_roles(service: Service, stopping: asyncio.Event) -> None:
    """Run until `stopping` is set, then drain: stop reading, finish, deliver, leave."""
    roles = service.settings.roles
    log.info("service.started", roles=sorted(roles), consumer=service.settings.consumer)
    async with asyncio.TaskGroup() as group:
        background = [group.create_task(loop) for loop in _background(service)]
        async with asyncio.TaskGroup() as foreground:
            if Role.CONSUMER in roles:
                foreground.create_task(service.consumer.run(stopping))
            if Role.WORKER in roles:
                activities = service.activities
                foreground.create_task(
                    serve_activities(
                        service.settings,
                        [activities.register_wait, activities.close_wait],
                        stopping,
                        service.backoff,
                    )
                )
            foreground.create_task(_until_set(stopping))
        if Role.DELIVERY in roles:
            await service.dispatcher.drain(service.settings.shutdown_grace / 2)
        for task in background:
            task.cancel()


def _background(service: Service) -> list[Coroutine[Any, Any, None]]:
    settings, wake = service.settings, service.sink.wake
    loops: list[Coroutine[Any, Any, None]] = [service.sink.run()]
    if Role.DELIVERY in settings.roles:
        url = settings.database_url.get_secret_value()
        loops.append(listen(url, service.dispatcher.wake, service.backoff))
    if Role.SWEEPER in settings.roles:
        loops.append(sweep_for_ever(service.sweeper, wake, settings.sweep_period))
        loops.append(
            reconcile_for_ever(
                service.reconciler, wake, timedelta(seconds=1), settings.reconcile_period
            )
        )
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


def _rules(settings: Settings) -> Rules:
    if settings.rules_file is not None:
        return rules_from_file(settings.rules_file)
    return rules_from_text(settings.correlation_paths_json or "")


async def _until_set(event: asyncio.Event) -> None:
    await event.wait()


def _database_limits(settings: Settings) -> DatabaseLimits:
    return DatabaseLimits(
        connections=settings.database_pool_size,
        statement_timeout=settings.statement_timeout,
        lock_timeout=settings.lock_timeout,
    )


def _stream_reading(settings: Settings) -> StreamReading:
    return StreamReading(
        streams=[StreamName(name) for name in settings.stream],
        group=settings.group,
        consumer=settings.consumer,
        count=settings.batch_count,
        max_bytes=settings.batch_bytes,
        block=settings.block,
        claim_idle=settings.claim_idle,
        claim_period=settings.claim_period,
    )


def _matching(settings: Settings, owner: str) -> Matching:
    return Matching(
        owner,
        delivers=Role.DELIVERY in settings.roles,
        lease=settings.delivery_lease,
        buffer_ttl=settings.buffer_ttl,
    )


def _dispatch_limits(settings: Settings, backoff: Backoff) -> DispatchLimits:
    return DispatchLimits(
        concurrency=settings.delivery_concurrency,
        run_not_found_grace=settings.run_not_found_grace,
        send_margin=settings.signal_timeout * 2,
        backoff=backoff,
    )
