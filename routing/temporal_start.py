"""Starting workflows through Temporal's own API, so that a repetition starts nothing twice.

The SDK draws a random request id for each start; ours is derived from the launch. Together with
the derived workflow id and the refusal of duplicates a launch happens once, for as long as
Temporal keeps the run.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Final

from temporalio.api.common.v1 import (
    Header,
    Memo,
    Payload,
    Payloads,
    SearchAttributes,
    WorkflowType,
)
from temporalio.api.enums.v1 import WorkflowIdReusePolicy
from temporalio.api.errordetails.v1 import WorkflowExecutionAlreadyStartedFailure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.converter import PayloadCodec
from temporalio.service import RPCError, RPCStatusCode

from correlation.reason import Reason
from routing.incoming import RunId
from routing.launches import Launch, Launched, LaunchResult, launch_id
from routing.ownership import Basis, Ownership
from routing.payload_codec import CodecRefused, CodecUnavailable, codec_of, encoded
from routing.signalling import Delivered, Refused, TryAgain
from routing.temporal import IDENTITY, classify, json_payload, trace_header, unencoded

UNOWNED: Final = Ownership()
_NO_DUPLICATES: Final = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE


class TemporalStarter:
    """Starts workflows, in any namespace of one server."""

    def __init__(
        self,
        client: Client,
        timeout: timedelta = timedelta(seconds=5),
        ownership: Ownership = UNOWNED,
    ) -> None:
        self._ownership = ownership
        self._service = client.workflow_service
        self._codec = codec_of(client)
        self._timeout = timeout

    async def start(self, launch: Launch) -> LaunchResult:
        """Start the workflow; a task queue that nobody serves yet is no reason not to."""
        try:
            request = await _request(launch, self._codec, self._ownership)
        except (CodecUnavailable, CodecRefused) as error:
            return unencoded(error)
        try:
            answer = await self._service.start_workflow_execution(
                request, retry=False, timeout=self._timeout
            )
        except RPCError as error:
            return classify_start(error, request.request_id)
        except RuntimeError as error:
            # The lazy client's first connection: any failure of it is a bare RuntimeError.
            return TryAgain(Reason.TEMPORAL_UNAVAILABLE, str(error), outage=True)
        return Launched(RunId(answer.run_id))


async def _request(
    launch: Launch, codec: PayloadCodec | None, ownership: Ownership
) -> StartWorkflowExecutionRequest:
    """The request; raises CodecUnavailable or CodecRefused."""
    memo = {
        "pointsman.tenant": launch.tenant,
        "pointsman.trigger": launch.trigger_id,
        "pointsman.event_id": launch.event_id,
    }
    attributes = None
    match ownership.basis:
        case Basis.MEMO:
            memo[ownership.attribute] = launch.tenant
        case Basis.SEARCH_ATTRIBUTE:
            attributes = SearchAttributes(
                indexed_fields={ownership.attribute: _keyword(launch.tenant)}
            )
        case Basis.REGISTERED | Basis.NAMESPACE | Basis.ID:
            pass
    return StartWorkflowExecutionRequest(
        namespace=launch.namespace,
        workflow_id=launch.workflow_id,
        workflow_type=WorkflowType(name=launch.workflow_type),
        task_queue=TaskQueue(name=launch.task_queue),
        input=Payloads(payloads=await encoded(codec, [json_payload(launch.argument)])),
        identity=IDENTITY,
        request_id=launch_id(launch.tenant, launch.event_id, launch.trigger_id),
        workflow_id_reuse_policy=_NO_DUPLICATES,
        memo=Memo(fields={name: await _field(codec, text) for name, text in memo.items()}),
        search_attributes=attributes,
        header=Header(fields=trace_header(launch.traceparent, launch.tracestate)),
    )


async def _field(codec: PayloadCodec | None, text: str) -> Payload:
    [payload] = await encoded(codec, [json_payload(json.dumps(text))])
    return payload


def _keyword(text: str) -> Payload:
    """Search attributes pass no codec: the server reads them."""
    payload = json_payload(json.dumps(text))
    payload.metadata["type"] = b"Keyword"
    return payload


def classify_start(error: RPCError, request_id: str) -> LaunchResult:
    """What Temporal's answer to a start means for the launch."""
    if error.status is RPCStatusCode.ALREADY_EXISTS:
        return _already_started(error, request_id)
    result = classify(error)
    match result:
        case Refused(reason=Reason.RUN_NOT_FOUND, detail=detail):
            # A start has no run that could be missing: whatever is, may appear.
            return TryAgain(Reason.TEMPORAL_ERROR, detail, outage=False)
        case Delivered():
            raise AssertionError("an error of Temporal's is no success")
        case _:
            return result


def _already_started(error: RPCError, request_id: str) -> Launched:
    for detail in error.grpc_status.details:
        failure = WorkflowExecutionAlreadyStartedFailure()
        if detail.Is(failure.DESCRIPTOR) and detail.Unpack(failure):
            by_another = failure.start_request_id != request_id
            return Launched(RunId(failure.run_id) if failure.run_id else None, by_another)
    return Launched(None, by_another=True)
