"""Runs in Temporal: how they stand, and cancelling, terminating, signalling them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.enums.v1 import HistoryEventFilterType
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
    RequestCancelWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from correlation.reason import Reason
from routing.payload_codec import CodecRefused, CodecUnavailable, codec_of, encoded
from routing.run_controls import Control, ControlOrder, NotTaken, Taken
from routing.run_reconcile import RunKey, RunSeen, Sight
from routing.run_records import RunStatus
from routing.signalling import Delivered, Refused, TryAgain
from routing.temporal import IDENTITY, classify, json_payload, unencoded
from routing.temporal_status import run_status

_AFTER_CANCELLING: Final = {None, RunStatus.RUNNING, RunStatus.CANCELED}
_CLOSING: Final = HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT


class TemporalRun:
    """Runs of one server, a bounded number of calls at a time.

    Controlled are those in the client's namespace, and in those of the `others`.
    """

    def __init__(
        self,
        client: Client,
        timeout: timedelta = timedelta(seconds=5),
        concurrency: int = 10,
        others: Sequence[Client] = (),
    ) -> None:
        self._service = client.workflow_service
        self._codecs = {each.namespace: codec_of(each) for each in (client, *others)}
        self._timeout = timeout
        self._turns = asyncio.Semaphore(concurrency)

    async def look_at(self, runs: Sequence[RunKey]) -> Sequence[Sight]:
        """How each run stands, in the order given; None where Temporal did not answer."""
        return await asyncio.gather(*(self._look_at(run) for run in runs))

    async def ask(self, run: RunKey, order: ControlOrder, request_id: str) -> Taken | NotTaken:
        """Pass the order on; exactly this run is meant, never a later one of its workflow."""
        if run.namespace not in self._codecs:
            return NotTaken(
                Reason.NAMESPACE_NOT_SERVED,
                f"the run is in the namespace {run.namespace}, which this process does not serve",
            )
        try:
            argument = await self._argument(run, order)
        except (CodecUnavailable, CodecRefused) as error:
            missing = unencoded(error)
            return NotTaken(missing.reason, missing.detail)
        call, request = self._call(run, order, argument, request_id)
        try:
            # Temporal answers a request to cancel what has ended with success: look, then ask.
            if order.control is Control.CANCEL and (ended := await self._ended(run)) is not None:
                return _too_late(ended)
            await call(request, retry=False, timeout=self._timeout)
            if order.control is not Control.SIGNAL:
                return await self._requested(run, order.control)
        except RPCError as error:
            return _not_taken(error)
        except RuntimeError as error:
            # The lazy client's first connection: any failure of it is a bare RuntimeError.
            return NotTaken(Reason.TEMPORAL_UNAVAILABLE, str(error))
        return Taken()

    def _call(
        self, run: RunKey, order: ControlOrder, argument: Payloads, request_id: str
    ) -> tuple[Callable[..., Awaitable[Any]], Any]:
        common: dict[str, Any] = {
            "namespace": run.namespace,
            "workflow_execution": _execution(run),
            "identity": f"{IDENTITY}: {order.actor}",
        }
        match order.control:
            case Control.CANCEL:
                return self._service.request_cancel_workflow_execution, (
                    RequestCancelWorkflowExecutionRequest(
                        **common, request_id=request_id, reason=order.reason
                    )
                )
            case Control.TERMINATE:
                return self._service.terminate_workflow_execution, (
                    TerminateWorkflowExecutionRequest(**common, reason=order.reason)
                )
            case Control.SIGNAL:
                return self._service.signal_workflow_execution, SignalWorkflowExecutionRequest(
                    **common,
                    request_id=request_id,
                    signal_name=order.signal_name or "",
                    input=argument,
                )
            case Control.RESUME | Control.RETRY | Control.REQUEUE_EVENT_WAIT:
                raise ValueError(f"Temporal has no {order.control.value}")

    async def _argument(self, run: RunKey, order: ControlOrder) -> Payloads:
        """What a signal carries; raises CodecUnavailable or CodecRefused."""
        if order.control is not Control.SIGNAL or order.signal_input is None:
            return Payloads()
        codec = self._codecs[run.namespace]
        return Payloads(payloads=await encoded(codec, [json_payload(order.signal_input)]))

    async def _ended(self, run: RunKey) -> RunStatus | None:
        """How the run ended; None while it has not. Raises RPCError."""
        status = run_status((await self._describe(run)).status)
        return None if status is RunStatus.RUNNING else status

    async def _requested(self, run: RunKey, control: Control) -> Taken | NotTaken:
        """How the run stands after the request; it may have ended just before it."""
        try:
            info = await self._describe(run)
        except RPCError:
            return Taken()  # it was taken, and nobody can tell more now
        status = run_status(info.status)
        if control is Control.CANCEL and status not in _AFTER_CANCELLING:
            return _too_late(status)
        return Taken(status, _moment(info.close_time) if info.HasField("close_time") else None)

    async def _describe(self, run: RunKey) -> WorkflowExecutionInfo:
        request = DescribeWorkflowExecutionRequest(
            namespace=run.namespace, execution=_execution(run)
        )
        answer = await self._service.describe_workflow_execution(
            request, retry=False, timeout=self._timeout
        )
        return answer.workflow_execution_info

    async def _look_at(self, run: RunKey) -> Sight:
        async with self._turns:
            try:
                info = await self._describe(run)
                status = run_status(info.status)
                if status is None:
                    return None
                following = None
                if status is RunStatus.CONTINUED_AS_NEW:
                    following = await self._following(run)
            except RPCError as error:
                return _missing(error)
            except RuntimeError:
                return None
        return _seen(info, status, following)

    async def _following(self, run: RunKey) -> str | None:
        """The run that a continued one went on in: its last event names it."""
        answer = await self._service.get_workflow_execution_history(
            GetWorkflowExecutionHistoryRequest(
                namespace=run.namespace,
                execution=_execution(run),
                history_event_filter_type=_CLOSING,
            ),
            retry=False,
            timeout=self._timeout,
        )
        for event in answer.history.events:
            ended = event.workflow_execution_continued_as_new_event_attributes
            if ended.new_execution_run_id:
                return str(ended.new_execution_run_id)
        return None


def _too_late(ended: RunStatus | None) -> NotTaken:
    how = "" if ended is None else f": {ended.value}"
    return NotTaken(Reason.RUN_CLOSED, f"the run has ended already{how}")


def _execution(run: RunKey) -> WorkflowExecution:
    return WorkflowExecution(workflow_id=run.workflow_id, run_id=run.run_id)


def _seen(info: WorkflowExecutionInfo, status: RunStatus, following: str | None) -> RunSeen:
    return RunSeen(
        status=status,
        workflow_type=info.type.name or None,
        task_queue=info.task_queue or None,
        parent_workflow_id=info.parent_execution.workflow_id or None,
        parent_run_id=info.parent_execution.run_id or None,
        first_run_id=info.first_run_id or None,
        started_at=_moment(info.start_time) if info.HasField("start_time") else None,
        closed_at=_moment(info.close_time) if info.HasField("close_time") else None,
        next_run_id=following,
    )


def _moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


def _missing(error: RPCError) -> Sight:
    if error.status is not RPCStatusCode.NOT_FOUND:
        return None
    namespace = NamespaceNotFoundFailure.DESCRIPTOR.full_name
    if any(one.type_url.endswith(f"/{namespace}") for one in error.grpc_status.details):
        return None
    return RunSeen(status=RunStatus.NOT_FOUND)


def _not_taken(error: RPCError) -> NotTaken:
    result = classify(error)
    match result:
        case Refused(reason, detail) | TryAgain(reason, detail):
            return NotTaken(reason, detail)
        case Delivered():
            raise AssertionError("an error of Temporal's is no success")
