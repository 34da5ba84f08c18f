"""Deliveries that nobody attempts, whatever the cause: an alarm, and not ready."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from time import monotonic
from typing import Final

import structlog

from routing.backlog import Unattempted
from routing.faults import RoutingError
from worker.observe.dependencies import ANSWER_WITHIN
from worker.setting_values import format_duration

log = structlog.get_logger(__name__)

PATIENCE: Final = timedelta(minutes=1)
ASKED_WITHIN: Final = ANSWER_WITHIN - timedelta(seconds=1)


class Unattended(Exception):
    """The same delivery has been the oldest for too long: look at those that should send it."""


class DeliveryWatch:
    """Watches whether the oldest delivery that was never attempted stays the oldest.

    A long backlog is no alarm while it moves: the oldest of it is another one at each look.
    """

    def __init__(
        self,
        oldest: Callable[[], Awaitable[Unattempted | None]],
        show: Callable[[timedelta], None],
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._oldest = oldest
        self._show = show
        self._clock = clock
        self._watched: tuple[str, str, str] | None = None
        self._since = 0.0
        self._alarmed = False

    async def check(self) -> None:
        """Raises Unattended when nobody has attempted the oldest for a minute.

        While the database does not say, nothing is known: that it is away is another check's word.
        """
        try:
            async with asyncio.timeout(ASKED_WITHIN.total_seconds()):
                oldest = await self._oldest()
        except (RoutingError, TimeoutError):
            return
        identity = None if oldest is None else (oldest.tenant, oldest.event_id, oldest.wait_id)
        if identity != self._watched:
            self._watched, self._since = identity, self._clock()
        unattended = timedelta(seconds=self._clock() - self._since)
        if oldest is None or unattended < PATIENCE:
            self._show(timedelta())
            self._alarmed = False
            return
        self._show(unattended)
        self._alarm(oldest)
        since = format_duration(timedelta(seconds=round(oldest.age.total_seconds())))
        raise Unattended(
            f"nobody has attempted the oldest delivery (event {oldest.event_id} of tenant "
            f"{oldest.tenant}, namespace {oldest.namespace}) since it was recorded {since} ago"
        )

    def _alarm(self, oldest: Unattempted) -> None:
        if not self._alarmed:
            log.error(
                "deliveries.unattended",
                tenant=oldest.tenant,
                event_id=oldest.event_id,
                wait_id=oldest.wait_id,
                namespace=oldest.namespace,
            )
        self._alarmed = True
