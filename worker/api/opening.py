"""The API, on connections of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from fastapi import FastAPI

from ingress.backlog import StreamBacklogs
from ingress.dead_letter_desk import DeadLetterDesk
from routing.database import Database, open_database
from routing.matching import Matcher
from worker.api.app import create_app
from worker.api.parts import DeliverySink, make_parts
from worker.bounded.budgets import work_limits
from worker.bounded.judge import Judge
from worker.bounded.workers import Workers
from worker.codecs import Codecs
from worker.ground import Ground
from worker.room_settings import database_limits, matching
from worker.streams_read import stream_names
from worker.temporal_parts import open_temporal

TOKEN_CONNECTIONS = 2
"""Connections over which tokens are looked up, whatever else the API waits for."""


@asynccontextmanager
async def open_app(process: Ground, sink: DeliverySink) -> AsyncGenerator[FastAPI]:
    """Open it in the running loop, which answers the requests, and close it at the end.

    Only what is of no loop is shared with the rest of the process: settings, rules, metrics.
    Raises CodecUnusable.
    """
    settings = process.settings
    async with AsyncExitStack() as stack:
        codecs = Codecs(settings)
        stack.push_async_callback(codecs.aclose)
        database = await _database(process, stack, settings.http_database_pool_size)
        ground = replace(process, stack=stack, database=database, codecs=codecs)
        temporal = await open_temporal(ground)
        backlogs = StreamBacklogs(ground.connect, stream_names(settings), settings.group)
        stack.push_async_callback(backlogs.aclose)
        desk = DeadLetterDesk(ground.connect)
        stack.push_async_callback(desk.aclose)
        # Workers of their own: what requests ask for keeps no entry of the stream waiting.
        workers = Workers(work_limits(settings))
        stack.push_async_callback(workers.aclose)
        matcher = Matcher(database, matching(settings, ground.owner), Judge(workers))
        parts = make_parts(
            settings,
            database,
            ground.observation.posted(matcher),
            sink,
            lambda: ground.rules.current,
            desk,
            backlogs,
            ground.schemas,
            ground.observation.waits(temporal.waits),
            temporal.runs,
            temporal.tasks,
            temporal.waits.retire_gone,
            workers,
            await _database(process, stack, TOKEN_CONNECTIONS),
            attributes=temporal.attributes,
        )
        yield create_app(parts)


async def _database(process: Ground, stack: AsyncExitStack, connections: int) -> Database:
    limits = replace(database_limits(process.settings), connections=connections)
    url = process.settings.database_url.get_secret_value()
    return await stack.enter_async_context(open_database(url, limits))
