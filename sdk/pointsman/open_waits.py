"""The waits that one call holds open, from their registration to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self

from temporalio import workflow

from pointsman import single_reports, wait_calls
from pointsman.inbox import OpenWait, WaitAddress
from pointsman.received_event import ReceivedEvent
from pointsman.reports import Report, in_batches
from pointsman.run_inbox import (
    RunInbox,
    check_hears_tasks,
    inbox_of_this_run,
    refuse_to_forget,
)
from pointsman.typed_payload import reading_of
from pointsman.wait_calls import WITHDRAWAL
from pointsman.wait_errors import EventWaitRefused, EventWaitTimeout
from pointsman.wait_request import TaskTerms, WaitFor, deadline_after, registration

with workflow.unsafe.imports_passed_through():
    from pointsman.contract import Disposition, WaitKind
    from pointsman.wait_refusals import refusal_of

REFUSED_UNSENT = "pointsman-refused-unsent"
"""Marks a run that refuses a wait before it is sent."""


@dataclass(frozen=True, slots=True)
class AskedTask:
    """The human task that a wait of that kind is about."""

    terms: TaskTerms
    task_id: str
    chosen: bool
    """True when the workflow chose the id: then a carried task must have it."""


@dataclass(frozen=True, slots=True)
class WaitTerms:
    """What the waits of one call have in common."""

    task_queue: str
    kind: WaitKind = WaitKind.EVENT
    timeout: timedelta | None = None
    task: AskedTask | None = None
    """Belongs to a single wait of kind `human`, whose id is the task's."""
    retry_on_timeout: bool = False
    """Whether a time-out that fails the workflow lets its retry policy run it again."""


class OpenWaits:
    """Holds waits open while its block runs; leaving it withdraws those still open.

    What the service is told of them follows from how the block is left: `timed_out`, `cancelled`,
    or, of a stream that simply ends, `accepted`. A run that continues as new with its state carried
    leaves them open for the next run.

    An event that was taken in the block belongs to whom the block returns to. Whoever is cancelled
    before has not got it: then it is given back.
    """

    def __init__(
        self,
        inbox: RunInbox,
        waits: Sequence[OpenWait],
        deadline: datetime | None,
        terms: WaitTerms,
    ) -> None:
        self._inbox = inbox
        self._waits = waits
        self._deadline = deadline
        self._terms = terms
        self._taken: list[tuple[OpenWait, ReceivedEvent]] = []
        self.wait_ids = [wait.address.wait_id for wait in waits]

    @classmethod
    def of(cls, waits: Sequence[WaitFor], terms: WaitTerms) -> Self:
        """Begin to register the waits. Raises EventWaitRefused if one cannot even be sent."""
        if not waits:
            raise EventWaitRefused("no wait is given")
        deadline = deadline_after(workflow.now(), terms.timeout)
        requests = [_request(wait, terms, deadline) for wait in waits]
        readings = [None if wait.payload is None else reading_of(wait.payload) for wait in waits]
        chosen = terms.task.task_id if terms.task is not None and terms.task.chosen else None
        if terms.timeout is not None and terms.timeout <= timedelta(0):
            raise _timed_out(requests, terms)
        inbox = inbox_of_this_run()
        if terms.task is not None:
            check_hears_tasks(inbox)
        opened = [
            inbox.claim(request, wait.filter, wait_id=chosen, reading=reading)
            or _new(
                inbox, OpenWait(request, _address(request, terms), deadline, wait.filter, reading)
            )
            for wait, request, reading in zip(waits, requests, readings, strict=True)
        ]
        for wait in opened:
            if not wait.registered and wait.registering is None:
                # What the run took has been told by then: a look-back must not bring it again.
                before = partial(inbox.reports.told, [wait.address.task_queue])
                wait.registering = asyncio.create_task(wait_calls.register(wait, before))
        first = min((wait.deadline for wait in opened if wait.deadline), default=None)
        return cls(inbox, opened, first, terms)

    @property
    def pending(self) -> list[OpenWait]:
        """The waits that still can receive an event."""
        return [wait for wait in self._waits if self._inbox.is_open(wait)]

    async def next_event(self, *, timeout: timedelta | None = None) -> ReceivedEvent:
        """The event that arrived first of all that are there.

        Raises EventWaitTimeout, EventWaitRefused, or what a filter raised.
        """
        deadline = self._deadline if timeout is None else deadline_after(workflow.now(), timeout)
        wait = await self._first_ready(self.pending, deadline)
        _, event = wait.candidates.popleft()
        self._inbox.accept(wait, event)
        if not in_batches():
            return await self._taken_singly(wait, event)
        # Nothing is awaited from here on, so that no cancellation comes between.
        self._say(wait, Disposition.ACCEPTED, event.event_id)
        if wait.request["kind"] != WaitKind.STREAM:
            self._inbox.close(wait)
            self._taken.append((wait, event))
        return event

    async def _taken_singly(self, wait: OpenWait, event: ReceivedEvent) -> ReceivedEvent:
        if wait.request["kind"] != WaitKind.STREAM:
            self._inbox.close(wait)
        await single_reports.uninterrupted(single_reports.accept(wait, event.event_id))
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if isinstance(error, GeneratorExit):
            return
        if isinstance(error, workflow.ContinueAsNewError):
            if self._inbox.carried:
                return
            refuse_to_forget(self._inbox)
        waits = self.pending
        for wait in waits:
            self._inbox.close(wait)
        how = _how_it_ends(error, self._terms.kind)
        if not waits and not self._taken:
            return
        if not in_batches():
            if waits:
                await single_reports.uninterrupted(_end_singly(waits, how))
            return
        if error is not None and not isinstance(error, EventWaitTimeout):
            self._give_back()
        withdrawing = wait_calls.in_background(self._withdraw(waits, how))
        if error is None or _fails_workflow(error):
            await self._told(withdrawing)
        # Else the workflow task fails if nobody catches the error, and none of this is sent: the
        # run goes on from here with corrected code.

    async def _told(self, withdrawing: asyncio.Task[None]) -> None:
        """Return when the service knows of all this. Whoever is cancelled meanwhile has nothing."""
        patience = None if self._taken else WITHDRAWAL
        requested = _cancellations()
        interruption: asyncio.CancelledError | None = None
        while not withdrawing.done():
            try:
                await asyncio.shield(withdrawing)
            except asyncio.CancelledError as error:
                interruption = error
        if interruption is None:
            try:
                await self._inbox.reports.told(self._task_queues, within=patience)
            except asyncio.CancelledError as error:
                interruption = error
        if interruption is None and _cancellations() <= requested:
            return
        interruption = interruption or asyncio.CancelledError()
        self._give_back()
        last = wait_calls.in_background(
            self._inbox.reports.told(self._task_queues, within=WITHDRAWAL)
        )
        while not last.done():
            try:
                await asyncio.shield(last)
            except asyncio.CancelledError as error:
                interruption = error
        raise interruption

    async def _withdraw(self, waits: Sequence[OpenWait], how: Disposition) -> None:
        """Report the end of waits, which none of their registrations may overtake."""
        registering = [wait.registering for wait in waits if wait.registering is not None]
        for task in registering:
            task.cancel()
        await asyncio.gather(*registering, return_exceptions=True)
        for wait in waits:
            if not isinstance(wait.failure, EventWaitRefused):
                self._say(wait, how)

    def _give_back(self) -> None:
        """Nobody gets what was taken: it came too late, and a look-back may have it."""
        for wait, event in self._taken:
            self._inbox.give_back(wait, event)
            self._say(wait, Disposition.RETURNED, event.event_id)
            self._say(wait, Disposition.CANCELLED)
        self._taken.clear()

    def _say(self, wait: OpenWait, disposition: Disposition, event_id: str | None = None) -> None:
        self._inbox.reports.say(Report(wait.address, disposition.value, event_id))

    @property
    def _task_queues(self) -> set[str]:
        return {wait.address.task_queue for wait in self._waits}

    async def _first_ready(self, waits: Sequence[OpenWait], deadline: datetime | None) -> OpenWait:
        def is_ready() -> bool:
            return any(wait.ready for wait in waits)

        if not is_ready():
            requested = _cancellations()
            try:
                await workflow.wait_condition(is_ready, timeout=_until(deadline))
            except TimeoutError:
                # An event that came in the same instant still counts.
                if not is_ready():
                    raise _timed_out([wait.request for wait in waits], self._terms) from None
            if _cancellations() > requested and in_batches():
                # asyncio.wait_for prefers a result over a cancellation in the same instant.
                raise asyncio.CancelledError
        arrived = [wait for wait in waits if wait.candidates]
        if not arrived:
            raise next(wait.failure for wait in waits if wait.failure is not None)
        return min(arrived, key=lambda wait: wait.candidates[0][0])


def _cancellations() -> int:
    """How often the cancellation of the current task was asked for, and not withdrawn."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _fails_workflow(error: BaseException) -> bool:
    """Whether the error ends the workflow if nobody catches it, and not only its workflow task."""
    return isinstance(error, asyncio.CancelledError) or workflow.is_failure_exception(error)


def _until(deadline: datetime | None) -> timedelta | None:
    return None if deadline is None else max(deadline - workflow.now(), timedelta(0))


def _how_it_ends(error: BaseException | None, kind: WaitKind) -> Disposition:
    if error is None and kind is WaitKind.STREAM:
        return Disposition.ACCEPTED
    if isinstance(error, EventWaitTimeout):
        return Disposition.TIMED_OUT
    return Disposition.CANCELLED


async def _end_singly(waits: Sequence[OpenWait], how: Disposition) -> None:
    await asyncio.gather(*(single_reports.withdraw(wait, how) for wait in waits))


def _request(wait: WaitFor, terms: WaitTerms, deadline: datetime | None) -> dict[str, Any]:
    info, task = workflow.info(), terms.task
    try:
        request = registration(
            wait,
            kind=terms.kind,
            wait_id=str(workflow.uuid4()) if task is None else task.task_id,
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            first_run_id=info.first_execution_run_id,
            namespace=info.namespace,
            deadline=deadline,
            task=None if task is None else task.terms,
        )
    except ValueError as error:
        raise EventWaitRefused(f"{wait.name}: {error}") from None
    # The marker lets a run that sent such a request before go on as it did.
    if (refusal := refusal_of(request)) is not None and workflow.patched(REFUSED_UNSENT):
        raise EventWaitRefused(f"{wait.name}: {refusal}")
    return request


def _address(request: Mapping[str, Any], terms: WaitTerms) -> WaitAddress:
    return WaitAddress(request["tenant"], request["wait_id"], terms.task_queue)


def _new(inbox: RunInbox, wait: OpenWait) -> OpenWait:
    if inbox.waited_before(wait.request) and not wait.request["lookback_seconds"]:
        inbox.warn_of_gap(wait.request)
    inbox.add(wait)
    return wait


def _timed_out(requests: Sequence[Mapping[str, Any]], terms: WaitTerms) -> EventWaitTimeout:
    waited_for = ", ".join(f"{item['event_name']} {item['correlation_key']!r}" for item in requests)
    return EventWaitTimeout(waited_for, retryable=terms.retry_on_timeout)
