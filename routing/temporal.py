"""Signals through Temporal's own API, with request ids that make a repetition harmless.

The SDK's `handle.signal` draws a random request id for each call; the raw call takes ours. The
error classes were measured against server 1.29 (docs/guarantees.md); where Temporal's words are
needed to tell two cases apart, both the status and the detail are looked at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final, assert_never
from uuid import UUID, uuid5

from temporalio.api.common.v1 import Header, Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure, ResourceExhaustedFailure
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from correlation.reason import Reason
from correlation.task_answer import completion_text
from pointsman.contract import HUMAN_TASK_COMPLETED
from routing.chains import Gone, Lives
from routing.incoming import Delivery
from routing.payload_codec import CodecRefused, CodecUnavailable, codec_of, encoded
from routing.signalling import Delivered, Refused, SignalResult, TryAgain
from routing.temporal_chains import TemporalChains, usable_run_id

DELIVERY_NAMESPACE: Final = UUID("6b1c9a52-7c0e-5e0b-9d55-2f9f8c6f3a41")
IDENTITY: Final = "pointsman"
MOST_RUNS: Final = 5
"""So many runs of a chain are tried one after the other before it is left for later."""

_JSON_PLAIN: Final = {"encoding": b"json/plain"}
# One for all: `json.dumps` makes another for each call whose options are not its own.
_encode: Final = json.JSONEncoder(ensure_ascii=False).encode


def delivery_id(tenant: str, event_id: str, wait_id: str) -> str:
    """The same for every attempt of one delivery, different for any other: a version 5 UUID."""
    return str(uuid5(DELIVERY_NAMESPACE, _encode([tenant, event_id, wait_id])))


def signal_text(delivery: Delivery, request_id: str) -> str:
    """The signal's one argument as JSON; the event's payload goes in as its publisher wrote it."""
    fields = {
        "waitId": delivery.wait_id,
        "eventId": delivery.event_id,
        "eventName": delivery.event_name,
        "correlationKey": delivery.correlation_key,
        "receivedAt": delivery.received_at.isoformat(),
        "deliveryId": request_id,
    }
    payload = delivery.payload_text
    if delivery.event_name == HUMAN_TASK_COMPLETED:
        payload = completion_text(payload, delivery.correlation_key)
    return f'{_encode(fields)[:-1]}, "payload": {payload}}}'


class TemporalSignaller:
    """Signals workflows, in any namespace of one server."""

    def __init__(
        self,
        client: Client,
        timeout: timedelta = timedelta(seconds=5),
        chains: TemporalChains | None = None,
    ) -> None:
        self._service = client.workflow_service
        self._codec = codec_of(client)
        self._timeout = timeout
        self._chains = chains or TemporalChains(client, timeout)

    async def signal(self, delivery: Delivery) -> SignalResult:
        """Send the signal to the run that registered the wait, or the one that it went on in.

        Named, a run of another chain under the same workflow id is never meant. Continue-as-new,
        reset and the like close the named run; only then the chain is asked for.
        """
        request_id = delivery_id(delivery.tenant, delivery.event_id, delivery.wait_id)
        try:
            payloads = await encoded(self._codec, [json_payload(signal_text(delivery, request_id))])
            return await self._to_the_chain(delivery, request_id, payloads)
        except (CodecUnavailable, CodecRefused) as error:
            return unencoded(error)
        except RPCError as error:
            return classify(error)
        except RuntimeError as error:
            # The lazy client's first connection: any failure of it is a bare RuntimeError.
            return TryAgain(Reason.TEMPORAL_UNAVAILABLE, str(error), outage=True)

    async def _to_the_chain(
        self, delivery: Delivery, request_id: str, payloads: Sequence[Payload]
    ) -> SignalResult:
        request = SignalWorkflowExecutionRequest(
            namespace=delivery.namespace,
            workflow_execution=WorkflowExecution(workflow_id=delivery.workflow_id),
            signal_name=delivery.signal_name,
            input=Payloads(payloads=payloads),
            identity=IDENTITY,
            request_id=request_id,
            header=Header(fields=trace_header(delivery.traceparent, delivery.tracestate)),
        )
        chain = delivery.chain
        run_id = self._chains.newest_known(chain) or usable_run_id(chain.run_id)
        if run_id is not None and await self._reached(request, run_id):
            return Delivered()
        for _ in range(MOST_RUNS):
            standing = await self._chains.locate(chain)
            match standing:
                case Gone(reason, detail):
                    return Refused(reason, detail)
                case Lives(run_id=newest):
                    if await self._reached(request, newest):
                        return Delivered(None if chain.run_id else standing)
                case None:
                    break
                case _:
                    assert_never(standing)
        detail = "the workflow goes on in new runs faster than they can be signalled"
        return TryAgain(Reason.TEMPORAL_ERROR, detail, outage=False)

    async def _reached(self, request: SignalWorkflowExecutionRequest, run_id: str) -> bool:
        """Signal the run; False when it has ended, or is not there. Raises RPCError."""
        request.workflow_execution.run_id = run_id
        try:
            await self._service.signal_workflow_execution(
                request, retry=False, timeout=self._timeout
            )
        except RPCError as error:
            answer = classify(error)
            gone = {Reason.RUN_CLOSED, Reason.RUN_NOT_FOUND}
            if isinstance(answer, Refused) and answer.reason in gone:
                return False
            raise
        return True


def json_payload(text: str) -> Payload:
    """JSON as Temporal's converters read it."""
    return Payload(metadata=_JSON_PLAIN, data=text.encode())


def trace_header(traceparent: str | None, tracestate: str | None) -> Mapping[str, Payload]:
    """The W3C trace context where Temporal's OpenTelemetry interceptor reads it.

    In clear: SDKs leave headers out of the codec unless they are told otherwise.
    """
    if traceparent is None:
        return {}
    carrier = {"traceparent": traceparent}
    if tracestate is not None:
        carrier["tracestate"] = tracestate
    return {"_tracer-data": json_payload(json.dumps(carrier))}


def unencoded(error: CodecUnavailable | CodecRefused) -> TryAgain:
    """What it means that a payload could not be encoded: never that it is sent in clear."""
    if isinstance(error, CodecUnavailable):
        return TryAgain(Reason.CODEC_UNAVAILABLE, str(error), outage=True)
    return TryAgain(Reason.CODEC_REFUSED, str(error), outage=False)


def classify(error: RPCError) -> SignalResult:
    """What Temporal's answer to a signal means for the delivery."""
    status, message = error.status, error.message
    match status:
        case RPCStatusCode.NOT_FOUND:
            return _classify_not_found(error)
        case RPCStatusCode.INVALID_ARGUMENT:
            return _classify_invalid(message)
        case RPCStatusCode.RESOURCE_EXHAUSTED:
            return _classify_exhausted(error)
        case RPCStatusCode.UNAVAILABLE:
            return TryAgain(Reason.TEMPORAL_UNAVAILABLE, message, outage=True)
        case RPCStatusCode.CANCELLED | RPCStatusCode.DEADLINE_EXCEEDED:
            return TryAgain(Reason.TEMPORAL_TIMEOUT, message, outage=True)
        case RPCStatusCode.PERMISSION_DENIED | RPCStatusCode.UNAUTHENTICATED:
            return TryAgain(Reason.PERMISSION_DENIED, message, outage=True)
        case _:
            return TryAgain(Reason.TEMPORAL_ERROR, f"{status.name}: {message}", outage=False)


def _classify_not_found(error: RPCError) -> SignalResult:
    if _has_detail(error, NamespaceNotFoundFailure.DESCRIPTOR.full_name):
        return TryAgain(Reason.NAMESPACE_NOT_FOUND, error.message, outage=True)
    if "already completed" in error.message:
        return Refused(Reason.RUN_CLOSED, error.message)
    return Refused(Reason.RUN_NOT_FOUND, error.message)


def _classify_invalid(message: str) -> SignalResult:
    lowered = message.lower()
    if "limit for signal events" in lowered:
        return Refused(Reason.SIGNAL_LIMIT, message)
    if "size exceeds limit" in lowered:
        return Refused(Reason.PAYLOAD_TOO_LARGE, message)
    return Refused(Reason.INVALID_TARGET, message)


def _classify_exhausted(error: RPCError) -> SignalResult:
    # gRPC's own refusal of a message over 4 MiB has the status of an overloaded server.
    if "larger than max" in error.message:
        return Refused(Reason.PAYLOAD_TOO_LARGE, error.message)
    return TryAgain(Reason.TEMPORAL_BUSY, error.message, outage=not _one_workflow_is_busy(error))


def _one_workflow_is_busy(error: RPCError) -> bool:
    for detail in error.grpc_status.details:
        failure = ResourceExhaustedFailure()
        if detail.Is(failure.DESCRIPTOR) and detail.Unpack(failure):
            return failure.cause == ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW
    return False


def _has_detail(error: RPCError, full_name: str) -> bool:
    return any(detail.type_url.endswith(f"/{full_name}") for detail in error.grpc_status.details)
