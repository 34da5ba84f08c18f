"""The example workflows as Temporal sees them: started, finished, and what signalled them when."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from temporalio.api.enums.v1 import EventType, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

import pointsman.contract
from worker.demo.examples import ExampleWorkflow

TASK_QUEUE: Final = "pointsman-examples"
TASK_QUEUES: Final = {
    pointsman.contract.TASK_QUEUE: TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    TASK_QUEUE: TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
}
LONGEST_RUN: Final = timedelta(minutes=15)
CALL: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Run:
    """What a workflow returned, and when Temporal recorded the signal of each event."""

    workflow_id: str
    result: Mapping[str, Any] | str
    """A text in place of a result says how the run failed."""
    signalled_at: Mapping[str, float]
    """Event id → seconds since the epoch, by Temporal's clock; the first signal counts."""


async def unserved(client: Client) -> str | None:
    """Which task queue nobody serves yet, in words; None when both are served."""
    for task_queue, kind in TASK_QUEUES.items():
        request = DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=kind,
        )
        answer = await client.workflow_service.describe_task_queue(request, timeout=CALL)
        if not answer.pollers:
            return f"nobody serves the task queue {task_queue}"
    return None


async def start(client: Client, workflows: Sequence[ExampleWorkflow]) -> None:
    """Start them all; one that still runs from an earlier demo is ended first."""
    for workflow in workflows:
        await client.start_workflow(
            workflow.workflow_type,
            dict(workflow.input),
            id=workflow.workflow_id,
            task_queue=TASK_QUEUE,
            execution_timeout=LONGEST_RUN,
            id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
        )


async def finish(
    client: Client, workflows: Sequence[ExampleWorkflow], within: timedelta
) -> Mapping[str, Run]:
    """Each workflow's result, by workflow id; a run that is not over in time says so instead."""
    deadline = asyncio.get_running_loop().time() + within.total_seconds()
    runs = await asyncio.gather(
        *(_run(client.get_workflow_handle(each.workflow_id), deadline) for each in workflows)
    )
    return {run.workflow_id: run for run in runs}


async def _run(handle: WorkflowHandle[Any, Any], deadline: float) -> Run:
    result: Mapping[str, Any] | str
    try:
        async with asyncio.timeout_at(deadline):
            result = await handle.result()
    except TimeoutError:
        result = "still running"
    except Exception as error:  # noqa: BLE001 - however a run failed is what is to be shown
        result = f"failed: {error.__cause__ or error}"
    return Run(handle.id, result, await signals_of(handle))


async def signals_of(handle: WorkflowHandle[Any, Any]) -> Mapping[str, float]:
    """Event id → when Temporal recorded its first signal, in seconds since the epoch."""
    moments: dict[str, float] = {}
    async for event in handle.fetch_history_events():
        if event.event_type is EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            [payload] = event.workflow_execution_signaled_event_attributes.input.payloads
            event_id = json.loads(payload.data)["eventId"]
            moments.setdefault(event_id, event.event_time.ToMicroseconds() / 1e6)
    return moments
