"""What `pointsman status` shows: every server asked at the same time, each for a bounded time."""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any, Final

from ingress.backlog import StreamBacklogs
from ingress.redis_connection import connect_redis
from routing.backlog import measure_backlog, oldest_unattempted
from routing.database import DatabaseLimits, open_database
from routing.namespaces import unserved_namespaces
from routing.schema_version import check
from worker.observe.temporal_check import temporal_check
from worker.redaction import redact_urls
from worker.setting_values import format_duration
from worker.settings import Settings
from worker.streams_read import stream_names
from worker.temporal_worker import connect_lazily

PATIENCE: Final = timedelta(seconds=10)
INNERMOST: Final = re.compile(r'\bOs \{[^}]*\bmessage: "([^"]+)"')
"""How Temporal's client writes what the operating system said."""


async def standing(settings: Settings) -> dict[str, Any]:
    """The servers with whether they answer, the streams with their lag, and what is under way."""
    redis, postgres, temporal = await asyncio.gather(
        _asked(settings.redis_url.get_secret_value(), _streams(settings)),
        _asked(settings.database_url.get_secret_value(), _tables(settings)),
        _asked(settings.temporal_address, _temporal(settings)),
    )
    return {
        "servers": {
            "redis": redis["server"],
            "postgres": postgres["server"],
            "temporal": temporal["server"],
        },
        "streams": redis["answer"] or [],
        "backlog": postgres["answer"],
    }


async def _asked(address: str, question: Any) -> dict[str, Any]:
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            answer = await question
    except TimeoutError:
        return _absent(address, f"no answer within {format_duration(PATIENCE)}")
    except Exception as error:  # noqa: BLE001 - whatever keeps a server from answering is shown
        return _absent(address, reason_of(error))
    return {"server": {"ready": True, "detail": None}, "answer": answer}


def reason_of(error: BaseException) -> str:
    """The first line of an error; of Temporal's nested ones, what the system said."""
    lines = str(error).splitlines() or [type(error).__name__]
    innermost = INNERMOST.search(lines[0])
    return innermost[1] if innermost else lines[0]


def _absent(address: str, reason: str) -> dict[str, Any]:
    detail = redact_urls(f"{address}: {reason}")
    return {"server": {"ready": False, "detail": detail}, "answer": None}


async def _streams(settings: Settings) -> list[dict[str, Any]]:
    url = settings.redis_url.get_secret_value()
    connect = partial(connect_redis, url, block=settings.block)
    backlogs = StreamBacklogs(connect, stream_names(settings), settings.group)
    try:
        return [asdict(backlog) for backlog in await backlogs.measure()]
    finally:
        await backlogs.aclose()


async def _tables(settings: Settings) -> dict[str, Any]:
    url = settings.database_url.get_secret_value()
    # A pool would try again and again where one connection is refused, and only say that it waited.
    await check(url)
    limits = DatabaseLimits(connections=1, connect_timeout=PATIENCE)
    async with open_database(url, limits) as database:
        unattempted = await oldest_unattempted(database)
        age = None if unattempted is None else unattempted.age
        unserved = await unserved_namespaces(database, ())
        return asdict(await measure_backlog(database)) | {
            "oldest_unattempted": age,
            "unserved": [asdict(each) for each in unserved],
        }


async def _temporal(settings: Settings) -> None:
    await temporal_check(await connect_lazily(settings), settings.temporal_namespaces)()
