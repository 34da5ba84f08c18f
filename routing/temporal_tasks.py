"""Whether a run's workflow task fails, in one call to Temporal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, timedelta
from typing import Final

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client
from temporalio.service import RPCError

from routing.failing_task import FailingTask
from routing.run_reconcile import RunKey

# Only the first failure of a task is in the history, before what came since: signals, mostly.
LAST_EVENTS: Final = 50
MAX_MESSAGE: Final = 2000
PROGRESS: Final = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
FAILED: Final = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED


class TemporalTasks:
    """The workflow tasks of runs, in any namespace of one server."""

    def __init__(self, client: Client, timeout: timedelta = timedelta(seconds=5)) -> None:
        self._service = client.workflow_service
        self._timeout = timeout

    async def failing_task(self, run: RunKey) -> FailingTask | None:
        """See `FailingTasks.failing_task`."""
        request = GetWorkflowExecutionHistoryReverseRequest(
            namespace=run.namespace,
            execution=WorkflowExecution(workflow_id=run.workflow_id, run_id=run.run_id),
            maximum_page_size=LAST_EVENTS,
        )
        try:
            answer = await self._service.get_workflow_execution_history_reverse(
                request, retry=False, timeout=self._timeout
            )
        except (RPCError, RuntimeError):
            # The lazy client's first connection: any failure of it is a bare RuntimeError.
            return None
        return _failing(answer.history.events)


def _failing(newest_first: Iterable[HistoryEvent]) -> FailingTask | None:
    for event in newest_first:
        if event.event_type == PROGRESS:
            return None
        if event.event_type == FAILED:
            failure = event.workflow_task_failed_event_attributes.failure
            kind = failure.application_failure_info.type
            message = f"{kind}: {failure.message}" if kind else failure.message
            at = event.event_time.ToDatetime(tzinfo=UTC)
            return FailingTask(at, message[:MAX_MESSAGE])
    return None
