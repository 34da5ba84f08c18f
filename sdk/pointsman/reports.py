"""What the service is still to hear of waits and events, in order, many reports in one call.

A report is never lost while its run goes on: what was not told when the run continues as new is
carried along. Of two reports the first is told first, so that an acceptance, its withdrawal and the
closing of the wait cannot overtake each other; repeating one is harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from pointsman import single_reports
from pointsman.inbox import WaitAddress
from pointsman.wait_calls import ATTEMPT, REFUSALS, RETRIES, in_background

with workflow.unsafe.imports_passed_through():
    from pointsman.contract import CLOSE_WAIT, CLOSE_WAITS, Disposition

IN_BATCHES: Final = "pointsman-reports-in-batches"
"""The patch: runs that began to report one by one, under an older SDK, go on to do so."""

# What workers of the service answer that do not know the activity yet.
NOT_REGISTERED: Final = "NotFoundError"
BATCH_RETRIES: Final = RetryPolicy(
    initial_interval=RETRIES.initial_interval,
    backoff_coefficient=RETRIES.backoff_coefficient,
    maximum_interval=RETRIES.maximum_interval,
    non_retryable_error_types=(*REFUSALS, NOT_REGISTERED),
)
BATCH: Final = 200
# A call costs a run six events of its history. What nobody waits for is told once a second.
PACE: Final = timedelta(seconds=1)


def in_batches() -> bool:
    """Whether this run reports in batches; asked where the answer makes a difference."""
    return workflow.patched(IN_BATCHES)


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a wait, or of an event for it."""

    address: WaitAddress
    disposition: str
    event_id: str | None = None
    detail: str | None = None

    def closing(self) -> dict[str, Any]:
        """As the contract's `CloseWait`."""
        closing: dict[str, Any] = {
            "tenant": self.address.tenant,
            "wait_id": self.address.wait_id,
            "disposition": self.disposition,
        }
        if self.event_id is not None:
            closing["event_id"] = self.event_id
        if self.detail is not None:
            closing["detail"] = self.detail
        return closing

    def takes_back(self, other: Report) -> bool:
        """Whether the other need not be told any more."""
        return (
            self.disposition == Disposition.RETURNED
            and other.disposition == Disposition.ACCEPTED
            and (self.address, self.event_id) == (other.address, other.event_id)
        )


class Reports:
    """The reports of one run, on their way to the task queues of their waits."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}

    def __call__(
        self, wait: WaitAddress, disposition: str, event_id: str, detail: str | None = None
    ) -> asyncio.Task[None] | None:
        """Report what became of an event; the task of it, where it is a call of its own."""
        if not in_batches():
            return single_reports.report(wait, disposition, event_id)
        self.say(Report(wait, disposition, event_id, detail))
        return None

    def say(self, report: Report) -> None:
        """Report it after all that was said before."""
        queue = self._queues.get(report.address.task_queue)
        if queue is None:
            queue = self._queues[report.address.task_queue] = _Queue(report.address.task_queue)
        queue.say(report)

    async def told(self, task_queues: Iterable[str], *, within: timedelta | None = None) -> None:
        """Return when the service knows what was said until now, or when the time is over."""
        queues = [self._queues[name] for name in task_queues if name in self._queues]
        ends = [(queue, queue.hurry()) for queue in queues]

        def all_told() -> bool:
            return all(queue.told_until >= end for queue, end in ends)

        if all_told():
            return
        try:
            await workflow.wait_condition(all_told, timeout=within)
        except TimeoutError:
            workflow.logger.warning("what became of events could not be reported yet")

    def outstanding(self) -> list[list[str | None]]:
        """What the service may not know yet, as plain JSON, for the next run."""
        return [
            [
                each.address.tenant,
                each.address.wait_id,
                each.address.task_queue,
                each.disposition,
                each.event_id,
                each.detail,
            ]
            for queue in self._queues.values()
            for each in queue
        ]

    def load(self, items: Iterable[Iterable[Any]]) -> None:
        """Take over what the previous run could not tell."""
        for tenant, wait_id, task_queue, disposition, event_id, detail in items:
            address = WaitAddress(tenant, wait_id, task_queue)
            self.say(Report(address, disposition, event_id, detail))


class _Queue:
    """Reports to one task queue: one call at a time."""

    def __init__(self, task_queue: str) -> None:
        self.told_until = 0
        """How many of the reports are done with."""
        self._task_queue = task_queue
        self._waiting: deque[Report] = deque()
        self._sending: list[Report] = []
        self._said = 0
        self._hurried_until = 0
        self._next_at: datetime | None = None
        self._batches_known = True
        self._sender: asyncio.Task[None] | None = None

    def __iter__(self) -> Iterator[Report]:
        yield from self._sending
        yield from self._waiting

    def say(self, report: Report) -> None:
        self._waiting.append(report)
        self._said += 1
        if self._sender is None or self._sender.done():
            self._sender = in_background(self._send_all())

    def hurry(self) -> int:
        """Tell what was said until now without a pause; the number that `told_until` reaches."""
        if self.told_until < self._said:
            self._hurried_until = self._said
        return self._said

    async def _send_all(self) -> None:
        while self._waiting:
            await self._pause()
            number = min(len(self._waiting), BATCH)
            self._sending = [self._waiting.popleft() for _ in range(number)]
            await self._send(_without_taken_back(self._sending))
            self._sending = []
            self.told_until += number

    async def _pause(self) -> None:
        def is_due() -> bool:
            return self._hurried_until > self.told_until or len(self._waiting) >= BATCH

        now = workflow.now()
        if self._next_at is not None and now < self._next_at and not is_due():
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(is_due, timeout=self._next_at - now)
        self._next_at = workflow.now() + PACE

    async def _send(self, reports: list[Report]) -> None:
        alone = len(reports) == 1 and _said_by_all_services(reports)
        if not alone and self._batches_known and await self._sent_together(reports):
            return
        for report in reports:
            await self._send_alone(report)

    async def _sent_together(self, reports: list[Report]) -> bool:
        """False when they are to be sent one by one."""
        closings = [report.closing() for report in reports]
        try:
            await self._call(CLOSE_WAITS, {"closings": closings}, f"{len(reports)} reports")
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            cause = error.cause
            if isinstance(cause, ApplicationError) and cause.type == NOT_REGISTERED:
                self._batches_known = False
            return False
        return True

    async def _send_alone(self, report: Report) -> None:
        closing = report.closing()
        if not self._batches_known:
            if report.disposition == Disposition.RETURNED:
                return
            closing.pop("detail", None)
        try:
            await self._call(CLOSE_WAIT, closing, report.disposition)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning(
                "wait %s: %s was not reported", report.address.wait_id, report.disposition
            )

    async def _call(self, activity: str, request: dict[str, Any], summary: str) -> None:
        await workflow.execute_activity(
            activity,
            request,
            task_queue=self._task_queue,
            start_to_close_timeout=ATTEMPT,
            retry_policy=BATCH_RETRIES if activity == CLOSE_WAITS else RETRIES,
            summary=summary,
        )


def _said_by_all_services(reports: Iterable[Report]) -> bool:
    return all(
        report.detail is None and report.disposition != Disposition.RETURNED for report in reports
    )


def _without_taken_back(reports: list[Report]) -> list[Report]:
    """The same without acceptances that a later report takes back, which stays: an earlier attempt
    may have told of them.
    """
    returned = [report for report in reports if report.disposition == Disposition.RETURNED]
    return [each for each in reports if not any(later.takes_back(each) for later in returned)]
