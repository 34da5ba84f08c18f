"""Reports of runs that began under an SDK which reported each thing by a call of its own.

Their histories hold these calls, in this order: what is changed here breaks their replay. Other
runs report through `pointsman.reports`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from pointsman.inbox import OpenWait, WaitAddress
from pointsman.wait_calls import ATTEMPT, RETRIES, WITHDRAWAL, Result, in_background
from pointsman.wait_errors import EventWaitRefused

with workflow.unsafe.imports_passed_through():
    from pointsman.contract import CLOSE_WAIT

# Reports only inform the audit; Temporal allows a run 2,000 pending activities.
REPORT = timedelta(minutes=10)


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
    return in_background(_close(wait, disposition, event_id, within=REPORT))


async def uninterrupted(work: Coroutine[Any, Any, Result]) -> Result:
    """Finish the work even if the caller is cancelled meanwhile; then be cancelled."""
    task = in_background(work)
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
