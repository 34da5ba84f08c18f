"""Comparing open waits with Temporal: a wait whose run is gone is retired with its reason."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, Protocol

from correlation.closing import Closing
from correlation.event import TenantId
from correlation.reason import Reason
from routing.database import Database
from routing.incoming import WaitId, WorkflowId
from routing.page_walk import page_walk
from routing.statements import PLAN_ANEW
from routing.waits import Waits

# Walks all open waits in the order of the primary key, a page at a time; young ones are left
# alone, for a wait may be registered before its run is started.
OPEN_WAITS: Final = """
SELECT tenant_id, wait_id, workflow_id FROM workflow_run_waits
WHERE (tenant_id, wait_id) > (%(tenant)s, %(wait_id)s) AND status = 'waiting'
  AND registered_at < statement_timestamp() - %(grace)s::interval
ORDER BY tenant_id, wait_id LIMIT %(count)s
"""


class RunState(StrEnum):
    """What Temporal says of the newest run of a workflow id."""

    RUNNING = "running"
    CLOSED = "closed"
    NOT_FOUND = "not_found"
    UNKNOWN = "unknown"
    """Temporal did not answer: nothing may be concluded."""


class Runs(Protocol):
    """Asks Temporal about runs."""

    async def states(self, workflows: Sequence[WorkflowId]) -> Sequence[RunState]:
        """The state of each workflow id's newest run, in the order given; never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Ghost:
    """An open wait that nobody can ever be woken by."""

    tenant: TenantId
    wait_id: WaitId
    workflow_id: WorkflowId
    reason: Reason


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the walk: the ghosts in it, and where the next page begins (None: done)."""

    ghosts: Sequence[Ghost]
    next_after: tuple[str, str] | None
    checked: int
    unanswered: int = 0
    """Of so many of the waits checked Temporal said nothing; they are left as they are."""


BEGINNING: Final = ("", "")
PAUSE: Final = timedelta(seconds=1)
"""Between two pages: with the page's size it bounds the rate at which Temporal is asked."""
_REASONS: Final = {
    RunState.CLOSED: Reason.RUN_CLOSED,
    RunState.NOT_FOUND: Reason.RUN_NOT_FOUND,
}


class Reconciler:
    """Walks the open waits of a database."""

    def __init__(
        self,
        database: Database,
        runs: Runs,
        *,
        page: int = 200,
        grace: timedelta = timedelta(seconds=60),
    ) -> None:
        self._database = database
        self._waits = Waits(database)
        self._runs = runs
        self._page = page
        self._grace = grace

    def walk(self, pause: timedelta = PAUSE) -> AsyncGenerator[Page]:
        """Check all open waits, a page at a time with a pause between two; changes nothing."""
        return page_walk(self.look, BEGINNING, lambda page: page.next_after, pause=pause)

    async def look(self, after: tuple[str, str] = BEGINNING) -> Page:
        """Check one page of open waits; changes nothing."""
        async with self._database.transaction() as connection:
            await connection.execute(PLAN_ANEW)
            cursor = await connection.execute(
                OPEN_WAITS,
                {
                    "tenant": after[0],
                    "wait_id": after[1],
                    "grace": self._grace,
                    "count": self._page,
                },
            )
            rows = await cursor.fetchall()
        workflows = list(dict.fromkeys(WorkflowId(row[2]) for row in rows))
        states = dict(zip(workflows, await self._runs.states(workflows), strict=True))
        ghosts = [
            Ghost(TenantId(tenant), WaitId(wait_id), WorkflowId(workflow_id), reason)
            for tenant, wait_id, workflow_id in rows
            if (reason := _REASONS.get(states[workflow_id])) is not None
        ]
        full = len(rows) == self._page
        return Page(
            ghosts,
            (rows[-1][0], rows[-1][1]) if full else None,
            checked=len(rows),
            unanswered=sum(states[row[2]] is RunState.UNKNOWN for row in rows),
        )

    async def retire(self, ghosts: Sequence[Ghost]) -> None:
        """Close the ghosts' waits."""
        if ghosts:
            await self._waits.close(
                [Closing(ghost.tenant, ghost.wait_id, reason=ghost.reason) for ghost in ghosts]
            )
