"""Why a run stands still although what it waits for came: its workflow task fails."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from routing.run_reconcile import RunKey


@dataclass(frozen=True, slots=True)
class FailingTask:
    """The workflow task of a run fails, and Temporal tries it again until the code is corrected."""

    at: datetime
    """When it failed for the first time."""
    message: str


class FailingTasks(Protocol):
    """Asks Temporal; never raises for anything that it answers, or does not."""

    async def failing_task(self, run: RunKey) -> FailingTask | None:
        """What the run's workflow task fails with; None when it does not, or nobody can tell."""
        ...


class NoneFailing:
    """Of a process that has no connection to Temporal."""

    async def failing_task(self, run: RunKey) -> None:
        """Nobody can tell."""
        del run
