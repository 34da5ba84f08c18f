"""The composition root: the one place where settings become objects and objects meet.

Read `compose` from top to bottom and you have seen how an event travels: source → consumer →
recorder → matcher → dispatcher → Temporal. `worker/running.py` runs what is put together here.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from redis.asyncio import Redis
from temporalio.client import Client

from ingress.backlog import StreamBacklogs
from ingress.dead_letter_desk import DeadLetterDesk
from ingress.dead_letters import RedisDeadLetters
from ingress.expiry_notices import ExpiryNotices
from ingress.redis_connection import connect_redis
from ingress.redis_streams import RedisStreamSource
from ingress.schemas import NO_SCHEMAS, PayloadSchemas, schemas_from_file
from routing.database import Database, open_database
from routing.delivery_store import DeliveryStore
from routing.dispatch import Dispatcher
from routing.gate import Backoff
from routing.launch_store import LaunchStore
from routing.launcher import Launcher, LaunchLimits
from routing.maintenance.leadership import SWEEPING, Lease, following
from routing.matching import Matcher
from routing.reconcile import Reconciler
from routing.retention import Retention
from routing.run_reconcile import RunReconciler
from routing.sweep import Sweeper
from routing.temporal import TemporalSignaller
from routing.temporal_runs import TemporalRun
from routing.temporal_start import TemporalStarter
from routing.waits import Waits
from routing.wakeups import RemoteDispatcher
from worker.activities import WaitActivities
from worker.api.parts import Parts, make_parts
from worker.codecs import Codecs
from worker.consumer import Consumer
from worker.expiry import ExpiryNotice
from worker.observe.observation import Observation
from worker.observe.temporal_check import temporal_check
from worker.outgoing import Outgoing
from worker.recording import Recorder
from worker.room_settings import (
    database_limits,
    dispatch_limits,
    keeping,
    matching,
    rules_of,
    stream_reading,
)
from worker.rules_source import ReloadableRules
from worker.settings import Role, Settings
from worker.streams_read import stream_names
from worker.temporal_worker import connect_lazily


@dataclass(frozen=True, slots=True)
class Service:
    """The assembled parts of one process; which of them run is its roles' business."""

    settings: Settings
    rules: ReloadableRules
    backoff: Backoff
    codecs: Codecs
    database: Database
    source: RedisStreamSource
    consumer: Consumer
    outgoing: Outgoing
    sink: Outgoing | RemoteDispatcher
    activities: WaitActivities
    sweeping: Lease
    following: Lease
    sweeper: Sweeper
    retention: Retention
    reconciler: Reconciler
    run_reconciler: RunReconciler
    api: Parts
    observation: Observation


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every part stands on."""

    settings: Settings
    stack: AsyncExitStack
    """Closes at the end what is opened here."""
    rules: ReloadableRules
    schemas: PayloadSchemas
    backoff: Backoff
    owner: str
    """This process' name on the deliveries that it leases."""
    database: Database
    codecs: Codecs
    temporal: Client
    connect: Callable[[], Redis]
    observation: Observation


@asynccontextmanager
async def compose(settings: Settings) -> AsyncGenerator[Service]:
    """Assemble the service; opens connections lazily and closes them at the end."""
    async with AsyncExitStack() as stack:
        ground = await _ground(settings, stack)
        observation, database = ground.observation, ground.database
        backlogs = _backlogs(ground)
        source = _source(ground, backlogs)
        matcher = Matcher(database, matching(settings, ground.owner))
        outgoing = Outgoing(_dispatcher(ground), _launcher(ground))
        sink = outgoing if Role.DELIVERY in settings.roles else RemoteDispatcher(database)
        runs = TemporalRun(ground.temporal, settings.signal_timeout)
        yield Service(
            settings=settings,
            rules=ground.rules,
            backoff=ground.backoff,
            codecs=ground.codecs,
            database=database,
            source=source,
            consumer=_consumer(ground, source, _recorder(ground, matcher), sink),
            outgoing=outgoing,
            sink=sink,
            activities=WaitActivities(observation.waits(Waits(database)), sink.wake),
            sweeping=_lease(ground, SWEEPING),
            following=_lease(ground, following(settings.temporal_namespace)),
            sweeper=_sweeper(ground),
            retention=Retention(observation.kept(database), keeping(settings)),
            reconciler=Reconciler(observation.reconciled(database), runs),
            run_reconciler=RunReconciler(database, runs),
            api=_api(ground, matcher, sink, backlogs),
            observation=observation,
        )


async def _ground(settings: Settings, stack: AsyncExitStack) -> _Ground:
    url = settings.database_url.get_secret_value()
    database = await stack.enter_async_context(open_database(url, database_limits(settings)))
    observation = Observation(settings)
    stack.push_async_callback(observation.aclose)
    redis_url = settings.redis_url.get_secret_value()
    codecs = Codecs(settings)
    stack.push_async_callback(codecs.aclose)
    return _Ground(
        settings=settings,
        stack=stack,
        rules=ReloadableRules(lambda: rules_of(settings)),
        schemas=schemas_from_file(settings.schemas_file) if settings.schemas_file else NO_SCHEMAS,
        backoff=Backoff(settings.backoff_initial, settings.backoff_maximum),
        # A consumer's name may be configured and outlive the process; a lease must not.
        owner=f"{settings.consumer}/{secrets.token_hex(4)}",
        database=database,
        codecs=codecs,
        temporal=await connect_lazily(settings, codecs),
        connect=partial(connect_redis, redis_url, block=settings.block),
        observation=observation,
    )


def _backlogs(ground: _Ground) -> StreamBacklogs:
    settings = ground.settings
    backlogs = StreamBacklogs(ground.connect, stream_names(settings), settings.group)
    ground.stack.push_async_callback(backlogs.aclose)
    return backlogs


def _source(ground: _Ground, backlogs: StreamBacklogs) -> RedisStreamSource:
    settings, observation = ground.settings, ground.observation
    source = RedisStreamSource(
        stream_reading(settings), ground.connect, sleep=observation.consumer_sleep
    )
    ground.stack.push_async_callback(source.aclose)
    observation.look_at(ground.database, backlogs, source.status, temporal_check(ground.temporal))
    return source


def _dispatcher(ground: _Ground) -> Dispatcher:
    settings, observation = ground.settings, ground.observation
    store = DeliveryStore(ground.database, ground.owner, settings.delivery_lease)
    dispatcher = Dispatcher(
        observation.deliveries(store),
        observation.signaller(TemporalSignaller(ground.temporal, settings.signal_timeout)),
        dispatch_limits(settings, ground.backoff),
    )
    observation.metrics.hold_deliveries_at(lambda: dispatcher.in_memory)
    return dispatcher


def _launcher(ground: _Ground) -> Launcher:
    settings, observation = ground.settings, ground.observation
    return Launcher(
        observation.launches(LaunchStore(ground.database, ground.owner, settings.delivery_lease)),
        observation.starter(TemporalStarter(ground.temporal, settings.signal_timeout)),
        LaunchLimits(concurrency=settings.delivery_concurrency, backoff=ground.backoff),
    )


def _recorder(ground: _Ground, matcher: Matcher) -> Recorder:
    dead_letters = RedisDeadLetters(ground.connect)
    ground.stack.push_async_callback(dead_letters.aclose)
    return Recorder(
        ground.observation.ledger(matcher),
        ground.observation.dead_letters(dead_letters),
        max_deliveries=ground.settings.max_deliveries,
        backoff=ground.backoff,
        sleep=ground.observation.consumer_sleep,
        prepare=matcher.prepared,
    )


def _consumer(
    ground: _Ground,
    source: RedisStreamSource,
    recorder: Recorder,
    sink: Outgoing | RemoteDispatcher,
) -> Consumer:
    settings, observation = ground.settings, ground.observation
    return Consumer(
        observation.source(source),
        recorder,
        observation.sink(sink),
        observation.rules(lambda: ground.rules.current),
        max_entry_bytes=settings.max_entry_bytes,
        grace=settings.shutdown_grace / 2,
        schemas=ground.schemas,
        tenant=settings.stream_tenant,
    )


def _lease(ground: _Ground, duty: str) -> Lease:
    return Lease(ground.database, duty, ground.owner, ground.settings.leader_lease)


def _sweeper(ground: _Ground) -> Sweeper:
    settings = ground.settings
    count = ground.observation.metrics.events_expired
    notice = ExpiryNotice(count)
    if settings.expired_stream is not None:
        notices = ExpiryNotices(ground.connect, settings.expired_stream)
        ground.stack.push_async_callback(notices.aclose)
        notice = ExpiryNotice(count, notices.tell)
    return Sweeper(ground.observation.swept(ground.database), settings.buffer_ttl, notice=notice)


def _api(
    ground: _Ground,
    matcher: Matcher,
    sink: Outgoing | RemoteDispatcher,
    backlogs: StreamBacklogs,
) -> Parts:
    desk = DeadLetterDesk(ground.connect)
    ground.stack.push_async_callback(desk.aclose)
    return make_parts(
        ground.settings,
        ground.database,
        ground.observation.posted(matcher),
        sink,
        lambda: ground.rules.current,
        desk,
        backlogs,
        ground.schemas,
        ground.observation.waits(Waits(ground.database)),
        TemporalRun(ground.temporal, ground.settings.signal_timeout),
    )
