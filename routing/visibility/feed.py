"""Following the closings of one namespace, so that the cost grows with them and not with waits.

Every few seconds the runs are listed that closed since the last look. All times are Temporal's own:
the watermark is the newest close time seen, whatever the clocks of this process and of the database
say. Visibility lags behind and does not fill in order, so every look goes back by an overlap, and
by a longer one every minute. What was seen before is passed over.

A closed run closes its row in the projection at once. Its waits are retired some seconds later,
when visibility has had the time to show what came after it: a run that is still open under the
workflow id may know them (it was continued as new, or reset), and then Temporal itself is asked.

What does not fit into one round (after an outage) is kept in mind as a gap, and listed bit by bit
from then on, while newer closings go first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum, auto
from itertools import islice
from time import monotonic
from typing import Final, Protocol, TypeAlias

from correlation.closing import Closing
from correlation.event import TenantId
from correlation.reason import Reason
from routing.database import Database
from routing.incoming import WaitId, WorkflowId
from routing.maintenance.cursors import Walk, keep_place, place_of
from routing.reconcile import Ghost
from routing.run_reconcile import RunKey
from routing.run_records import RunStatus
from routing.statements import PLAN_ANEW
from routing.visibility.records import ClosedPage, ClosedRun, Visibility
from routing.visibility.statements import FOLLOW_CLOSINGS
from routing.waits import Waits

WALK: Final = "closings"
MOST_WAITS: Final = 1_000
"""Of one workflow in one round; the rest comes with the next."""
CLOSED_AT_ONCE: Final = 200
MOST_DOUBTS: Final = 10_000
FIRST_LOOK_BACK: Final = timedelta(hours=1)
"""How far before the newest closing the very first look begins."""


@dataclass(frozen=True, slots=True)
class WaitInDoubt:
    """An open wait of a workflow of which a run has closed."""

    tenant: str
    wait_id: str
    workflow_id: str
    run_id: str | None
    first_run_id: str | None


class Outlook(StrEnum):
    """What becomes of a wait that has not ended."""

    GOES_ON = auto()
    UNKNOWN = auto()
    """Temporal did not answer: ask again."""


Verdict: TypeAlias = Reason | Outlook
"""Why a wait can never be woken again; or that it can, or that nobody can say."""


class Chains(Protocol):
    """Asks Temporal itself, not its visibility."""

    async def verdicts(self, waits: Sequence[WaitInDoubt]) -> Sequence[Verdict]:
        """How each wait stands, in the order given; never raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often and how far back is looked."""

    overlap: timedelta = timedelta(seconds=10)
    long_overlap: timedelta = timedelta(minutes=2)
    long_look_every: timedelta = timedelta(minutes=1)
    settled_after: timedelta = timedelta(seconds=3)
    least_overlap: timedelta = timedelta(seconds=2)
    """So much of the overlap is always listed; the rest as far as the pages go."""
    pages: int = 8
    """Pages of one round, of the newest closings and of the gap together."""
    pages_of_gap: int = 2
    """So many of them are for the gap, while there is one."""
    questions: int = 3
    """Waits of one round that Temporal itself is asked about."""


@dataclass(slots=True)
class Followed:
    """What a round came to."""

    closings: int = 0
    """Seen for the first time."""
    runs: list[tuple[RunKey, str]] = field(default_factory=list[tuple[RunKey, str]])
    """Runs of the projection that are closed now."""
    continued: list[RunKey] = field(default_factory=list[RunKey])
    """Runs that went on in another one, which is yet to be found."""
    ghosts: list[Ghost] = field(default_factory=list[Ghost])
    """Waits that were retired."""
    behind: bool = False
    """A gap is left."""


@dataclass(slots=True)
class _Place:
    """Up to where everything was seen, and the gap before that is still to be listed."""

    watermark: datetime | None = None
    gap: tuple[datetime, datetime] | None = None

    @classmethod
    def read(cls, texts: tuple[str, ...] | None) -> _Place:
        if texts is None:
            return cls()
        moments = [datetime.fromisoformat(text) for text in texts]
        return cls(moments[0], (moments[1], moments[2]) if len(moments) == 3 else None)

    def texts(self) -> tuple[str, ...]:
        moments = [] if self.watermark is None else [self.watermark]
        return tuple(moment.isoformat() for moment in [*moments, *(self.gap or ())])


class VisibilityFeed:
    """Follows one namespace. Raises VisibilityUnusable and DatabaseUnavailable: try again later."""

    def __init__(
        self,
        database: Database,
        namespace: str,
        visibility: Visibility,
        chains: Chains,
        pace: Pace | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._database = database
        self._namespace = namespace
        self._visibility = visibility
        self._chains = chains
        self._pace = Pace() if pace is None else pace
        self._clock = clock
        self._waits = Waits(database)
        self.begin()

    def begin(self) -> None:
        """Go on from where the database says: somebody else may have led meanwhile."""
        self._place: _Place | None = None
        self._long_look_at = 0.0
        self._seen: dict[str, float] = {}
        self._settling: dict[str, tuple[float, ClosedRun]] = {}
        self._doubts: dict[tuple[str, str], WaitInDoubt] = {}

    async def follow(self) -> Followed:
        """One round: the newest closings, some of the gap, and the waits of what has settled."""
        followed = Followed()
        place = await self._where()
        if place.watermark is None:
            place.watermark = await self._first_watermark()
        if place.watermark is None:
            return followed
        await self._list_newest(place, place.watermark - self._back(), followed)
        await self._keep(place)
        await self._settle(followed)
        await self._ask(followed)
        followed.behind = place.gap is not None
        self._forget()
        return followed

    async def _where(self) -> _Place:
        if self._place is None:
            async with self._database.transaction() as connection:
                self._place = _Place.read(await place_of(connection, self._walk))
        return self._place

    @property
    def _walk(self) -> Walk:
        return Walk(WALK, namespace=self._namespace)

    async def _first_watermark(self) -> datetime | None:
        """Some time before the newest closing; None while there is none."""
        page = await self._visibility.closed(None)
        return page.runs[0].closed_at - FIRST_LOOK_BACK if page.runs else None

    async def _list_newest(self, place: _Place, since: datetime, followed: Followed) -> None:
        """All pages, or as many as a round has: what is left is the gap then.

        The place is moved when all of that is done, so a failure on the way loses nothing.
        """
        left = self._pace.pages
        for_gap = 0 if place.gap is None else self._pace.pages_of_gap
        newest = oldest = None
        token = b""
        while left > for_gap:
            page = await self._visibility.closed(since, token=token)
            left -= 1
            await self._take(page, followed)
            oldest = _oldest(page, oldest)
            newest = newest or _newest(page)
            if not (token := page.next_token):
                break
        if place.watermark is not None and newest is not None:
            # Only the overlap may be cut short, where very much closes.
            seen_from = place.watermark - self._pace.least_overlap
            if token and oldest is not None and oldest > seen_from:
                place.gap = (since if place.gap is None else min(since, place.gap[0]), oldest)
            place.watermark = max(place.watermark, newest)
        while left > 0 and place.gap is not None:
            left -= 1
            await self._list_gap(place, place.gap, followed)

    async def _list_gap(
        self, place: _Place, gap: tuple[datetime, datetime], followed: Followed
    ) -> None:
        since, until = gap
        page = await self._visibility.closed(since, until)
        await self._take(page, followed)
        oldest = _oldest(page, None)
        # More runs than a page holds may have closed in one moment: walk on by the token then.
        while page.next_token and oldest == until:
            page = await self._visibility.closed(since, until, page.next_token)
            await self._take(page, followed)
            oldest = _oldest(page, oldest)
        place.gap = (since, oldest) if page.next_token and oldest is not None else None

    def _back(self) -> timedelta:
        now = self._clock()
        if now < self._long_look_at:
            return self._pace.overlap
        self._long_look_at = now + self._pace.long_look_every.total_seconds()
        return self._pace.long_overlap

    async def _take(self, page: ClosedPage, followed: Followed) -> None:
        now = self._clock()
        fresh = [run for run in page.runs if run.run_id not in self._seen]
        if not fresh:
            return
        followed.closings += len(fresh)
        await self._follow(fresh, followed)
        settled = now + self._pace.settled_after.total_seconds()
        for run in fresh:
            self._seen[run.run_id] = now
            self._settling[run.run_id] = (settled, run)

    async def _follow(self, runs: Sequence[ClosedRun], followed: Followed) -> list[WaitInDoubt]:
        """Close the runs' rows; the open waits of their workflows, but those of their own runs."""
        async with self._database.transaction() as connection:
            await connection.execute(PLAN_ANEW)
            cursor = await connection.execute(
                FOLLOW_CLOSINGS,
                {**_columns(runs), "namespace": self._namespace, "most_waits": MOST_WAITS},
            )
            rows = await cursor.fetchall()
        waits = []
        for tenant, workflow_id, run_id, status, wait_id, run_of_wait, first_run_id in rows:
            key = RunKey(tenant, workflow_id, run_id, self._namespace)
            if wait_id is not None:
                waits.append(WaitInDoubt(tenant, wait_id, workflow_id, run_of_wait, first_run_id))
            elif status == RunStatus.CONTINUED_AS_NEW:
                followed.continued.append(key)
            else:
                followed.runs.append((key, status))
        return waits

    async def _settle(self, followed: Followed) -> None:
        """Retire the waits of runs that closed a while ago, and after which nothing came."""
        now = self._clock()
        due = [run for at, run in self._settling.values() if at <= now]
        if not due:
            return
        waits = await self._follow(due, followed)
        open_ones = await self._open(wait.workflow_id for wait in waits)
        ended = {run.run_id for run in due}
        gone = []
        for wait in waits:
            if wait.run_id in ended and wait.workflow_id not in open_ones:
                gone.append(_ghost(wait, Reason.RUN_CLOSED))
            else:
                self._doubt(wait)
        await self._retire(gone, followed)
        full = _with_more_waits(waits)
        for run in due:
            if run.workflow_id not in full:
                self._settling.pop(run.run_id, None)

    async def _open(self, workflow_ids: Iterable[str]) -> frozenset[str]:
        unique = list(dict.fromkeys(workflow_ids))
        return frozenset(await self._visibility.open_among(unique)) if unique else frozenset()

    async def _ask(self, followed: Followed) -> None:
        """Ask Temporal itself about a few waits that visibility alone does not decide."""
        some = list(islice(self._doubts.values(), self._pace.questions))
        if not some:
            return
        for wait in some:
            del self._doubts[wait.tenant, wait.wait_id]
        gone = []
        for wait, verdict in zip(some, await self._chains.verdicts(some), strict=True):
            if isinstance(verdict, Reason):
                gone.append(_ghost(wait, verdict))
            elif verdict is Outlook.UNKNOWN:
                self._doubt(wait)
        await self._retire(gone, followed)

    def _doubt(self, wait: WaitInDoubt) -> None:
        """To be asked about when its turn comes; the slow walk has what there is no room for."""
        if len(self._doubts) < MOST_DOUBTS:
            self._doubts[wait.tenant, wait.wait_id] = wait

    async def _retire(self, ghosts: Sequence[Ghost], followed: Followed) -> None:
        for start in range(0, len(ghosts), CLOSED_AT_ONCE):
            some = ghosts[start : start + CLOSED_AT_ONCE]
            await self._waits.close(
                [Closing(each.tenant, each.wait_id, reason=each.reason) for each in some]
            )
            followed.ghosts.extend(some)

    async def _keep(self, place: _Place) -> None:
        """Write it down; whoever leads next goes back behind it by the longer overlap."""
        async with self._database.transaction() as connection:
            await keep_place(connection, self._walk, place.texts())

    def _forget(self) -> None:
        kept_since = self._clock() - 2 * self._pace.long_overlap.total_seconds()
        self._seen = {run_id: at for run_id, at in self._seen.items() if at > kept_since}


def _oldest(page: ClosedPage, so_far: datetime | None) -> datetime | None:
    moments = [run.closed_at for run in page.runs]
    return min(moments if so_far is None else [*moments, so_far], default=None)


def _newest(page: ClosedPage) -> datetime | None:
    return max((run.closed_at for run in page.runs), default=None)


def _with_more_waits(waits: Sequence[WaitInDoubt]) -> set[str]:
    counts: dict[str, int] = {}
    for wait in waits:
        counts[wait.workflow_id] = counts.get(wait.workflow_id, 0) + 1
    return {workflow_id for workflow_id, count in counts.items() if count >= MOST_WAITS}


def _ghost(wait: WaitInDoubt, reason: Reason) -> Ghost:
    return Ghost(TenantId(wait.tenant), WaitId(wait.wait_id), WorkflowId(wait.workflow_id), reason)


def _columns(runs: Sequence[ClosedRun]) -> dict[str, object]:
    return {
        "workflow_ids": [run.workflow_id for run in runs],
        "run_ids": [run.run_id for run in runs],
        "statuses": [run.status.value for run in runs],
        "starts": [run.started_at for run in runs],
        "ends": [run.closed_at for run in runs],
        "workflow_types": [run.workflow_type for run in runs],
        "task_queues": [run.task_queue for run in runs],
        "parents": [run.parent_workflow_id for run in runs],
        "parent_runs": [run.parent_run_id for run in runs],
    }
