"""Comparing open runs with Temporal: status, times, parents, continue-as-new chains."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol, TypeAlias

from routing.database import Database
from routing.incoming import DEFAULT_NAMESPACE
from routing.page_walk import page_walk
from routing.run_records import RunStatus
from routing.run_statements import OPEN_RUNS, PROJECT_CONTINUED, RECONCILE_RUNS
from routing.statements import PLAN_ANEW


class RunKey(NamedTuple):
    """What makes a run one run, here and in Temporal."""

    tenant: str
    workflow_id: str
    run_id: str
    namespace: str = DEFAULT_NAMESPACE


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSeen:
    """What Temporal says of a run."""

    status: RunStatus
    workflow_type: str | None = None
    task_queue: str | None = None
    parent_workflow_id: str | None = None
    parent_run_id: str | None = None
    first_run_id: str | None = None
    started_at: datetime | None = None
    closed_at: datetime | None = None
    next_run_id: str | None = None
    """The run that it went on in, when it was continued as new."""


Sight: TypeAlias = RunSeen | None
"""None: Temporal did not answer, and nothing may be concluded."""


class RunWatch(Protocol):
    """Asks Temporal about single runs."""

    async def look_at(self, runs: Sequence[RunKey]) -> Sequence[Sight]:
        """How each run stands, in the order given; never raises."""
        ...


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page of the walk, and where the next begins (None: done)."""

    checked: int
    changed: Sequence[tuple[RunKey, str]]
    next_after: RunKey | None


FIRST: Final = RunKey("", "", "")
STEPS: Final = 5
"""So far at once a chain is followed that went on again and again."""


class RunReconciler:
    """Walks the open runs of the projection; those of another engine it never sees."""

    def __init__(
        self,
        database: Database,
        watch: RunWatch,
        *,
        namespaces: Sequence[str] = (DEFAULT_NAMESPACE,),
        page: int = 200,
        grace: timedelta = timedelta(seconds=60),
        pause: timedelta = timedelta(seconds=1),
    ) -> None:
        self._database = database
        self._watch = watch
        self._namespaces = list(namespaces)
        self._page = page
        self._grace = grace
        self._pause = pause

    def walk(self) -> AsyncGenerator[RunPage]:
        """All open runs once, page by page, with a pause between two pages."""
        return page_walk(self.walk_page, FIRST, lambda page: page.next_after, pause=self._pause)

    async def walk_page(self, after: RunKey = FIRST) -> RunPage:
        """Bring one page of open runs up to date. Raises DatabaseUnavailable: try again later."""
        async with self._database.transaction() as connection:
            await connection.execute(PLAN_ANEW)
            cursor = await connection.execute(
                OPEN_RUNS,
                {**after._asdict(), "count": self._page, "namespaces": self._namespaces},
            )
            keys = [RunKey(*row) for row in await cursor.fetchall()]
        changed = await self.look(keys)
        full = len(keys) == self._page
        return RunPage(len(keys), changed, keys[-1] if full else None)

    async def look(self, keys: Sequence[RunKey]) -> Sequence[tuple[RunKey, str]]:
        """Bring these runs up to date, and those that they went on in, for some steps.

        Returns those that changed, with their status.
        """
        changed: list[tuple[RunKey, str]] = []
        for _ in range(STEPS):
            sights = await self._watch.look_at(keys) if keys else ()
            seen = [(key, it) for key, it in zip(keys, sights, strict=True) if it is not None]
            if not seen:
                break
            changed += await self._write(seen)
            keys = [key._replace(run_id=it.next_run_id) for key, it in seen if it.next_run_id]
        return changed

    async def _write(self, seen: Sequence[tuple[RunKey, RunSeen]]) -> list[tuple[RunKey, str]]:
        continued = [(key, it) for key, it in seen if it.next_run_id is not None]
        async with self._database.transaction() as connection:
            await connection.execute(PLAN_ANEW)
            cursor = await connection.execute(
                RECONCILE_RUNS, {**_columns(seen), "grace": self._grace}
            )
            if continued:
                following = [it.next_run_id for _, it in continued]
                keys = _keys([key for key, _ in continued])
                await connection.execute(PROJECT_CONTINUED, {**keys, "next_run_ids": following})
            return [(RunKey(*row[:3]), str(row[3])) for row in await cursor.fetchall()]


def _keys(keys: Sequence[RunKey]) -> dict[str, object]:
    return {
        "tenants": [key.tenant for key in keys],
        "workflow_ids": [key.workflow_id for key in keys],
        "run_ids": [key.run_id for key in keys],
    }


def _columns(seen: Sequence[tuple[RunKey, RunSeen]]) -> dict[str, object]:
    sights = [it for _, it in seen]
    return {
        **_keys([key for key, _ in seen]),
        "statuses": [it.status.value for it in sights],
        "workflow_types": [it.workflow_type for it in sights],
        "task_queues": [it.task_queue for it in sights],
        "parents": [it.parent_workflow_id for it in sights],
        "parent_runs": [it.parent_run_id for it in sights],
        "first_runs": [it.first_run_id for it in sights],
        "starts": [it.started_at for it in sights],
        "ends": [it.closed_at for it in sights],
    }
