"""The composition root: the one place where settings become objects and objects meet.

Read `compose` from top to bottom and you have seen how an event travels: source → consumer →
recorder → matcher → dispatcher → Temporal. `worker/running.py` runs what is put together here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeAlias

from ingress.backlog import StreamBacklogs
from ingress.dead_letters import RedisDeadLetters
from ingress.redis_streams import RedisStreamSource
from routing.database import Database
from routing.gate import Backoff
from routing.matching import Matcher
from routing.wakeups import RemoteDispatcher
from worker.bounded.budgets import work_limits
from worker.bounded.judge import Judge
from worker.bounded.workers import Workers
from worker.codecs import Codecs
from worker.consumer import Consumer
from worker.crossing import CrossingSink
from worker.ground import Ground, open_ground
from worker.observe.observation import Observation
from worker.recording import Recorder
from worker.room_settings import keeping, matching, stream_age, stream_reading
from worker.rules_source import ReloadableRules
from worker.settings import Role, Settings
from worker.streams_read import stream_names

if TYPE_CHECKING:  # imported by the roles that need it: a consumer starts in a third of the time
    from fastapi import FastAPI

    from ingress.stream_retention import StreamRetention
    from routing.maintenance.leadership import Lease
    from routing.retention import Retention
    from routing.sweep import Sweeper
    from worker.activities import WaitActivities
    from worker.following import Follower
    from worker.outgoing import Outgoing
    from worker.temporal_parts import TemporalParts

OpenApp: TypeAlias = "Callable[[], AbstractAsyncContextManager[FastAPI]]"
TALK_TO_TEMPORAL: Final = frozenset({Role.DELIVERY, Role.WORKER, Role.SWEEPER})


@dataclass(frozen=True, slots=True)
class Sweeping:
    """The loops of the role `sweeper`."""

    sweeping: Lease
    following: Mapping[str, Lease]
    """For each namespace that is served."""
    sweeper: Sweeper
    retention: Retention
    follower: Callable[[str, Callable[[], None]], Follower]
    """What follows the runs of a namespace; it is given how to wake delivery."""
    stream_retention: StreamRetention | None
    """None: the streams are never trimmed."""


@dataclass(frozen=True, slots=True)
class Service:
    """The assembled parts of one process; None where none of its roles needs the part."""

    settings: Settings
    rules: ReloadableRules
    backoff: Backoff
    codecs: Codecs
    database: Database
    source: RedisStreamSource
    consumer: Consumer | None
    outgoing: Outgoing | None
    sink: Outgoing | RemoteDispatcher
    activities: WaitActivities | None
    sweeping: Sweeping | None
    api: OpenApp | None
    """Opens the API in the loop of its own thread."""
    observation: Observation


@asynccontextmanager
async def compose(settings: Settings) -> AsyncGenerator[Service]:
    """Assemble the service; opens connections lazily and closes them at the end."""
    roles = settings.roles
    _load(roles)
    async with AsyncExitStack() as stack:
        ground = await open_ground(settings, stack)
        temporal = await _temporal(ground)
        backlogs = _backlogs(ground)
        source = _source(ground, backlogs, temporal)
        judge = Judge(_workers(ground))
        matcher = Matcher(ground.database, matching(settings, ground.owner), judge)
        outgoing = temporal.outgoing() if temporal and Role.DELIVERY in roles else None
        sink = outgoing or RemoteDispatcher(ground.database)
        consumes = Role.CONSUMER in roles
        yield Service(
            settings=settings,
            rules=ground.rules,
            backoff=ground.backoff,
            codecs=ground.codecs,
            database=ground.database,
            source=source,
            consumer=_consumer(ground, source, matcher, sink, judge) if consumes else None,
            outgoing=outgoing,
            sink=sink,
            activities=_activities(ground, temporal, sink.wake)
            if temporal and Role.WORKER in roles
            else None,
            sweeping=_sweeping(ground, temporal) if temporal and Role.SWEEPER in roles else None,
            api=_api(ground, sink) if Role.API in roles else None,
            observation=ground.observation,
        )


def _load(roles: Collection[Role]) -> None:
    """Import what is large while nothing is connected yet: it takes seconds, and no loop turns."""
    if Role.API in roles:
        for module in ("worker.api.opening", "worker.api.serving"):
            import_module(module)


async def _temporal(ground: Ground) -> TemporalParts | None:
    if not ground.settings.roles & TALK_TO_TEMPORAL:
        return None
    from worker.temporal_parts import open_temporal

    return await open_temporal(ground)


def _backlogs(ground: Ground) -> StreamBacklogs:
    settings = ground.settings
    backlogs = StreamBacklogs(ground.connect, stream_names(settings), settings.group)
    ground.stack.push_async_callback(backlogs.aclose)
    return backlogs


def _source(
    ground: Ground, backlogs: StreamBacklogs, temporal: TemporalParts | None
) -> RedisStreamSource:
    settings, observation = ground.settings, ground.observation
    source = RedisStreamSource(
        stream_reading(settings), ground.connect, sleep=observation.consumer_sleep
    )
    ground.stack.push_async_callback(source.aclose)
    check = temporal.check() if temporal else None
    observation.look_at(ground.database, backlogs, source.status, check)
    return source


def _recorder(ground: Ground, matcher: Matcher) -> Recorder:
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
    ground: Ground,
    source: RedisStreamSource,
    matcher: Matcher,
    sink: Outgoing | RemoteDispatcher,
    judge: Judge,
) -> Consumer:
    settings, observation = ground.settings, ground.observation
    return Consumer(
        observation.source(source),
        _recorder(ground, matcher),
        observation.sink(sink),
        observation.rules(lambda: ground.rules.current),
        max_entry_bytes=settings.max_entry_bytes,
        grace=settings.shutdown_grace / 2,
        schemas=ground.schemas,
        tenant=settings.stream_tenant,
        judge=judge,
    )


def _workers(ground: Ground) -> Workers:
    workers = Workers(work_limits(ground.settings))
    ground.stack.push_async_callback(workers.aclose)
    return workers


def _activities(
    ground: Ground, temporal: TemporalParts, wake: Callable[[], None]
) -> WaitActivities:
    from routing.quotas import OpenWaitQuota
    from worker.activities import WaitActivities

    quota = OpenWaitQuota(ground.database, ground.settings.quota_open_waits)
    return WaitActivities(
        ground.observation.waits(temporal.waits), wake, quota, ground.settings.ownership_terms
    )


def _sweeping(ground: Ground, temporal: TemporalParts) -> Sweeping:
    from routing.maintenance.leadership import SWEEPING, following
    from routing.retention import Retention
    from worker.following import open_follower

    database, observation = ground.database, ground.observation
    return Sweeping(
        sweeping=_lease(ground, SWEEPING),
        following={name: _lease(ground, following(name)) for name in temporal.clients},
        sweeper=_sweeper(ground),
        retention=Retention(observation.kept(database), keeping(ground.settings)),
        follower=partial(open_follower, ground, temporal),
        stream_retention=_stream_retention(ground),
    )


def _lease(ground: Ground, duty: str) -> Lease:
    from routing.maintenance.leadership import Lease

    return Lease(ground.database, duty, ground.owner, ground.settings.leader_lease)


def _stream_retention(ground: Ground) -> StreamRetention | None:
    from ingress.stream_retention import StreamRetention

    age = stream_age(ground.settings)
    if age is None:
        return None
    retention = StreamRetention(ground.connect, stream_names(ground.settings), age)
    ground.stack.push_async_callback(retention.aclose)
    return retention


def _sweeper(ground: Ground) -> Sweeper:
    from ingress.expiry_notices import ExpiryNotices
    from routing.sweep import Sweeper
    from worker.expiry import ExpiryNotice

    settings = ground.settings
    count = ground.observation.metrics.events_expired
    notice = ExpiryNotice(count)
    if settings.expired_stream is not None:
        notices = ExpiryNotices(ground.connect, settings.expired_stream)
        ground.stack.push_async_callback(notices.aclose)
        notice = ExpiryNotice(count, notices.tell)
    return Sweeper(ground.observation.swept(ground.database), settings.buffer_ttl, notice=notice)


def _api(ground: Ground, sink: Outgoing | RemoteDispatcher) -> OpenApp:
    from worker.api.opening import open_app

    return partial(open_app, ground, CrossingSink(sink))
