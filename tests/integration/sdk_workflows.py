"""Workflows that the tests of the SDK run: each waits in one way and returns what woke it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from temporalio import workflow

from pointsman.workflow import (
    EventWaitTimeout,
    HumanTaskTimeout,
    ReceivedEvent,
    WaitFor,
    all_of,
    carry,
    event_stream,
    first_of,
    human_task,
    restore,
    wait_for_event,
)


@dataclass
class Waiting:
    """How a test workflow waits; the fake service serves its activities on `queue`."""

    queue: str
    key: Any = "4711"
    tenant: str = "acme"
    timeout_seconds: float | None = 30.0
    lookback_seconds: float = 0.0
    rounds: int = 1
    carried: dict[str, Any] | None = None
    received: list[str] = field(default_factory=list)

    @property
    def timeout(self) -> timedelta | None:
        return None if self.timeout_seconds is None else timedelta(seconds=self.timeout_seconds)

    def on(self, name: str) -> WaitFor:
        return WaitFor(name, key=self.key, tenant=self.tenant)


def is_large(event: ReceivedEvent) -> bool:
    """The amount is over 100"""
    return bool(event.payload["amount"] > 100)


@workflow.defn
class OneEvent:
    @workflow.run
    async def run(self, waiting: Waiting) -> ReceivedEvent:
        return await wait_for_event(
            "INVOICE_PAID",
            key=waiting.key,
            tenant=waiting.tenant,
            timeout=waiting.timeout,
            lookback=timedelta(seconds=waiting.lookback_seconds),
            task_queue=waiting.queue,
        )


@workflow.defn
class FilteredEvent:
    """Lives on after a filter that failed, where more than one round is asked for."""

    def __init__(self) -> None:
        self._ended = False

    @workflow.signal
    def end(self) -> None:
        self._ended = True

    @workflow.run
    async def run(self, waiting: Waiting) -> str:
        try:
            event = await wait_for_event(
                "INVOICE_PAID",
                key=waiting.key,
                tenant=waiting.tenant,
                timeout=waiting.timeout,
                filter=is_large,
                task_queue=waiting.queue,
            )
        except KeyError as missing:
            await workflow.wait_condition(lambda: self._ended or waiting.rounds == 1)
            return f"filter failed on {missing}"
        return event.event_id


@workflow.defn
class TwoEventsInTurn:
    """Waits for the same interest twice, so that a repeated signal could wake it twice."""

    @workflow.run
    async def run(self, waiting: Waiting) -> list[str]:
        for _ in range(2):
            event = await wait_for_event(
                "INVOICE_PAID", key=waiting.key, tenant=waiting.tenant, task_queue=waiting.queue
            )
            waiting.received.append(event.event_id)
        return waiting.received


@workflow.defn
class FirstOfTwo:
    @workflow.run
    async def run(self, waiting: Waiting) -> str:
        event = await first_of(
            waiting.on("QUOTE_ACCEPTED"),
            waiting.on("QUOTE_REJECTED"),
            timeout=waiting.timeout,
            task_queue=waiting.queue,
        )
        return f"{event.name} {event.event_id}"


@workflow.defn
class AllOfTwo:
    @workflow.run
    async def run(self, waiting: Waiting) -> list[str]:
        try:
            events = await all_of(
                waiting.on("PROJECT_APPROVED"),
                waiting.on("PROJECT_STAFFED"),
                timeout=waiting.timeout,
                task_queue=waiting.queue,
            )
        except EventWaitTimeout as timeout:
            return ["timed out", *(event.event_id for event in timeout.received)]
        return [event.event_id for event in events]


@workflow.defn
class StreamOfEvents:
    """Takes `rounds` events of a stream, then waits to be asked to end."""

    def __init__(self) -> None:
        self._ended = False

    @workflow.run
    async def run(self, waiting: Waiting) -> list[str]:
        async with event_stream(
            "BOOKED",
            key=waiting.key,
            tenant=waiting.tenant,
            idle_timeout=waiting.timeout,
            task_queue=waiting.queue,
        ) as bookings:
            async for booking in bookings:
                waiting.received.append(booking.event_id)
                if len(waiting.received) == waiting.rounds:
                    break
        await workflow.wait_condition(lambda: self._ended)
        return waiting.received

    @workflow.signal
    def end(self) -> None:
        self._ended = True


@workflow.defn
class StreamContinuedAsNew:
    """Continues as new after each event, in the middle of the stream; ends after `rounds`."""

    def __init__(self) -> None:
        self._may_continue = False

    @workflow.run
    async def run(self, waiting: Waiting) -> list[str]:
        restore(waiting.carried)
        async with event_stream(
            "BOOKED", key=waiting.key, tenant=waiting.tenant, task_queue=waiting.queue
        ) as bookings:
            async for booking in bookings:
                waiting.received.append(booking.event_id)
                if len(waiting.received) == waiting.rounds:
                    break
                await workflow.wait_condition(lambda: self._may_continue)
                waiting.carried = carry()
                workflow.continue_as_new(waiting)
        return waiting.received

    @workflow.signal
    def go_on(self) -> None:
        self._may_continue = True


@workflow.defn
class WaitContinuedAsNew:
    """Continues as new while another task of the run holds a wait open; then waits again."""

    def __init__(self) -> None:
        self._may_continue = False

    @workflow.run
    async def run(self, waiting: Waiting) -> str:
        restore(waiting.carried)
        paid = wait_for_event(
            "INVOICE_PAID",
            key=waiting.key,
            tenant=waiting.tenant,
            timeout=waiting.timeout,
            task_queue=waiting.queue,
        )
        if waiting.rounds > 0:
            task = asyncio.create_task(paid)
            await workflow.wait_condition(lambda: self._may_continue)
            assert not task.done()
            waiting.rounds -= 1
            waiting.carried = carry()
            workflow.continue_as_new(waiting)
        return (await paid).event_id

    @workflow.signal
    def go_on(self) -> None:
        self._may_continue = True


@workflow.defn
class ScopedWait:
    """A wait in a scope of its own, which a signal cancels while the run goes on."""

    def __init__(self) -> None:
        self._task: asyncio.Task[ReceivedEvent] | None = None

    @workflow.run
    async def run(self, waiting: Waiting) -> str:
        self._task = asyncio.create_task(
            wait_for_event(
                "INVOICE_PAID", key=waiting.key, tenant=waiting.tenant, task_queue=waiting.queue
            )
        )
        try:
            await self._task
        except asyncio.CancelledError:
            return "cancelled"
        return "received"

    @workflow.signal
    def give_up(self) -> None:
        if self._task is not None:
            self._task.cancel()


@workflow.defn
class WaitThenLinger:
    """Receives one event and lives on, so that later events for its closed wait reach it."""

    def __init__(self) -> None:
        self._ended = False

    @workflow.run
    async def run(self, waiting: Waiting) -> str:
        try:
            event = await wait_for_event(
                "INVOICE_PAID",
                key=waiting.key,
                tenant=waiting.tenant,
                timeout=waiting.timeout,
                task_queue=waiting.queue,
            )
            woken_by = event.event_id
        except EventWaitTimeout:
            woken_by = "nothing"
        await workflow.wait_condition(lambda: self._ended)
        return woken_by

    @workflow.signal
    def end(self) -> None:
        self._ended = True


FORM = {"type": "object", "properties": {"approved": {"type": "boolean"}}}


@workflow.defn
class AskedPerson:
    """Asks a person once; a second ask takes an id that the test gave."""

    @workflow.run
    async def run(self, waiting: Waiting) -> str:
        try:
            answer = await human_task(
                "Approve it",
                tenant=waiting.tenant,
                form=FORM,
                assignees=["ada", "bob"],
                due=timedelta(hours=4),
                timeout=waiting.timeout,
                task_id=waiting.key if waiting.key != "4711" else None,
                task_queue=waiting.queue,
            )
        except HumanTaskTimeout:
            return "nobody answered"
        return f"{answer.completed_by} {answer.answer['approved']} {answer.event_id}"


@workflow.defn
class AskedOverRuns:
    """Asks in its first run, continues as new, and asks the same in the next."""

    @workflow.run
    async def run(self, waiting: Waiting) -> str:
        restore(waiting.carried)
        asking = asyncio.create_task(
            human_task("Approve it", tenant=waiting.tenant, task_queue=waiting.queue)
        )
        if waiting.carried is None:
            await workflow.wait_condition(lambda: self._going_on)
            workflow.continue_as_new(replace(waiting, carried=carry()))
        return (await asking).event_id

    def __init__(self) -> None:
        self._going_on = False

    @workflow.signal
    def go_on(self) -> None:
        self._going_on = True


WORKFLOWS = [
    AllOfTwo,
    AskedOverRuns,
    AskedPerson,
    FilteredEvent,
    FirstOfTwo,
    OneEvent,
    ScopedWait,
    StreamContinuedAsNew,
    StreamOfEvents,
    TwoEventsInTurn,
    WaitContinuedAsNew,
    WaitThenLinger,
]
