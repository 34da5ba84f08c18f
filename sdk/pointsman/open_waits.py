"""The waits that one call holds open, from their registration to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from temporalio import workflow

from pointsman import wait_calls
from pointsman.inbox import Inbox, OpenWait, WaitAddress
from pointsman.received_event import ReceivedEvent
from pointsman.wait_errors import EventWaitRefused, EventWaitTimeout
from pointsman.wait_request import TaskTerms, WaitFor, deadline_after, registration

with workflow.unsafe.imports_passed_through():
    from pointsman.contract import EVENT_SIGNAL, HUMAN_TASK_SIGNAL, Disposition, WaitKind
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


class OpenWaits:
    """Holds waits open while its block runs; leaving it withdraws those still open.

    What the service is told of them follows from how the block is left: `timed_out`, `cancelled`,
    or, of a stream that simply ends, `accepted`. A run that continues as new with its state carried
    leaves them open for the next run.
    """

    def __init__(self, inbox: Inbox, waits: Sequence[OpenWait], deadline: datetime | None) -> None:
        self._inbox = inbox
        self._waits = waits
        self._deadline = deadline
        self.wait_ids = [wait.address.wait_id for wait in waits]

    @classmethod
    def of(
        cls,
        waits: Sequence[WaitFor],
        *,
        task_queue: str,
        kind: WaitKind = WaitKind.EVENT,
        timeout: timedelta | None = None,
        task: AskedTask | None = None,
    ) -> Self:
        """Begin to register the waits. Raises EventWaitRefused if one cannot even be sent.

        A `task` belongs to a single wait of kind `human`, whose id is the task's.
        """
        if not waits:
            raise EventWaitRefused("no wait is given")
        deadline = deadline_after(workflow.now(), timeout)
        requests = [_request(wait, kind, deadline, task) for wait in waits]
        chosen = task.task_id if task is not None and task.chosen else None
        if timeout is not None and timeout <= timedelta(0):
            raise EventWaitTimeout(_in_words(requests))
        inbox = inbox_of_this_run()
        if task is not None:
            _check_hears_tasks(inbox)
        opened = [
            inbox.claim(request, wait.filter, wait_id=chosen)
            or _new(inbox, request, wait, deadline, task_queue)
            for wait, request in zip(waits, requests, strict=True)
        ]
        for wait in opened:
            if not wait.registered and wait.registering is None:
                wait.registering = asyncio.create_task(wait_calls.register(wait))
        return cls(inbox, opened, min((w.deadline for w in opened if w.deadline), default=None))

    @property
    def pending(self) -> list[OpenWait]:
        """The waits that still can receive an event."""
        return [wait for wait in self._waits if self._inbox.is_open(wait)]

    async def next_event(self, *, timeout: timedelta | None = None) -> ReceivedEvent:
        """The event that arrived first of all that are there, accepted before it is returned.

        Raises EventWaitTimeout, EventWaitRefused, or what a filter raised.
        """
        deadline = self._deadline if timeout is None else deadline_after(workflow.now(), timeout)
        wait = await _first_ready(self.pending, deadline)
        _, event = wait.candidates.popleft()
        self._inbox.accept(wait, event)
        if wait.request["kind"] != WaitKind.STREAM:
            self._inbox.close(wait)
        await wait_calls.uninterrupted(wait_calls.accept(wait, event.event_id))
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if isinstance(error, workflow.ContinueAsNewError) and self._inbox.carried:
            return
        waits = self.pending
        for wait in waits:
            self._inbox.close(wait)
        if waits:
            await wait_calls.uninterrupted(_end(waits, error))


def inbox_of_this_run() -> Inbox:
    """The run's inbox. It is found through its signal handler: a module variable would be shared
    by the runs of a worker without a sandbox.
    """
    handler = workflow.get_signal_handler(EVENT_SIGNAL)
    if handler is None:
        return new_inbox(None)
    owner = getattr(handler, "__self__", None)
    if not isinstance(owner, Inbox):
        raise TypeError(f"the workflow handles the signal {EVENT_SIGNAL!r}; Pointsman needs it")
    return owner


def new_inbox(state: Mapping[str, Any] | None) -> Inbox:
    """Give the run its inbox. Signals that came before are handed to it at once."""
    if workflow.get_signal_handler(EVENT_SIGNAL) is not None:
        raise RuntimeError("restore() must be called before the run waits for anything")
    inbox = Inbox(wait_calls.report)
    if state is not None:
        inbox.load(state)
    workflow.set_signal_handler(EVENT_SIGNAL, inbox.receive)
    # Waits of human tasks that the previous run carried may be signalled before code asks again.
    if workflow.get_signal_handler(HUMAN_TASK_SIGNAL) is None:
        workflow.set_signal_handler(HUMAN_TASK_SIGNAL, inbox.receive)
    return inbox


def _check_hears_tasks(inbox: Inbox) -> None:
    handler = workflow.get_signal_handler(HUMAN_TASK_SIGNAL)
    if getattr(handler, "__self__", None) is not inbox:
        raise TypeError(
            f"the workflow handles the signal {HUMAN_TASK_SIGNAL!r}; Pointsman needs it"
        )


async def _first_ready(waits: Sequence[OpenWait], deadline: datetime | None) -> OpenWait:
    def is_ready() -> bool:
        return any(wait.ready for wait in waits)

    if not is_ready():
        try:
            await workflow.wait_condition(is_ready, timeout=_until(deadline))
        except TimeoutError:
            # An event that came in the same instant still counts.
            if not is_ready():
                raise EventWaitTimeout(_in_words([wait.request for wait in waits])) from None
    arrived = [wait for wait in waits if wait.candidates]
    if not arrived:
        raise next(wait.failure for wait in waits if wait.failure is not None)
    return min(arrived, key=lambda wait: wait.candidates[0][0])


def _until(deadline: datetime | None) -> timedelta | None:
    return None if deadline is None else max(deadline - workflow.now(), timedelta(0))


async def _end(waits: Sequence[OpenWait], error: BaseException | None) -> None:
    await asyncio.gather(*(_end_one(wait, error) for wait in waits))


async def _end_one(wait: OpenWait, error: BaseException | None) -> None:
    if error is None and wait.request["kind"] == WaitKind.STREAM:
        await wait_calls.withdraw(wait, Disposition.ACCEPTED)
    elif isinstance(error, EventWaitTimeout):
        await wait_calls.withdraw(wait, Disposition.TIMED_OUT)
    else:
        await wait_calls.withdraw(wait, Disposition.CANCELLED)


def _request(
    wait: WaitFor, kind: WaitKind, deadline: datetime | None, task: AskedTask | None
) -> dict[str, Any]:
    info = workflow.info()
    try:
        request = registration(
            wait,
            kind=kind,
            wait_id=str(workflow.uuid4()) if task is None else task.task_id,
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            deadline=deadline,
            task=None if task is None else task.terms,
        )
    except ValueError as error:
        raise EventWaitRefused(f"{wait.name}: {error}") from None
    # The marker lets a run that sent such a request before go on as it did.
    if (refusal := refusal_of(request)) is not None and workflow.patched(REFUSED_UNSENT):
        raise EventWaitRefused(f"{wait.name}: {refusal}")
    return request


def _new(
    inbox: Inbox,
    request: dict[str, Any],
    wait: WaitFor,
    deadline: datetime | None,
    task_queue: str,
) -> OpenWait:
    address = WaitAddress(wait.tenant, request["wait_id"], task_queue)
    opened = OpenWait(request, address, deadline, wait.filter)
    inbox.add(opened)
    return opened


def _in_words(requests: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{item['event_name']} {item['correlation_key']!r}" for item in requests)
