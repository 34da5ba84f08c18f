"""What a workflow says to the service: the two activities, as the contract describes them.

Arguments are plain dictionaries of JSON values, so they do not depend on the workflow's own data
converter. An outage of the service or its database delays a call and never fails it: the activity
is tried again without limit, and waits on its task queue while nobody polls it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from pointsman.inbox import OpenWait, WaitAddress
from pointsman.wait_errors import EventWaitRefused

with workflow.unsafe.imports_passed_through():
    from pointsman.contract import CLOSE_WAIT, REGISTER_WAIT

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
# Reports only inform the audit; Temporal allows a run 2,000 pending activities.
REPORT = timedelta(minutes=10)


async def register(wait: OpenWait) -> None:
    """Register a wait; sets its `registered` or its `failure`, and raises neither.

    When cancelled, this waits until the attempt under way is over, so that a withdrawal sent
    afterwards cannot be overtaken by the registration.
    """
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


async def accept(wait: OpenWait, event_id: str) -> None:
    """Say that this run took the event.

    Not over before the service knows: a later look-back must not hand out the event again.
    """
    await _reported(wait)
    await _close(wait.address, "accepted", event_id, within=None)


async def withdraw(wait: OpenWait, disposition: str) -> None:
    """Close a wait that got no event; given up after 30 s of outage, see `WITHDRAWAL`."""
    if wait.registering is not None:
        wait.registering.cancel()
        await asyncio.gather(wait.registering, return_exceptions=True)
    await _reported(wait)
    if not isinstance(wait.failure, EventWaitRefused):
        await _close(wait.address, disposition, None, within=WITHDRAWAL)


def report(wait: WaitAddress, disposition: str, event_id: str) -> asyncio.Task[None]:
    """Say in the background what became of an event; lost if the workflow ends before."""
    return _in_background(_close(wait, disposition, event_id, within=REPORT))


async def uninterrupted(work: Coroutine[Any, Any, Result]) -> Result:
    """Finish the work even if the caller is cancelled meanwhile; then be cancelled."""
    task = _in_background(work)
    interruption: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            interruption = error
    if interruption is not None:
        raise interruption
    return task.result()


async def _reported(wait: OpenWait) -> None:
    """Let reports of refused events go first: without one, a closed wait's event counts as late."""
    under_way = [task for task in wait.reporting if not task.done()]
    wait.reporting.clear()
    if under_way:
        await workflow.wait(under_way, timeout=WITHDRAWAL.total_seconds())


def _in_background(work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
    try:
        return asyncio.create_task(work)
    except BaseException:
        # A run that is being evicted from the worker's cache starts nothing any more.
        work.close()
        raise


async def _close(
    wait: WaitAddress, disposition: str, event_id: str | None, *, within: timedelta | None
) -> None:
    request = {"tenant": wait.tenant, "wait_id": wait.wait_id, "disposition": disposition}
    if event_id is not None:
        request["event_id"] = event_id
    try:
        await workflow.execute_activity(
            CLOSE_WAIT,
            request,
            task_queue=wait.task_queue,
            start_to_close_timeout=ATTEMPT,
            schedule_to_close_timeout=within,
            retry_policy=RETRIES,
            summary=disposition,
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.warning("wait %s: %s was not reported", wait.wait_id, disposition)


def _refusal(error: ActivityError) -> EventWaitRefused | None:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type in REFUSALS:
        return EventWaitRefused(cause.message)
    return None
