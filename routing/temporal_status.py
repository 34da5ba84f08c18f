"""What each of Temporal's execution statuses means here; nothing else may map them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from temporalio.api.enums.v1 import WorkflowExecutionStatus

from routing.run_records import RunStatus

STATUSES: Final[Mapping[int, RunStatus | None]] = {
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED: None,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING: RunStatus.RUNNING,
    # Paused by an operator (server 1.30 and newer): it takes signals and goes on later.
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED: RunStatus.RUNNING,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED: RunStatus.COMPLETED,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED: RunStatus.FAILED,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED: RunStatus.CANCELED,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED: RunStatus.TERMINATED,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT: RunStatus.TIMED_OUT,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW: (
        RunStatus.CONTINUED_AS_NEW
    ),
}
"""Every status of the client's enumeration; a test compares them."""


def run_status(status: int) -> RunStatus | None:
    """None where nothing may be concluded.

    That is a status that Temporal left unspecified, and a number that only a newer server knows.
    """
    return STATUSES.get(status)
