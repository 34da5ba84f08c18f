"""How answers about runs look, for the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RunShown(_Answer):
    """One run."""

    tenant: str
    workflow_id: str
    run_id: str
    engine: str
    status: str
    origin: str = Field(description="`launched`, `registered` or `continued`.")
    workflow_type: str | None
    task_queue: str | None
    trigger_id: str | None
    event_id: str | None
    parent_workflow_id: str | None
    parent_run_id: str | None
    first_run_id: str | None
    started_at: datetime
    closed_at: datetime | None
    updated_at: datetime
    open_waits: int
    requested_control: str | None = Field(
        description="`cancel` or `terminate`: Temporal took the request."
    )
    requested_at: datetime | None


class RunPage(_Answer):
    """Runs, the newest first."""

    runs: list[RunShown]
    next: str | None


class MomentShown(_Answer):
    """One thing that happened to a run."""

    at: datetime
    what: str
    about: str
    detail: str | None


class FailingTaskShown(_Answer):
    """A workflow task that fails, and is tried again."""

    at: datetime
    message: str


class RunStoryShown(_Answer):
    """One run with what is recorded of it, at most a hundred of each."""

    run: RunShown
    waits: list[dict[str, Any]]
    events: list[dict[str, Any]]
    actions: list[dict[str, Any]]
    timeline: list[MomentShown]
    failing_task: FailingTaskShown | None = Field(
        description="What the run's workflow task fails with; the run stands until that is mended."
    )


class ControlShown(_Answer):
    """What was asked of a run, and taken by Temporal."""

    tenant: str
    run_id: str
    workflow_id: str
    action: str
    closed_waits: int
    status: str = Field(
        description="`requested` until Temporal says how the run ended; of a signal `taken`."
    )
    action_id: str
