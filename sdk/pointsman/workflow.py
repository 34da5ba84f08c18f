"""Wait for business events inside a Temporal workflow.

    from pointsman.workflow import EventWaitTimeout, wait_for_event

    paid = await wait_for_event(
        "INVOICE_PAID", key=invoice_id, tenant=tenant, timeout=timedelta(days=30)
    )

Works in Temporal's sandbox as it is, and under replay. What every wait guarantees:

- An event that arrives while the wait is being registered is not missed, and with a `lookback`
  neither is one that came shortly before.
- An event reaches a wait once, however often it is published or signalled.
- Whoever is cancelled before it has the event has not accepted it: the event came too late then,
  and a later look-back may have it.
- A `filter` is a plain function of the event, deterministic like all workflow code. An event it
  refuses leaves the wait open. If it raises, the error is yours, and where nobody catches it, only
  the workflow task fails: corrected code takes the same event again.
- With `payload=Model` the event's payload is an instance of that pydantic model or dataclass. What
  does not validate is refused like by a filter, and the audit says why.
- Time-outs count from the call. An outage of Pointsman delays a wait and never fails it.
- A wait whose scope is cancelled is withdrawn before the cancellation goes on.

`human_task` asks a person instead, and keeps the same promises.

A workflow that continues as new hands `carry()` to its next run, which calls `restore(state)`
before it waits for anything; see there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast, overload

from temporalio import workflow

from pointsman.human_tasks import HumanTaskAnswer, human_task
from pointsman.keys import Key
from pointsman.open_waits import OpenWaits, WaitTerms
from pointsman.received_event import ReceivedEvent, TypedEvent
from pointsman.run_inbox import inbox_of_this_run, new_inbox, restored_inbox
from pointsman.wait_errors import (
    EventWaitRefused,
    EventWaitTimeout,
    HumanTaskRefused,
    HumanTaskTimeout,
)
from pointsman.wait_request import CardinalityName, Filter, WaitFor

with workflow.unsafe.imports_passed_through():
    from pointsman.contract import EVENT_SIGNAL, TASK_QUEUE, WaitKind

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
    "TypedEvent",
    "WaitFor",
    "all_of",
    "carry",
    "event_stream",
    "first_of",
    "human_task",
    "own_signals",
    "restore",
    "wait_for_event",
]

Model = TypeVar("Model")
Received_co = TypeVar("Received_co", bound=ReceivedEvent, covariant=True)


@overload
async def wait_for_event(
    name: str,
    *,
    key: Key,
    tenant: str,
    timeout: timedelta | None = None,
    filter: Filter | None = None,
    lookback: timedelta = ...,
    cardinality: CardinalityName = "all",
    task_queue: str = TASK_QUEUE,
    payload: None = None,
    retry_on_timeout: bool = False,
) -> ReceivedEvent: ...


@overload
async def wait_for_event(
    name: str,
    *,
    key: Key,
    tenant: str,
    timeout: timedelta | None = None,
    filter: Callable[[TypedEvent[Model]], bool] | None = None,
    lookback: timedelta = ...,
    cardinality: CardinalityName = "all",
    task_queue: str = TASK_QUEUE,
    payload: type[Model],
    retry_on_timeout: bool = False,
) -> TypedEvent[Model]: ...


async def wait_for_event(
    name: str,
    *,
    key: Key,
    tenant: str,
    timeout: timedelta | None = None,
    filter: Any = None,  # noqa: A002 - the word a reader expects here
    lookback: timedelta = timedelta(0),
    cardinality: CardinalityName = "all",
    task_queue: str = TASK_QUEUE,
    payload: Any = None,
    retry_on_timeout: bool = False,
) -> Any:
    """Wait until an event of this name and correlation key comes for this tenant.

    Keys are compared in canonical form: trimmed text, case-sensitive; numbers by value, so 42
    equals "42". `lookback` also takes fitting events of that past span, oldest first. With
    `cardinality="exclusive"` an event reaches only the oldest of the exclusive waits for it; by
    default it reaches every wait. `task_queue` is where the service's activities are served.
    `payload` is a pydantic model or a dataclass: the event's payload becomes an instance of it, for
    the filter as well, and an event that does not validate is refused as by a filter.

    Raises EventWaitTimeout when `timeout` is over (None waits without limit), EventWaitRefused
    when the wait itself is wrong. A time-out that fails the workflow is final for its retry policy,
    unless `retry_on_timeout` is set.
    """
    wait = WaitFor(name, key, tenant, filter, lookback, cardinality, payload)
    return await first_of(
        wait, timeout=timeout, task_queue=task_queue, retry_on_timeout=retry_on_timeout
    )


async def first_of(
    *waits: WaitFor,
    timeout: timedelta | None = None,
    task_queue: str = TASK_QUEUE,
    retry_on_timeout: bool = False,
) -> ReceivedEvent:
    """Wait for several events at once and return the first; the other waits are withdrawn.

    Raises as `wait_for_event` does; one refused wait withdraws them all.
    """
    terms = WaitTerms(task_queue, timeout=timeout, retry_on_timeout=retry_on_timeout)
    async with OpenWaits.of(waits, terms) as opened:
        return await opened.next_event()


async def all_of(
    *waits: WaitFor,
    timeout: timedelta | None = None,
    task_queue: str = TASK_QUEUE,
    retry_on_timeout: bool = False,
) -> tuple[ReceivedEvent, ...]:
    """Wait until each wait has its event; returns them in the order of the waits.

    Each event is accepted when it comes. On EventWaitTimeout those that came are in the error's
    `received`, and the other waits are withdrawn. On any other error, and on a cancellation, those
    that came are given back: the audit calls them late, and a look-back may have them.
    """
    received: dict[str, ReceivedEvent] = {}
    terms = WaitTerms(task_queue, timeout=timeout, retry_on_timeout=retry_on_timeout)
    async with OpenWaits.of(waits, terms) as opened:
        while opened.pending:
            try:
                event = await opened.next_event()
            except EventWaitTimeout as error:
                error.received = tuple(received.values())
                raise
            received[event.wait_id] = event
    return tuple(received[wait_id] for wait_id in opened.wait_ids)


@overload
def event_stream(
    name: str,
    *,
    key: Key,
    tenant: str,
    idle_timeout: timedelta | None = None,
    filter: Filter | None = None,
    lookback: timedelta = ...,
    cardinality: CardinalityName = "all",
    task_queue: str = TASK_QUEUE,
    payload: None = None,
    retry_on_timeout: bool = False,
) -> EventStream[ReceivedEvent]: ...


@overload
def event_stream(
    name: str,
    *,
    key: Key,
    tenant: str,
    idle_timeout: timedelta | None = None,
    filter: Callable[[TypedEvent[Model]], bool] | None = None,
    lookback: timedelta = ...,
    cardinality: CardinalityName = "all",
    task_queue: str = TASK_QUEUE,
    payload: type[Model],
    retry_on_timeout: bool = False,
) -> EventStream[TypedEvent[Model]]: ...


def event_stream(
    name: str,
    *,
    key: Key,
    tenant: str,
    idle_timeout: timedelta | None = None,
    filter: Any = None,  # noqa: A002 - the word a reader expects here
    lookback: timedelta = timedelta(0),
    cardinality: CardinalityName = "all",
    task_queue: str = TASK_QUEUE,
    payload: Any = None,
    retry_on_timeout: bool = False,
) -> EventStream[Any]:
    """Receive every event of this name and key, one after the other, on a single wait.

        async with event_stream("APPOINTMENT_BOOKED", key=client, tenant=tenant) as bookings:
            async for booking in bookings:
                ...

    The wait is open while the block is; `break` or `return` ends it. Events come in order of
    arrival and each once. An event is accepted when your code gets it; that is reported in the
    background, many at once, and at the latest when the block is left. When none comes for
    `idle_timeout`, EventWaitTimeout is raised. The other arguments are those of `wait_for_event`.

    Temporal allows a run 10,000 signals: let a long stream continue as new (see `carry`) when
    `workflow.info().is_continue_as_new_suggested()` says so.
    """
    wait = WaitFor(name, key, tenant, filter, lookback, cardinality, payload)
    terms = WaitTerms(task_queue, WaitKind.STREAM, retry_on_timeout=retry_on_timeout)
    return EventStream(wait, idle_timeout, terms)


class EventStream(Generic[Received_co]):
    """The events of one wait; made by `event_stream`."""

    def __init__(self, wait: WaitFor, idle_timeout: timedelta | None, terms: WaitTerms) -> None:
        self._wait = wait
        self._idle_timeout = idle_timeout
        self._terms = terms
        self._opened: OpenWaits | None = None

    async def __aenter__(self) -> Self:
        if self._opened is not None:
            raise RuntimeError("an event stream can be opened only once")
        self._opened = await OpenWaits.of([self._wait], self._terms).__aenter__()
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

    async def __anext__(self) -> Received_co:
        return await self.next(timeout=self._idle_timeout)

    async def next(self, *, timeout: timedelta | None = None) -> Received_co:
        """The next event. Raises EventWaitTimeout when none comes in time; the wait stays open."""
        if self._opened is None or not self._opened.pending:
            raise RuntimeError("the event stream is not open")
        return cast("Received_co", await self._opened.next_event(timeout=timeout))


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

    A run that continues without it while it has open waits is stopped by a RuntimeError, which
    fails the workflow task: nothing is lost until the code is corrected. Also raised in a workflow
    with a dynamic signal handler that does not call `own_signals`.
    """
    return inbox_of_this_run().carried_state()


def restore(state: Mapping[str, Any] | None) -> None:
    """Take over what the previous run carried; None, as in the first run, changes nothing.

    To be called before the run waits for anything. Raises RuntimeError when it already does, and
    ValueError when `state` is not what `carry()` returned.
    """
    if state is not None:
        restored_inbox(state)


def own_signals() -> None:
    """Let no dynamic signal handler have the events; to be called in the workflow's `__init__`.

        @workflow.defn
        class Bookings:
            def __init__(self) -> None:
                own_signals()

    Needed only by workflows with `@workflow.signal(dynamic=True)` that continue as new: the events
    that reach a run before it calls `restore` would go to that handler.
    """
    if workflow.get_signal_handler(EVENT_SIGNAL) is not None:
        raise RuntimeError("own_signals() belongs into the workflow's __init__")
    new_inbox(early=True)
