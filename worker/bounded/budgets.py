"""What work on others' input may take, and what is said when a budget runs out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.bounded.settings import BudgetSettings


class Budget(StrEnum):
    """What ran out."""

    TIME = "work_time"
    """The processor time of one piece of work."""
    MEMORY = "work_memory"
    """The memory of one piece of work."""
    QUEUE = "work_queue"
    """The pieces that may wait for a worker; try again later."""
    WORKER = "work_worker"
    """The worker ended twice while it was at work, and not by a limit of its own."""


class BudgetExceeded(Exception):
    """A piece of work took more than it may. Only `Budget.QUEUE` is worth trying again."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(f"the budget {budget} ran out")
        self.budget = budget


@dataclass(frozen=True, slots=True)
class WorkLimits:
    """What the workers of one process may take."""

    workers: int = 2
    time: timedelta = timedelta(seconds=2)
    """Processor time of one piece."""
    memory: int = 256 * 2**20
    """Bytes beyond what a worker takes when it starts."""
    queue: int = 32
    """Pieces in hand or waiting, at most; half of them for one tenant."""


def work_limits(settings: BudgetSettings) -> WorkLimits:
    """The limits that are configured."""
    return WorkLimits(
        workers=settings.work_processes,
        time=settings.work_time,
        memory=settings.work_memory,
        queue=settings.work_queue,
    )
