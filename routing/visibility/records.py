"""What visibility says, and the port by which it is asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from routing.faults import RoutingError
from routing.run_records import RunStatus


class VisibilityUnusable(RoutingError):
    """Temporal's visibility is away, or `refuses` the query: then the walk has to do without it."""

    def __init__(self, message: str, *, refuses: bool = True) -> None:
        super().__init__(message)
        self.refuses = refuses
        """False: Temporal itself does not answer, so that asking it in another way is in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedRun:
    """One run that has ended, by Temporal's clock."""

    workflow_id: str
    run_id: str
    status: RunStatus
    closed_at: datetime
    started_at: datetime | None = None
    workflow_type: str | None = None
    task_queue: str | None = None
    parent_workflow_id: str | None = None
    parent_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class ClosedPage:
    """Runs that have closed, the newest first; an empty token: there are no more."""

    runs: Sequence[ClosedRun]
    next_token: bytes = b""


class Visibility(Protocol):
    """The visibility of one namespace. Raises VisibilityUnusable."""

    async def closed(
        self, since: datetime | None, until: datetime | None = None, token: bytes = b""
    ) -> ClosedPage:
        """A page of the runs that closed in that span, ends included; without `since`: the newest.

        With a token the page behind the one that gave it.
        """
        ...

    async def open_among(self, workflow_ids: Sequence[str]) -> Collection[str]:
        """Those of the workflow ids under which a run is open; of any that cannot be told, too."""
        ...
