"""The loops off the hot path that concern the database alone, each on its period."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from ingress.backlog import StreamsUnavailable
from ingress.stream_retention import StreamRetention
from routing.faults import RoutingError
from routing.retention import Retention
from routing.sweep import Sweeper

log = structlog.get_logger(__name__)


async def sweep_for_ever(sweeper: Sweeper, wake: Callable[[], None], period: timedelta) -> None:
    """Expire waits and buffered events, once per period."""
    sweeper.begin()

    async def sweep() -> None:
        waits = await sweeper.expire_waits()
        events = await sweeper.expire_events()
        if waits or events:
            log.info("sweeper.expired", waits=waits, events=events)
        if waits:
            wake()

    await _periodically(sweep, period)


async def keep_for_ever(retention: Retention, period: timedelta) -> None:
    """Remove what the audit need not keep any longer, once per period."""

    async def remove() -> None:
        removed = await retention.remove()
        if removed:
            log.info(
                "audit.removed",
                events=removed.events,
                rejected=removed.rejected,
                waits=removed.waits,
                runs=removed.runs,
                actions=removed.actions,
            )

    await _periodically(remove, period)


async def trim_for_ever(retention: StreamRetention, period: timedelta) -> None:
    """Take from the streams what is old and acknowledged, once per period."""

    async def trim() -> None:
        for trimmed in await retention.trim():
            if trimmed.entries:
                log.info("stream.trimmed", stream=trimmed.stream, entries=trimmed.entries)
            if trimmed.held_by is not None:
                log.warning(
                    "stream.held",
                    stream=trimmed.stream,
                    group=trimmed.held_by,
                    entry_id=trimmed.held_from,
                )

    await _periodically(trim, period)


async def _periodically(act: Callable[[], Awaitable[None]], period: timedelta) -> None:
    while True:
        try:
            await act()
        except (RoutingError, StreamsUnavailable) as error:
            log.warning("sweeper.postponed", error=str(error))
        await asyncio.sleep(period.total_seconds())
