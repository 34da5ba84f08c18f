"""What every part of a process stands on, whatever its roles."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from redis.asyncio import Redis

from ingress.redis_connection import connect_redis
from ingress.schemas import NO_SCHEMAS, PayloadSchemas, schemas_from_file
from routing.database import Database, open_database
from routing.gate import Backoff
from worker.codecs import Codecs
from worker.observe.observation import Observation
from worker.room_settings import database_limits, rules_of
from worker.rules_source import ReloadableRules
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Ground:
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
    connect: Callable[[], Redis]
    observation: Observation


async def open_ground(settings: Settings, stack: AsyncExitStack) -> Ground:
    """Open it; the stack closes it. Connections are made with the first call."""
    url = settings.database_url.get_secret_value()
    database = await stack.enter_async_context(open_database(url, database_limits(settings)))
    observation = Observation(settings)
    stack.push_async_callback(observation.aclose)
    redis_url = settings.redis_url.get_secret_value()
    codecs = Codecs(settings)
    stack.push_async_callback(codecs.aclose)
    return Ground(
        settings=settings,
        stack=stack,
        rules=ReloadableRules(lambda: rules_of(settings)),
        schemas=schemas_from_file(settings.schemas_file) if settings.schemas_file else NO_SCHEMAS,
        backoff=Backoff(settings.backoff_initial, settings.backoff_maximum),
        # A consumer's name may be configured and outlive the process; a lease must not.
        owner=f"{settings.consumer}/{secrets.token_hex(4)}",
        database=database,
        codecs=codecs,
        connect=partial(connect_redis, redis_url, block=settings.block),
        observation=observation,
    )
