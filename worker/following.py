"""Keeping up with the runs of one Temporal namespace: its closings, and a slow walk as a net.

While visibility can be asked, Temporal gets some two calls a second for the closings, and two more
for the walk and for runs that visibility leaves in doubt, whatever the number of open waits. While
it cannot, the walk is as fast as it may be, and runs whose waits closed lately are looked at first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from routing.database import Database
from routing.faults import RoutingError
from routing.maintenance.cursors import Place, Walk, keep_place, place_of
from routing.reconcile import BEGINNING, Ghost, Reconciler
from routing.run_reconcile import FIRST, RunKey, RunReconciler
from routing.visibility.feed import Followed, VisibilityFeed
from routing.visibility.hints import lately_answered
from routing.visibility.records import VisibilityUnusable
from routing.visibility.temporal import TemporalVisibility
from routing.visibility.verdicts import ChainVerdicts

if TYPE_CHECKING:
    from worker.ground import Ground
    from worker.temporal_parts import TemporalParts

log = structlog.get_logger(__name__)

ROUND: Final = timedelta(seconds=2)
ON_A_PAGE: Final = 10
"""Runs, or waits, that one step of the walk asks Temporal about."""
SLOWLY: Final = timedelta(seconds=20)
"""Between two steps, as long as the closings are followed."""
QUICKLY: Final = timedelta(milliseconds=200)
"""The same while they cannot be."""
RESTS: Final = 4
"""So many times as long as a step took is rested before the next one."""
CONTINUED_AT_ONCE: Final = 2
HINTED_AT_ONCE: Final = 100


class Watch(Protocol):
    """Is told whether visibility can be asked."""

    def visibility_stands(self, namespace: str, problem: str | None) -> None:
        """None: it answers."""
        ...


@dataclass(slots=True)
class Follower:
    """What follows one namespace."""

    namespace: str
    database: Database
    feed: VisibilityFeed
    waits: Reconciler
    runs: RunReconciler
    wake: Callable[[], None]
    watch: Watch
    period: timedelta
    """Between the end of a walk and its next beginning."""
    _usable: bool = True
    _walks_quickly: bool = False
    _behind: bool = False
    _continued: dict[RunKey, None] = field(default_factory=dict[RunKey, None])

    async def follow_for_ever(self, period: timedelta = ROUND) -> None:
        """Follow the closings, once per period."""
        self.feed.begin()
        while True:
            try:
                await self._round()
            except RoutingError as error:
                log.warning("following.postponed", namespace=self.namespace, error=str(error))
            await asyncio.sleep(period.total_seconds())

    async def walk_waits_for_ever(self) -> None:
        """Compare all open waits with Temporal, a few at a time."""

        async def step(after: Place) -> Place | None:
            page = await self.waits.look((after or BEGINNING)[:2])  # type: ignore[arg-type]
            await self.waits.bind(page.bonds)
            await self.waits.retire(page.ghosts)
            self._retired(page.ghosts)
            return page.next_after

        await self._walk_for_ever("waits", step)

    async def walk_runs_for_ever(self) -> None:
        """Compare all open runs with Temporal, a few at a time."""

        async def step(after: Place) -> Place | None:
            tenant, workflow_id, run_id = (after or FIRST)[:3]
            page = await self.runs.walk_page(RunKey(tenant, workflow_id, run_id, self.namespace))
            _log_runs(page.changed)
            return None if page.next_after is None else page.next_after[:3]

        await self._walk_for_ever("runs", step)

    async def _round(self) -> None:
        try:
            followed = await self.feed.follow()
        except VisibilityUnusable as error:
            self._stands(str(error))
            self._walks_quickly = error.refuses
            if not error.refuses:
                return
            async with self.database.transaction() as connection:
                hinted = await lately_answered(connection, self.namespace, HINTED_AT_ONCE)
            _log_runs(await self.runs.look(hinted))
            return
        self._stands(None)
        self._walks_quickly = False
        self._tell(followed)
        self._continued.update(dict.fromkeys(followed.continued))
        some = list(self._continued)[:CONTINUED_AT_ONCE]
        _log_runs(await self.runs.look(some))
        for key in some:
            del self._continued[key]

    def _tell(self, followed: Followed) -> None:
        _log_runs(followed.runs)
        self._retired(followed.ghosts)
        if followed.behind != self._behind:
            self._behind = followed.behind
            state = "following.behind" if self._behind else "following.caught_up"
            log.info(state, namespace=self.namespace)

    def _retired(self, ghosts: Sequence[Ghost]) -> None:
        for ghost in ghosts:
            log.warning(
                "wait.retired",
                tenant=ghost.tenant,
                wait_id=ghost.wait_id,
                workflow_id=ghost.workflow_id,
                reason=ghost.reason,
            )
        if ghosts:
            self.wake()

    def _stands(self, problem: str | None) -> None:
        self.watch.visibility_stands(self.namespace, problem)
        usable = problem is None
        if usable != self._usable:
            self._usable = usable
            if usable:
                log.info("visibility.back", namespace=self.namespace)
            else:
                log.warning("visibility.lost", namespace=self.namespace, error=problem)

    async def _walk_for_ever(
        self, name: str, step: Callable[[Place], Awaitable[Place | None]]
    ) -> None:
        walk = Walk(f"reconcile {name}", namespace=self.namespace)
        while True:
            began = monotonic()
            at_end = False
            try:
                async with self.database.transaction() as connection:
                    place = await place_of(connection, walk)
                following = await step(place or ())
                async with self.database.transaction() as connection:
                    await keep_place(connection, walk, following or (), begins=not place)
                at_end = following is None
            except RoutingError as error:
                log.warning("sweeper.postponed", error=str(error))
            pause = self.period if at_end else QUICKLY if self._walks_quickly else SLOWLY
            await asyncio.sleep(max(pause.total_seconds(), RESTS * (monotonic() - began)))


def open_follower(
    ground: Ground, temporal: TemporalParts, namespace: str, wake: Callable[[], None]
) -> Follower:
    """What follows one namespace."""
    settings, runs, chains = ground.settings, temporal.runs, temporal.chains
    database = ground.observation.reconciled(ground.database)
    visibility = TemporalVisibility(temporal.clients[namespace], settings.signal_timeout)
    return Follower(
        namespace=namespace,
        database=database,
        feed=VisibilityFeed(database, namespace, visibility, ChainVerdicts(chains, namespace)),
        waits=Reconciler(database, chains, namespaces=[namespace], page=ON_A_PAGE),
        runs=RunReconciler(database, runs, namespaces=[namespace], page=ON_A_PAGE),
        wake=wake,
        watch=ground.observation,
        period=settings.reconcile_period,
    )


def _log_runs(changed: Iterable[tuple[RunKey, str]]) -> None:
    for run, status in changed:
        log.info("run.changed", tenant=run.tenant, workflow_id=run.workflow_id, status=status)
