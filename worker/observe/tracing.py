"""Traces: what an event's publisher began goes on through Pointsman into the workflow.

Loaded only when a collector is configured. Only events that carry a `traceparent` are traced, and
of these only those whose publisher samples them (unless OTEL_TRACES_SAMPLER says otherwise): a
service that meets every event of a company must not decide for all of them to be recorded.

Two spans stand under the publisher's: `pointsman.route` from the record's beginning to its commit,
and under it (or, for a delivery that was claimed from the table, beside it) `pointsman.signal`,
which the signal's header names: the workflow's spans continue or link to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, assert_never

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from routing.incoming import (
    Delivery,
    Identity,
    IncomingEvent,
    Recorded,
    RecordedEvent,
    RejectedEntry,
)
from routing.signalling import Delivered, Refused, Signaller, SignalResult, TryAgain

if TYPE_CHECKING:
    from worker.recording import Ledger

SERVICE: Final = "pointsman"
END_WITHIN: Final = 3.0

_W3C: Final = TraceContextTextMapPropagator()


class Tracing:
    """The spans of one process on their way to a collector."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(SERVICE)

    def ledger(self, ledger: Ledger) -> Ledger:
        """The ledger, with a span for each traced event that it records."""
        return TracedLedger(ledger, self._tracer)

    def signaller(self, signaller: Signaller) -> Signaller:
        """The signaller, with a span for each attempt to signal a traced event."""
        return TracedSignaller(signaller, self._tracer)

    async def aclose(self) -> None:
        """Send what is left, for a bounded time: a collector that is away must not hold us up."""
        # A thread of its own, which nothing waits for at the end of the program.
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_WITHIN):
                while ending.is_alive():  # noqa: ASYNC110  a thread sets no event of this loop
                    await asyncio.sleep(0.01)


def open_tracing(endpoint: str) -> Tracing:
    """Traces that are sent to the collector in the background, as OTLP over HTTP.

    Sampling, headers, batching and the resource follow OpenTelemetry's own variables.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: SERVICE}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider)


class TracedLedger:
    """Records batches, and leaves a span of each event that came with a trace."""

    def __init__(self, ledger: Ledger, tracer: Tracer) -> None:
        self._ledger = ledger
        self._tracer = tracer

    async def record(
        self, events: Sequence[IncomingEvent], rejected: Sequence[RejectedEntry] = ()
    ) -> Recorded:
        """See `worker.recording.Ledger.record`; the deliveries continue the new spans."""
        started = time.time_ns()
        recorded = await self._ledger.record(events, rejected)
        ended = time.time_ns()
        routed: dict[Identity, Span] = {}
        for incoming, end in zip(events, recorded.events, strict=True):
            context = incoming.event.context
            parent = parent_of(context.traceparent, context.tracestate)
            if parent is not None:
                span = self._routed(incoming, end, parent, started)
                span.end(ended)
                routed.setdefault(incoming.identity, span)
        if not routed:
            return recorded
        deliveries = [
            _continuing(delivery, routed.get((delivery.tenant, delivery.event_id)))
            for delivery in recorded.deliveries
        ]
        return replace(recorded, deliveries=deliveries)

    def _routed(
        self, incoming: IncomingEvent, end: RecordedEvent, parent: Context, started: int
    ) -> Span:
        return self._tracer.start_span(
            "pointsman.route",
            context=parent,
            kind=SpanKind.CONSUMER,
            start_time=started,
            attributes={
                "pointsman.tenant": incoming.event.tenant,
                "pointsman.event_id": incoming.event.event_id,
                "pointsman.event_name": incoming.event.name,
                "pointsman.outcome": end.outcome.value,
                "pointsman.reason": end.reason.value if end.reason else "",
                "pointsman.matched_waits": end.matched_waits,
                "pointsman.duplicate": end.duplicate,
                "messaging.destination.name": incoming.origin.stream,
                "messaging.message.id": incoming.origin.entry_id,
            },
        )


class TracedSignaller:
    """Sends signals whose header names the span of the attempt."""

    def __init__(self, signaller: Signaller, tracer: Tracer) -> None:
        self._signaller = signaller
        self._tracer = tracer

    async def signal(self, delivery: Delivery) -> SignalResult:
        """See `Signaller.signal`."""
        parent = parent_of(delivery.traceparent, delivery.tracestate)
        if parent is None:
            return await self._signaller.signal(delivery)
        attributes: Mapping[str, str | int] = {
            "pointsman.tenant": delivery.tenant,
            "pointsman.event_id": delivery.event_id,
            "pointsman.wait_id": delivery.wait_id,
            "pointsman.attempt": delivery.attempts + 1,
            "temporalWorkflowID": delivery.workflow_id,
        }
        with self._tracer.start_as_current_span(
            "pointsman.signal", context=parent, kind=SpanKind.PRODUCER, attributes=attributes
        ) as span:
            result = await self._signaller.signal(_continuing(delivery, span))
            _note(span, result)
        return result


def parent_of(traceparent: str | None, tracestate: str | None) -> Context | None:
    """The context that a W3C trace header names; None without one that is well formed."""
    if traceparent is None:
        return None
    carrier = {"traceparent": traceparent}
    if tracestate is not None:
        carrier["tracestate"] = tracestate
    context = _W3C.extract(carrier, Context())
    return context if _context_of(context).is_valid else None


def _context_of(context: Context) -> SpanContext:
    return trace.get_current_span(context).get_span_context()


def _continuing(delivery: Delivery, span: Span | None) -> Delivery:
    """The delivery with the span for its parent; an unsampled one exists nowhere to be named."""
    if span is None or not span.get_span_context().trace_flags.sampled:
        return delivery
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, trace.set_span_in_context(span, Context()))
    return replace(
        delivery, traceparent=carrier.get("traceparent"), tracestate=carrier.get("tracestate")
    )


def _note(span: Span, result: SignalResult) -> None:
    match result:
        case Delivered():
            span.set_attribute("pointsman.state", "delivered")
        case TryAgain(reason=reason):
            span.set_attribute("pointsman.state", "retried")
            span.set_status(Status(StatusCode.ERROR, reason.value))
        case Refused(reason=reason):
            span.set_attribute("pointsman.state", "dead")
            span.set_status(Status(StatusCode.ERROR, reason.value))
        case _:
            assert_never(result)
