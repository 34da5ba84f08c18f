"""A publisher's trace goes on through Pointsman into the workflow that it wakes."""

from __future__ import annotations

import threading
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from msgspec.structs import replace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.client import Client
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.worker import Worker

from correlation.event import EventContext
from routing.database import Database
from routing.delivery_store import DeliveryStore
from routing.dispatch import Dispatcher, DispatchLimits
from routing.matching import Matcher, Matching
from routing.temporal import TemporalSignaller
from routing.waits import Waits
from tests.builders import a_wait, an_event, incoming
from tests.conftest import TemporalTarget
from tests.running import in_background
from tests.waiting import wait_until
from tests.workflows import Collector
from worker.observe.tracing import Tracing, open_tracing

LEASE = timedelta(seconds=60)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PUBLISHER = "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{PUBLISHER}-01"
NOT_SAMPLED = f"00-{TRACE}-{PUBLISHER}-00"


class Traced:
    """Recording and delivering with traces, beside a worker whose spans are traced as well."""

    def __init__(self, database: Database, client: Client, workflows: InMemorySpanExporter) -> None:
        self.exporter = InMemorySpanExporter()
        self.workflow_exporter = workflows
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        tracing = Tracing(provider)
        self.waits = Waits(database)
        self.ledger = tracing.ledger(Matcher(database, Matching(owner="me", lease=LEASE)))
        self.dispatcher = Dispatcher(
            DeliveryStore(database, "me", LEASE),
            tracing.signaller(TemporalSignaller(client)),
            DispatchLimits(claim_period=timedelta(milliseconds=100)),
        )

    async def publish(self, context: EventContext) -> None:
        event = replace(an_event(key="7"), context=context)
        recorded = await self.ledger.record([incoming(event)])
        await self.dispatcher.submit(recorded.deliveries)

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    async def signal_span_of_the_workflow(self) -> ReadableSpan:
        def found() -> list[ReadableSpan]:
            spans = self.workflow_exporter.get_finished_spans()
            return [span for span in spans if span.name == "HandleSignal:pointsman.event"]

        [span] = await wait_until(found, description="the workflow's span of the signal")
        return span


@pytest.fixture
async def client(temporal: TemporalTarget) -> Client:
    return await Client.connect(temporal.address, namespace=temporal.namespace)


@pytest.fixture
async def workflow_spans(
    client: Client, temporal: TemporalTarget
) -> AsyncIterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    interceptor = TracingInterceptor(
        provider.get_tracer("workflows"), always_create_workflow_spans=True
    )
    async with Worker(
        client, task_queue=temporal.task_queue, workflows=[Collector], interceptors=[interceptor]
    ):
        yield exporter


@pytest.fixture
async def workflow_id(client: Client, temporal: TemporalTarget) -> AsyncIterator[str]:
    handle = await client.start_workflow(
        Collector.run, [], id=f"traced-{uuid.uuid4()}", task_queue=temporal.task_queue
    )
    yield handle.id
    await handle.terminate()


@pytest.fixture
async def traced(
    database: Database, client: Client, workflow_spans: InMemorySpanExporter
) -> AsyncIterator[Traced]:
    traced = Traced(database, client, workflow_spans)
    async with in_background(traced.dispatcher.run()):
        yield traced


async def test_the_publishers_trace_goes_on_into_the_workflow(
    traced: Traced, workflow_id: str
) -> None:
    await traced.waits.register([a_wait(key="7", workflow_id=workflow_id)])

    await traced.publish(EventContext(traceparent=SAMPLED, tracestate="vendor=1"))
    handled = await traced.signal_span_of_the_workflow()
    [route], [signal] = traced.spans("pointsman.route"), traced.spans("pointsman.signal")

    assert route.parent is not None
    assert format(route.parent.span_id, "016x") == PUBLISHER
    assert format(route.context.trace_id, "032x") == TRACE
    assert route.attributes is not None
    assert route.attributes["pointsman.outcome"] == "matched"
    assert signal.parent is not None
    assert signal.parent.span_id == route.context.span_id
    assert signal.context.trace_state.get("vendor") == "1"
    [link] = handled.links
    assert (link.context.trace_id, link.context.span_id) == (
        signal.context.trace_id,
        signal.context.span_id,
    )


async def test_an_event_that_a_look_back_takes_is_traced_to_its_publisher(
    traced: Traced, workflow_id: str
) -> None:
    await traced.publish(EventContext(traceparent=SAMPLED))

    await traced.waits.register(
        [a_wait(key="7", workflow_id=workflow_id, lookback=timedelta(minutes=5))]
    )
    traced.dispatcher.wake()
    handled = await traced.signal_span_of_the_workflow()
    [signal] = traced.spans("pointsman.signal")

    assert signal.parent is not None
    assert format(signal.parent.span_id, "016x") == PUBLISHER
    assert [link.context.span_id for link in handled.links] == [signal.context.span_id]


@pytest.mark.parametrize("traceparent", [None, "garbage", NOT_SAMPLED])
async def test_an_event_whose_publisher_records_nothing_leaves_no_span(
    traced: Traced, workflow_id: str, traceparent: str | None
) -> None:
    await traced.waits.register([a_wait(key="7", workflow_id=workflow_id)])

    await traced.publish(EventContext(traceparent=traceparent))
    handled = await traced.signal_span_of_the_workflow()

    assert traced.exporter.get_finished_spans() == ()
    expected = [PUBLISHER] if traceparent == NOT_SAMPLED else []
    assert [format(link.context.span_id, "016x") for link in handled.links] == expected


class Collecting(BaseHTTPRequestHandler):
    """A collector that keeps what it is sent."""

    requests: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


async def test_spans_go_to_the_configured_collector(matcher: Matcher) -> None:
    Collecting.requests.clear()
    with HTTPServer(("127.0.0.1", 0), Collecting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tracing = open_tracing(f"http://127.0.0.1:{server.server_port}/")
        event = replace(an_event(key="7"), context=EventContext(traceparent=SAMPLED))
        await tracing.ledger(matcher).record([incoming(event)])

        await tracing.aclose()
        server.shutdown()

    [(path, body)] = Collecting.requests
    assert path == "/v1/traces"
    sent = ExportTraceServiceRequest.FromString(body).resource_spans[0]
    names = {each.key: each.value.string_value for each in sent.resource.attributes}
    assert names["service.name"] == "pointsman"
    [span] = sent.scope_spans[0].spans
    assert (span.name, span.trace_id.hex()) == ("pointsman.route", TRACE)
