"""Runs as the projection has them. Temporal is the only authority; this is what was seen of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

TEMPORAL: Final = "temporal"
"""The engine whose runs are reconciled and controlled; rows of any other are never touched."""


class RunStatus(StrEnum):
    """How a run stands; all but `running` are ends."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"
    CONTINUED_AS_NEW = "continued_as_new"
    NOT_FOUND = "not_found"
    """Temporal no longer knows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """One run."""

    tenant: str
    workflow_id: str
    run_id: str
    engine: str
    status: str
    origin: str
    """`launched` (by a trigger), `registered` (by its first wait) or `continued` (as new)."""
    workflow_type: str | None
    task_queue: str | None
    trigger_id: str | None
    event_id: str | None
    """The event of its launch."""
    parent_workflow_id: str | None
    parent_run_id: str | None
    first_run_id: str | None
    """The first run of its continue-as-new chain, where that is known."""
    started_at: datetime
    closed_at: datetime | None
    updated_at: datetime
    open_waits: int
    namespace: str
    """The Temporal namespace that it is in."""
    requested_control: str | None = None
    """`cancel` or `terminate`: Temporal took the request; the status says what came of it."""
    requested_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Which runs to list; what is None does not narrow the list."""

    workflow_id: str | None = None
    run_id: str | None = None
    status: str | None = None
    requested: str | None = None
    """A control that was requested of them, while they have not ended."""
    engine: str | None = None
    workflow_type: str | None = None
    origin: str | None = None
    trigger_id: str | None = None
    event_id: str | None = None
    key: str | None = None
    """A correlation key that a wait of the run has or had."""
    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""
