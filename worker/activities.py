"""The two activities by which any Temporal SDK registers and closes waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from temporalio import activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from correlation.closing import Closing
from correlation.event import EventName, TenantId
from correlation.exact_writing import json_fault
from correlation.key import CanonicalKey, CorrelationKey, NoValue, RefusedKey, canonical_key
from correlation.task_form import FormUnusable, form_text
from pointsman.contract import (
    CLOSE_WAIT,
    CLOSE_WAITS,
    REGISTER_WAIT,
    CloseWait,
    CloseWaits,
    HumanTask,
    RegisterWait,
)
from routing.faults import InvalidTask, InvalidWait, QuotaReached, RecordRefused, WaitConflict
from routing.incoming import DEFAULT_NAMESPACE, RunId, WaitId, WorkflowId
from routing.ownership import Basis, Ownership, Voucher
from routing.task_records import AskedOfPeople
from routing.waits import FOREIGN, Registration, Wait, raise_conflict
from worker.activity_arguments import parsed
from worker.batching import Batcher

# A day short of what Python and Postgres can read back in every time zone.
EARLIEST: Final = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
LATEST: Final = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)


class WaitBook(Protocol):
    """Where waits are registered and closed."""

    async def register(self, waits: Sequence[Wait]) -> Sequence[Registration]:
        """Register a batch of waits; answers in the order given."""
        ...

    async def close(self, closings: Sequence[Closing]) -> Sequence[str]:
        """Apply what is said of waits; answers each with its wait's status."""
        ...


class WaitQuota(Protocol):
    """How many waits a tenant may have open."""

    async def admit(self, tenant: str, wait_id: str) -> None:
        """Raise QuotaReached when there are that many."""
        ...


class WaitActivities:
    """Registers and closes waits for workflows; what comes together is written together.

    A request that can never succeed fails with a non-retryable ApplicationError of type
    `InvalidWait` or `WaitConflict`; anything else is retried by Temporal.
    """

    def __init__(
        self,
        waits: WaitBook,
        wake: Callable[[], None],
        quota: WaitQuota | None = None,
        ownership: Ownership | None = None,
    ) -> None:
        self._ownership = ownership or Ownership()
        self._registering: Batcher[Wait, Registration] = Batcher(waits.register)
        self._closing: Batcher[Closing, str] = Batcher(waits.close)
        self._wake = wake
        self._quota = quota

    @property
    def all(self) -> list[Callable[..., Any]]:
        """What a worker is to serve."""
        return [self.register_wait, self.close_wait, self.close_waits]

    @activity.defn(name=REGISTER_WAIT)
    async def register_wait(self, request: RawValue) -> dict[str, Any]:
        """Register a wait; `request` is a `RegisterWait`, the result a `RegisteredWait`."""
        try:
            wait = _of_its_activity(to_wait(parsed(request, RegisterWait, coded=True)))
            _check_namespace(self._ownership, wait)
            if self._quota is not None:
                await self._quota.admit(wait.tenant, wait.wait_id)
            registration = await self._registering.call(wait)
            if registration.conflict:
                raise_conflict(wait)
        except (InvalidWait, WaitConflict, RecordRefused) as error:
            raise _refusal(error) from error
        except QuotaReached as error:
            # Temporal tries again: waits end.
            raise ApplicationError(str(error), type="QuotaReached") from error
        if registration.matched_events:
            self._wake()
        return {
            "wait_id": wait.wait_id,
            "correlation_key": wait.correlation_key,
            "status": registration.status,
            "matched_events": registration.matched_events,
        }

    @activity.defn(name=CLOSE_WAIT)
    async def close_wait(self, request: RawValue) -> dict[str, Any]:
        """Close a wait; `request` is a `CloseWait`, the result a `ClosedWait`."""
        try:
            closing = _asked_by_its_activity(to_closing(parsed(request, CloseWait)))
            status = await self._closing.call(closing)
            if status == FOREIGN:
                raise InvalidWait(f"wait_id {closing.wait_id!r}: another workflow registered it")
        except (InvalidWait, RecordRefused) as error:
            raise _refusal(error) from error
        # What an exclusive wait gives back may be due for the next in line.
        self._wake()
        return {"wait_id": closing.wait_id, "status": status}

    @activity.defn(name=CLOSE_WAITS)
    async def close_waits(self, request: RawValue) -> dict[str, Any]:
        """Apply several reports; `request` is a `CloseWaits`, the result a `ClosedWaits`.

        One that the database refuses is answered so, and costs its neighbours nothing.
        """
        try:
            said = parsed(request, CloseWaits)
        except InvalidWait as error:
            raise _refusal(error) from error
        closings = [_asked_by_its_activity(to_closing(each)) for each in said.closings]
        answers = await asyncio.gather(*(self._close_or_refuse(each) for each in closings))
        self._wake()
        pairs = zip(closings, answers, strict=True)
        return {"waits": [{"wait_id": each.wait_id, "status": status} for each, status in pairs]}

    async def _close_or_refuse(self, closing: Closing) -> str:
        try:
            status = await self._closing.call(closing)
        except RecordRefused:
            return "refused"
        return "refused" if status == FOREIGN else status


def _of_its_activity(wait: Wait) -> Wait:
    """What a request leaves unsaid Temporal says of the activity itself."""
    if not activity.in_activity():
        return replace(wait, namespace=wait.namespace or DEFAULT_NAMESPACE)
    info = activity.info()
    wait = replace(wait, namespace=wait.namespace or info.workflow_namespace or "")
    if (wait.namespace, wait.workflow_id) != (info.workflow_namespace, info.workflow_id):
        if wait.run_id is not None and not wait.run_id.strip():
            raise InvalidWait("run_id is blank: name the run of the workflow, or leave it out")
        return wait
    own = RunId(str(info.workflow_run_id))
    if wait.run_id in {None, "", own}:
        return replace(wait, run_id=own, vouched_by=Voucher.ACTIVITY)
    return wait


def _check_namespace(ownership: Ownership, wait: Wait) -> None:
    """Where tenants have a namespace each, only that one's workflows wait for their events."""
    if ownership.basis is not Basis.NAMESPACE or not activity.in_activity():
        return
    own = ownership.namespaces.of(wait.tenant)
    if own is None or {wait.namespace, activity.info().workflow_namespace} != {own}:
        raise InvalidWait("tenant: its workflows are in another namespace than this one")


def _asked_by_its_activity(closing: Closing) -> Closing:
    if not activity.in_activity():
        return closing
    info = activity.info()
    if info.workflow_namespace is None or info.workflow_id is None:
        return closing  # an activity of no workflow
    return replace(closing, asked_by=(info.workflow_namespace, info.workflow_id))


def to_wait(request: RegisterWait, namespace: str = "") -> Wait:
    """The wait that a request asks for; raises InvalidWait, naming the field that is unusable.

    It is in `namespace` unless the request names another.
    """
    for field in ("workflow_id", "run_id", "first_run_id", "namespace", "signal", "filter"):
        _check_storable(field, getattr(request, field))
    return Wait(
        tenant=TenantId(request.tenant),
        wait_id=WaitId(request.wait_id),
        event_name=EventName(request.event_name),
        correlation_key=_key_of(request),
        workflow_id=WorkflowId(request.workflow_id),
        run_id=None if request.run_id is None else RunId(request.run_id),
        signal_name=request.signal,
        kind=request.kind,
        cardinality=request.cardinality,
        filter=request.filter,
        lookback=timedelta(seconds=request.lookback_seconds),
        expires_at=_within_the_calendar(request.expires_at),
        times_out_at=_within_the_calendar(request.times_out_at),
        task=None if request.task is None else _asked(request.task),
        namespace=request.namespace or namespace,
        first_run_id=None if request.first_run_id is None else RunId(request.first_run_id),
    )


def to_closing(request: CloseWait) -> Closing:
    """The closing that a request asks for."""
    return Closing(
        request.tenant,
        request.wait_id,
        request.disposition,
        request.event_id,
        detail=request.detail,
    )


def _key_of(request: RegisterWait) -> CorrelationKey:
    key = _key(request.correlation_key)
    if request.task is not None and key != request.wait_id:
        raise InvalidWait(f"wait_id: as the key of its task it would read {key!r}; give it so")
    return key


def _asked(task: HumanTask) -> AskedOfPeople:
    try:
        form = None if task.form is None else form_text(task.form)
    except FormUnusable as error:
        raise InvalidTask(f"task.form: {error}") from error
    return AskedOfPeople(task.title, form, task.assignees, _within_the_calendar(task.due_at))


def _within_the_calendar(moment: datetime | None) -> datetime | None:
    return None if moment is None else min(max(moment, EARLIEST), LATEST)


def _check_storable(field: str, text: str | None) -> None:
    if fault := json_fault(text):
        name = "signal_name" if field == "signal" else field
        raise InvalidWait(f"{name}: {fault}; take it out")


def _key(value: object) -> CorrelationKey:
    reading = canonical_key(value)
    match reading:
        case CanonicalKey(key):
            return key
        case NoValue():
            raise InvalidWait("correlation_key is blank: a wait needs a business key")
        case RefusedKey(reason, detail):
            raise InvalidWait(f"correlation_key is unusable ({reason}): it is {detail}")


def _refusal(error: Exception) -> ApplicationError:
    kind = "WaitConflict" if isinstance(error, WaitConflict) else "InvalidWait"
    return ApplicationError(str(error), type=kind, non_retryable=True)
