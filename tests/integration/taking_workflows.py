"""Workflows that lose, or must not lose, an event between its arrival and the code that waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue

from pointsman.workflow import (
    TypedEvent,
    WaitFor,
    all_of,
    carry,
    event_stream,
    first_of,
    human_task,
    own_signals,
    restore,
    wait_for_event,
)
from tests.integration.sdk_workflows import Waiting

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel

PATIENCE = 1.5


def waited_for(way: str, waiting: Waiting) -> Any:
    """The call that waits."""
    paid, other = waiting.on("INVOICE_PAID"), waiting.on("INVOICE_CANCELLED")
    match way:
        case "first of":
            return first_of(paid, other, task_queue=waiting.queue)
        case "all of":
            return all_of(paid, other, task_queue=waiting.queue)
        case "person":
            return human_task("Pay", tenant=waiting.tenant, task_queue=waiting.queue)
        case _:
            return wait_for_event(
                "INVOICE_PAID", key=waiting.key, tenant=waiting.tenant, task_queue=waiting.queue
            )


async def given_up(way: str, call: Any) -> Any:
    """What the call returns; None when the patience of its caller was over before."""
    task: asyncio.Task[Any] = asyncio.create_task(call)
    match way:
        case "cancel":
            await asyncio.sleep(PATIENCE)
            task.cancel()
        case "beside a timer":
            timer = asyncio.create_task(asyncio.sleep(PATIENCE))
            await workflow.wait([task, timer], return_when=asyncio.FIRST_COMPLETED)
            task.cancel()
        case "timeout":
            try:
                async with asyncio.timeout(PATIENCE):
                    return await task
            except TimeoutError:
                return None
        case _:
            try:
                return await asyncio.wait_for(task, PATIENCE)
            except TimeoutError:
                return None
    try:
        return await task
    except asyncio.CancelledError:
        return None


@workflow.defn
class GivenUp:
    """Gives up what it waits for, `key` naming the way, and then looks back for it."""

    @workflow.run
    async def run(self, waiting: Waiting) -> list[str]:
        way = waiting.received.pop()
        got = await given_up(way, waited_for(way, waiting))
        if got is not None:
            return ["got it"]
        if way == "person":
            return ["nobody"]
        again = await wait_for_event(
            "INVOICE_PAID",
            key=waiting.key,
            tenant=waiting.tenant,
            lookback=timedelta(hours=1),
            task_queue=waiting.queue,
        )
        return ["nobody", again.event_id]


@workflow.defn
class ImpatientStream:
    """Takes two events of a stream, each with the patience of a caller, in whatever outage."""

    @workflow.run
    async def run(self, waiting: Waiting) -> list[str]:
        async with event_stream(
            "BOOKED", key=waiting.key, tenant=waiting.tenant, task_queue=waiting.queue
        ) as bookings:
            while len(waiting.received) < waiting.rounds:
                event = await asyncio.wait_for(bookings.next(), 30)
                waiting.received.append(event.event_id)
        return waiting.received


@workflow.defn(name="Corrected")
class BrokenFilter:
    @workflow.run
    async def run(self, waiting: Waiting) -> str:
        event = await wait_for_event(
            "INVOICE_PAID",
            key=waiting.key,
            tenant=waiting.tenant,
            filter=lambda paid: paid.payload["amount"] > 10,
            task_queue=waiting.queue,
        )
        return event.event_id


@workflow.defn(name="Corrected")
class CorrectedFilter:
    @workflow.run
    async def run(self, waiting: Waiting) -> str:
        event = await wait_for_event(
            "INVOICE_PAID",
            key=waiting.key,
            tenant=waiting.tenant,
            filter=lambda paid: paid.payload.get("amount", 11) > 10,
            task_queue=waiting.queue,
        )
        return event.event_id


async def sum_of_stream(waiting: Waiting, amount: Any) -> str:
    total = 0
    async with event_stream(
        "BOOKED", key=waiting.key, tenant=waiting.tenant, task_queue=waiting.queue
    ) as bookings:
        for _ in range(waiting.rounds):
            total += amount(await bookings.next())
    return str(total)


@workflow.defn(name="CorrectedStream")
class BrokenStream:
    @workflow.run
    async def run(self, waiting: Waiting) -> str:
        return await sum_of_stream(waiting, lambda event: event.payload["amount"])


@workflow.defn(name="CorrectedStream")
class CorrectedStream:
    @workflow.run
    async def run(self, waiting: Waiting) -> str:
        return await sum_of_stream(waiting, lambda event: event.payload.get("amount", 0))


class Payment(BaseModel):
    amount: int
    paid_at: str = "today"


@dataclass
class PaidBy:
    person: str
    amount: int = 0


def over_ten(event: TypedEvent[Payment]) -> bool:
    """The amount is over 10"""
    return event.payload.amount > 10


@workflow.defn
class TypedPayload:
    """Waits for a pydantic model, then for a dataclass."""

    @workflow.run
    async def run(self, waiting: Waiting) -> list[Any]:
        paid = await wait_for_event(
            "INVOICE_PAID",
            key=waiting.key,
            tenant=waiting.tenant,
            payload=Payment,
            filter=over_ten,
            task_queue=waiting.queue,
        )
        async with event_stream(
            "PERSON_PAID",
            key=waiting.key,
            tenant=waiting.tenant,
            payload=PaidBy,
            task_queue=waiting.queue,
        ) as people:
            person = await people.next()
        return [paid.payload.amount, paid.json, person.payload.person]


async def counted_over_runs(waiting: Waiting, state: Any) -> None:
    """Take the events of a stream, three in each run."""
    async with event_stream(
        "BOOKED", key=waiting.key, tenant=waiting.tenant, task_queue=waiting.queue
    ) as bookings:
        taken = 0
        async for booking in bookings:
            waiting.received.append(booking.event_id)
            taken += 1
            if len(waiting.received) >= waiting.rounds:
                return
            if taken == 3:
                waiting.carried = state()
                workflow.continue_as_new(waiting)


@workflow.defn(name="Continued")
class ContinuedWithoutCarry:
    @workflow.run
    async def run(self, waiting: Waiting) -> list[str]:
        restore(waiting.carried)
        await counted_over_runs(waiting, lambda: None)
        return waiting.received


@workflow.defn(name="Continued")
class ContinuedWithCarry:
    @workflow.run
    async def run(self, waiting: Waiting) -> list[str]:
        restore(waiting.carried)
        await counted_over_runs(waiting, carry)
        return waiting.received


@workflow.defn(name="ContinuedBeside")
class ContinuedBesideAWait:
    """Continues as new while only another task has a wait open."""

    @workflow.run
    async def run(self, waiting: Waiting) -> None:
        beside = asyncio.create_task(
            wait_for_event(
                "INVOICE_PAID", key=waiting.key, tenant=waiting.tenant, task_queue=waiting.queue
            )
        )
        await asyncio.sleep(0.1)
        assert not beside.done()
        workflow.continue_as_new(waiting)


@workflow.defn(name="Dynamic")
class DynamicHandler:
    """Has a handler for whatever comes, and does not say that some of it is Pointsman's."""

    def __init__(self) -> None:
        self.others: list[str] = []

    @workflow.run
    async def run(self, waiting: Waiting) -> list[str]:
        restore(waiting.carried)
        await counted_over_runs(waiting, carry)
        return waiting.received

    @workflow.signal(dynamic=True)
    def whatever(self, name: str, _args: Sequence[RawValue]) -> None:
        self.others.append(name)


@workflow.defn(name="Dynamic")
class DynamicHandlerBeside(DynamicHandler):
    def __init__(self) -> None:
        super().__init__()
        own_signals()

    @workflow.run
    async def run(self, waiting: Waiting) -> list[str]:
        return await super().run(waiting)

    @workflow.signal(dynamic=True)
    def whatever(self, name: str, _args: Sequence[RawValue]) -> None:
        super().whatever(name, _args)


@workflow.defn
class TimesOut:
    """Fails with a time-out; asked for `rounds` of them, it may be retried."""

    @workflow.run
    async def run(self, waiting: Waiting) -> str:
        if workflow.info().attempt > 1:
            return "ran again"
        await self.wait(waiting)
        return "never"

    async def wait(self, waiting: Waiting) -> None:
        retry, patience = waiting.rounds > 1, timedelta(seconds=0.1)
        match waiting.key:
            case "person":
                await human_task(
                    "Pay",
                    tenant=waiting.tenant,
                    timeout=patience,
                    task_queue=waiting.queue,
                    retry_on_timeout=retry,
                )
            case "stream":
                async with event_stream(
                    "BOOKED",
                    key=1,
                    tenant=waiting.tenant,
                    idle_timeout=patience,
                    task_queue=waiting.queue,
                    retry_on_timeout=retry,
                ) as bookings:
                    async for _ in bookings:
                        pass
            case "all of":
                await all_of(
                    WaitFor("A", 1, waiting.tenant),
                    timeout=patience,
                    task_queue=waiting.queue,
                    retry_on_timeout=retry,
                )
            case _:
                await wait_for_event(
                    "A",
                    key=1,
                    tenant=waiting.tenant,
                    timeout=patience,
                    task_queue=waiting.queue,
                    retry_on_timeout=retry,
                )


@workflow.defn
class InTurn:
    """Waits for the same, one time after the other."""

    @workflow.run
    async def run(self, waiting: Waiting) -> None:
        for _ in range(waiting.rounds):
            await wait_for_event(
                "INVOICE_PAID",
                key=waiting.key,
                tenant=waiting.tenant,
                lookback=timedelta(seconds=waiting.lookback_seconds),
                task_queue=waiting.queue,
            )


TAKING = [
    ContinuedBesideAWait,
    GivenUp,
    ImpatientStream,
    InTurn,
    TimesOut,
    TypedPayload,
]
