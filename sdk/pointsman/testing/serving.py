"""The twin behind a real Temporal server, the author's own: workflows wait, and are signalled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel
from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from pointsman.contract import (
    CLOSE_WAIT,
    CLOSE_WAITS,
    REGISTER_WAIT,
    CloseWait,
    CloseWaits,
    RegisterWait,
)
from pointsman.correlation.closing import Closing
from pointsman.correlation.exact_reading import read_bytes
from pointsman.correlation.exact_writing import exact_json
from pointsman.correlation.reason import Reason
from pointsman.domain_event import DomainEvent
from pointsman.keys import Key
from pointsman.received_event import write_signal
from pointsman.testing.events import RecordedEvent
from pointsman.testing.handles import Published, Wait, received
from pointsman.testing.in_memory import InMemoryPointsman, canonical
from pointsman.testing.records import DeliveryState, WaitTerms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Model = TypeVar("Model", bound=BaseModel)
Read = TypeVar("Read")

PATIENCE: Final = timedelta(seconds=30)
"""How long a test waits, on the clock on the wall, until a workflow has registered a wait."""


@asynccontextmanager
async def serving(
    pointsman: InMemoryPointsman, client: Client, task_queue: str
) -> AsyncGenerator[ServedPointsman]:
    """Serve the two activities on a task queue; see `InMemoryPointsman.serving`."""
    served = ServedPointsman(pointsman, client)
    pointsman.served = True
    try:
        activities = [served.register_wait, served.close_wait, served.close_waits]
        async with Worker(client, task_queue=task_queue, activities=activities):
            yield served
    finally:
        pointsman.served = False


class ServedPointsman:
    """What a test does while workflows of a Temporal server wait."""

    def __init__(self, pointsman: InMemoryPointsman, client: Client) -> None:
        self.pointsman = pointsman
        self._client = client
        self._registered = asyncio.Condition()
        self._one_at_a_time = asyncio.Lock()

    async def publish(self, event: DomainEvent | RecordedEvent) -> Published:
        """Publish an event; when this returns, every workflow that it wakes has its signal."""
        published = self.pointsman.publish(event)
        await self.send_signals()
        return published

    async def until_waiting(
        self, name: str, *, key: Key, tenant: str, within: timedelta = PATIENCE
    ) -> Wait:
        """The wait of this name and key, as soon as a workflow has registered one.

        Raises AssertionError, and says which waits there are, when none is registered in time.
        """
        __tracebackhide__ = True
        try:
            async with asyncio.timeout(within.total_seconds()), self._registered:
                while True:
                    if wait := self.pointsman.find_wait(name, key=key, tenant=tenant):
                        return wait
                    await self._registered.wait()
        except TimeoutError:
            raise AssertionError(
                f"no workflow waits for {name}, key {key!r}, of tenant {tenant!r}\n"
                f"{self.pointsman.explain()}"
            ) from None

    async def send_signals(self) -> None:
        """Signal what is pending, in order. Publishing and the activities do so by themselves."""
        async with self._one_at_a_time:
            for delivery in self.pointsman.twin.pending():
                await self._signal(delivery)

    async def _signal(self, delivery: DeliveryState) -> None:
        delivery.may_have_arrived = True
        terms, twin = delivery.wait.terms, self.pointsman.twin
        handle = self._client.get_workflow_handle(terms.workflow_id)
        try:
            await handle.signal(terms.signal_name, _signal_of(delivery))
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            closed = "already completed" in error.message
            twin.refused(delivery, Reason.RUN_CLOSED if closed else Reason.RUN_NOT_FOUND)
        else:
            twin.delivered(delivery)

    @activity.defn(name=REGISTER_WAIT)
    async def register_wait(self, request: RawValue) -> dict[str, Any]:
        """Answer as the service does: a `RegisterWait`, and a `RegisteredWait` in return."""
        terms = _terms(_parsed(request, RegisterWait))
        [registration] = self.pointsman.twin.register([terms])
        if registration.conflict:
            raise ApplicationError(
                f"wait_id {terms.wait_id!r} is registered with other content",
                type="WaitConflict",
                non_retryable=True,
            )
        async with self._registered:
            self._registered.notify_all()
        await self.send_signals()
        return {
            "wait_id": terms.wait_id,
            "correlation_key": terms.correlation_key,
            "status": registration.state.status,
            "matched_events": registration.matched_events,
        }

    @activity.defn(name=CLOSE_WAIT)
    async def close_wait(self, request: RawValue) -> dict[str, Any]:
        """Answer as the service does: a `CloseWait`, and a `ClosedWait` in return."""
        [closed] = await self._close([_parsed(request, CloseWait)])
        return closed

    @activity.defn(name=CLOSE_WAITS)
    async def close_waits(self, request: RawValue) -> dict[str, Any]:
        """Answer as the service does: a `CloseWaits`, and a `ClosedWaits` in return."""
        return {"waits": await self._close(_parsed(request, CloseWaits).closings)}

    async def _close(self, said: Sequence[CloseWait]) -> list[dict[str, Any]]:
        closings = [
            Closing(
                tenant=each.tenant,
                wait_id=each.wait_id,
                disposition=each.disposition,
                event_id=each.event_id,
                detail=each.detail,
            )
            for each in said
        ]
        statuses = self.pointsman.twin.close(closings)
        await self.send_signals()
        pairs = zip(said, statuses, strict=True)
        return [{"wait_id": each.wait_id, "status": status} for each, status in pairs]


def _signal_of(delivery: DeliveryState) -> RawValue:
    """As the service sends it: the payload goes in as its publisher wrote it."""
    fields = write_signal(received(delivery))
    del fields["payload"]
    text = f'{exact_json(fields)[:-1]}, "payload": {delivery.event.event.payload.text}}}'
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=text.encode()))


def _terms(request: RegisterWait) -> WaitTerms:
    return WaitTerms(
        tenant=request.tenant,
        wait_id=request.wait_id,
        event_name=request.event_name,
        correlation_key=_refusing(lambda: canonical(request.correlation_key)),
        workflow_id=request.workflow_id,
        run_id=request.run_id,
        signal_name=request.signal_name,
        kind=request.kind,
        cardinality=request.cardinality,
        filter=request.filter,
        lookback=timedelta(seconds=request.lookback_seconds),
        expires_at=request.expires_at,
    )


def _parsed(request: RawValue, model: type[Model]) -> Model:
    """Decoded with exact numbers: a key must not pass through a float."""
    return _refusing(lambda: model.model_validate(read_bytes(request.payload.data)))


def _refusing(read: Callable[[], Read]) -> Read:
    try:
        return read()
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise ApplicationError(str(error), type="InvalidWait", non_retryable=True) from error
