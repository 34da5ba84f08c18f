"""Writing back what became of leased rows: in batches, and for as long as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final, Generic, TypeVar

import structlog

from routing.faults import RecordRefused, RoutingError, StatementFailed
from routing.gate import Backoff

GATHERING: Final = timedelta(milliseconds=50)
"""So long ends are collected while many more are on their way."""

TRIES_ALONE: Final = 3
"""An end that fails alone this often is left to its lease: no other waits for it."""

log = structlog.get_logger(__name__)

End = TypeVar("End")


class WriteBack(Generic[End]):
    """Collects ends while the batch before is being written; `run` must be running.

    What cannot be written is written later: until then its row is leased, and when the lease ends
    somebody else tries again, which the target knows by the request id. A batch that a server which
    answers does not take is halved, so that one end holds up no other.
    """

    def __init__(
        self,
        write: Callable[[Sequence[End]], Awaitable[Sequence[End]]],
        written: Callable[[Sequence[End], Sequence[End]], None],
        backoff: Backoff,
        *,
        name: str,
        crowded: Callable[[], bool] = lambda: False,
    ) -> None:
        """`write` returns those that are dead now; `written` gets the batch, and these.

        `name` is what the rows are called in the log, as in `deliveries.settling_postponed`. While
        it is `crowded`, with many more ends on their way, they are given a moment to come: one
        transaction costs nearly the same for twenty as for one.
        """
        self._write = write
        self._written = written
        self._backoff = backoff
        self._name = name
        self._crowded = crowded
        self._ends: list[End] = []
        self._filled = asyncio.Event()

    def add(self, end: End) -> None:
        """Write this back with the next batch."""
        self._ends.append(end)
        self._filled.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._filled.wait()
            if self._crowded():
                await asyncio.sleep(GATHERING.total_seconds())
            self._filled.clear()
            batch, self._ends = self._ends, []
            dead = await self._insist(batch)
            self._written(batch, dead)

    async def _insist(self, batch: Sequence[End]) -> Sequence[End]:
        failures = 0
        while True:
            try:
                return await self._write(batch)
            except (RecordRefused, StatementFailed) as error:
                self._postponed(batch, error)
                if len(batch) > 1:
                    middle = len(batch) // 2
                    return [
                        *await self._insist(batch[:middle]),
                        *await self._insist(batch[middle:]),
                    ]
                if failures >= TRIES_ALONE - 1:
                    event = f"{self._name}.settling_given_up"
                    log.error(event, error=str(error))  # noqa: TRY400  no bug, no traceback
                    return []
            except RoutingError as error:
                self._postponed(batch, error)
            await asyncio.sleep(self._backoff.delay(failures).total_seconds())
            failures += 1

    def _postponed(self, batch: Sequence[End], error: RoutingError) -> None:
        event = f"{self._name}.settling_postponed"
        log.warning(event, count=len(batch), error=str(error))
