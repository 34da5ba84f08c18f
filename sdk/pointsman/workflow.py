"""Wait for business events inside a Temporal workflow.

    from pointsman.workflow import EventWaitTimeout, wait_for_event

    paid = await wait_for_event(
        "INVOICE_PAID", key=invoice_id, tenant=tenant, timeout=timedelta(days=30)
    )

Works in Temporal's sandbox as it is, and under replay. What every wait guarantees:

- An event that arrives while the wait is being registered is not missed, and with a `lookback`
  neither is one that came shortly before.
- An event reaches a wait once, however often it is published or signalled.
- A `filter` is a plain function of the event, deterministic like all workflow code. An event it
  refuses leaves the wait open; if it raises, the wait is withdrawn and the error is yours.
- Time-outs count from the call. An outage of Pointsman delays a wait and never fails it.
- A wait whose scope is cancelled is withdrawn before the cancellation goes on.

`human_task` asks a person instead, and keeps the same promises.

A workflow that continues as new hands `carry()` to its next run, which calls `restore(state)`
before it waits for anything; see there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from temporalio import workflow

from pointsman.human_tasks import HumanTaskAnswer, human_task
from pointsman.keys import Key
from pointsman.open_waits import OpenWaits, inbox_of_this_run, new_inbox
from pointsman.received_event import ReceivedEvent
from pointsman.wait_errors import (
    EventWaitRefused,
    EventWaitTimeout,
    HumanTaskRefused,
    HumanTaskTimeout,
)
from pointsman.wait_request import CardinalityName, Filter, WaitFor

with workflow.unsafe.imports_passed_through():
    from pointsman.contract import TASK_QUEUE, WaitKind

__all__ = [
    "EventStream",
    "EventWaitRefused",
    "EventWaitTimeout",
    "Filter",
    "HumanTaskAnswer",
    "HumanTaskRefused",
    "HumanTaskTimeout",
    "Key",
    "ReceivedEvent",
    "WaitFor",
    "all_of",
    "carry",
    "event_stream",
    "first_of",
    "human_task",
    "restore",
    "wait_for_event",
]


async def wait_for_event(
    name: str,
    *,
    key: Key,
    tenant: str,
    timeout: timedelta | None = None,
    filter: Filter | None = None,  # noqa: A002 - the word a reader expects here
    lookback: timedelta = timedelta(0),
    cardinality: CardinalityName = "all",
    task_queue: str = TASK_QUEUE,
) -> ReceivedEvent:
    """Wait until an event of this name and correlation key comes for this tenant.

    Keys are compared in canonical form: trimmed text, case-sensitive; numbers by value, so 42
    equals "42". `lookback` also takes fitting events of that past span, oldest first. With
    `cardinality="exclusive"` an event reaches only the oldest of the exclusive waits for it; by
    default it reaches every wait. `task_queue` is where the service's activities are served.

    Raises EventWaitTimeout when `timeout` is over (None waits without limit), EventWaitRefused
    when the wait itself is wrong.
    """
    wait = WaitFor(name, key, tenant, filter, lookback, cardinality)
    return await first_of(wait, timeout=timeout, task_queue=task_queue)


async def first_of(
    *waits: WaitFor, timeout: timedelta | None = None, task_queue: str = TASK_QUEUE
) -> ReceivedEvent:
    """Wait for several events at once and return the first; the other waits are withdrawn.

    Raises as `wait_for_event` does; one refused wait withdraws them all.
    """
    async with OpenWaits.of(waits, timeout=timeout, task_queue=task_queue) as opened:
        return await opened.next_event()


async def all_of(
    *waits: WaitFor, timeout: timedelta | None = None, task_queue: str = TASK_QUEUE
) -> tuple[ReceivedEvent, ...]:
    """Wait until each wait has its event; returns them in the order of the waits.

    Each event is accepted when it comes. On EventWaitTimeout those that came are in the error's
    `received`, and the other waits are withdrawn.
    """
    received: dict[str, ReceivedEvent] = {}
    async with OpenWaits.of(waits, timeout=timeout, task_queue=task_queue) as opened:
        while opened.pending:
            try:
                event = await opened.next_event()
            except EventWaitTimeout as error:
                error.received = tuple(received.values())
                raise
            received[event.wait_id] = event
    return tuple(received[wait_id] for wait_id in opened.wait_ids)


def event_stream(
    name: str,
    *,
    key: Key,
    tenant: str,
    idle_timeout: timedelta | None = None,
    filter: Filter | None = None,  # noqa: A002 - the word a reader expects here
    lookback: timedelta = timedelta(0),
    cardinality: CardinalityName = "all",
    task_queue: str = TASK_QUEUE,
) -> EventStream:
    """Receive every event of this name and key, one after the other, on a single wait.

        async with event_stream("APPOINTMENT_BOOKED", key=client, tenant=tenant) as bookings:
            async for booking in bookings:
                ...

    The wait is open while the block is; `break` or `return` ends it. Events come in order of
    arrival and each once. When none comes for `idle_timeout`, EventWaitTimeout is raised. The
    other arguments are those of `wait_for_event`.

    Temporal allows a run 10,000 signals: let a long stream continue as new (see `carry`) when
    `workflow.info().is_continue_as_new_suggested()` says so.
    """
    wait = WaitFor(name, key, tenant, filter, lookback, cardinality)
    return EventStream(wait, idle_timeout, task_queue)


class EventStream:
    """The events of one wait; made by `event_stream`."""

    def __init__(self, wait: WaitFor, idle_timeout: timedelta | None, task_queue: str) -> None:
        self._wait = wait
        self._idle_timeout = idle_timeout
        self._task_queue = task_queue
        self._opened: OpenWaits | None = None

    async def __aenter__(self) -> Self:
        if self._opened is not None:
            raise RuntimeError("an event stream can be opened only once")
        opened = OpenWaits.of([self._wait], kind=WaitKind.STREAM, task_queue=self._task_queue)
        self._opened = await opened.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._opened is not None:
            await self._opened.__aexit__(kind, error, trace)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ReceivedEvent:
        return await self.next(timeout=self._idle_timeout)

    async def next(self, *, timeout: timedelta | None = None) -> ReceivedEvent:
        """The next event. Raises EventWaitTimeout when none comes in time; the wait stays open."""
        if self._opened is None or not self._opened.pending:
            raise RuntimeError("the event stream is not open")
        return await self._opened.next_event(timeout=timeout)


def carry() -> dict[str, Any]:
    """What the next run must know of this run's waits, as plain JSON.

        workflow.continue_as_new(args=[order, carry()])

    Open waits live on under their wait ids, with the events that arrived for them and were not
    taken yet: the next run gets hold of one again by waiting for the same interest (name, key,
    tenant, cardinality, and stream or not), which then registers nothing anew and keeps the first
    deadline. What was received stays known, so that a repeated signal wakes nothing twice.

    Call it in the argument of `continue_as_new`, so that no event can arrive in between. Its size
    is bounded by what is waiting: all open waits and their undelivered events, at most 1,000
    remembered (wait, event) pairs and 100 closed waits. Temporal allows 2 MiB: take the events of
    a busy stream before continuing.
    """
    return inbox_of_this_run().state()


def restore(state: Mapping[str, Any] | None) -> None:
    """Take over what the previous run carried; None, as in the first run, changes nothing.

    To be called before the run waits for anything. Raises RuntimeError when it already does, and
    ValueError when `state` is not what `carry()` returned.
    """
    if state is not None:
        new_inbox(state)
