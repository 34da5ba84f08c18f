"""What a workflow says to the service: calls of activities, as the contract describes them.

Arguments are plain dictionaries of JSON values, so they do not depend on the workflow's own data
converter. An outage of the service or its database delays a call and never fails it: the activity
is tried again without limit, and waits on its task queue while nobody polls it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from pointsman.inbox import OpenWait
from pointsman.wait_errors import EventWaitRefused

with workflow.unsafe.imports_passed_through():
    from pointsman.contract import REGISTER_WAIT

Result = TypeVar("Result")

REFUSALS = ("InvalidWait", "WaitConflict")
RETRIES = RetryPolicy(
    initial_interval=timedelta(milliseconds=500),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=15),
    non_retryable_error_types=REFUSALS,
)
ATTEMPT = timedelta(seconds=10)

# A wait that could not be withdrawn is retired by the service (its run is closed, or its
# `expires_at` passes), so a time-out or a cancellation is not held up by an outage for longer.
WITHDRAWAL = timedelta(seconds=30)


async def register(wait: OpenWait, before: Callable[[], Awaitable[None]]) -> None:
    """Register a wait, after `before`; sets its `registered` or its `failure`, and raises neither.

    When cancelled, this waits until the attempt under way is over, so that a withdrawal sent
    afterwards cannot be overtaken by the registration.
    """
    await before()
    try:
        answer: Any = await workflow.execute_activity(
            REGISTER_WAIT,
            wait.request,
            task_queue=wait.address.task_queue,
            start_to_close_timeout=ATTEMPT,
            retry_policy=RETRIES,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=_summary(wait.request),
        )
        wait.registered = True
        if _ended_before(wait.request, answer):
            wait.failure = EventWaitRefused(f"task_id {wait.address.wait_id!r} was used before")
    except ActivityError as error:
        if not is_cancelled_exception(error):
            wait.failure = _refusal(error) or error


def _summary(request: Mapping[str, Any]) -> str:
    """What Temporal's console shows beside the activity; at most 200 bytes there."""
    if "task" not in request:
        return f"wait for {request['event_name']}"
    return f"human task: {request['task']['title']:.40}"


def _ended_before(request: Mapping[str, Any], answer: object) -> bool:
    """Whether this is the id of a task that has ended: nobody could ever complete it."""
    return "task" in request and isinstance(answer, Mapping) and answer.get("status") == "closed"


def in_background(work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
    """Do it in a task of its own."""
    try:
        return asyncio.create_task(work)
    except BaseException:
        # A run that is being evicted from the worker's cache starts nothing any more.
        work.close()
        raise


def _refusal(error: ActivityError) -> EventWaitRefused | None:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type in REFUSALS:
        return EventWaitRefused(cause.message)
    return None
