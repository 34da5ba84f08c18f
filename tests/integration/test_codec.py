"""Encrypted namespaces: what Temporal keeps is unreadable, and everybody reads what is theirs."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.converter import DataConverter, PayloadCodec, default
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from routing.gate import Backoff
from routing.payload_codec import CodecUnavailable
from routing.run_controls import Control, ControlOrder, NotTaken
from routing.run_reconcile import RunKey
from routing.temporal_runs import TemporalRun
from tests.codecs import NEW, OLD, AesCodec, CodecServer, codec_server
from tests.conftest import TemporalTarget
from tests.integration.launches import Rig, a_rig, a_trigger
from tests.integration.sdk_workflows import WORKFLOWS, OneEvent, Waiting
from tests.running import in_background
from tests.sandbox import SandboxTriedOnce
from tests.waiting import wait_until
from worker.activities import WaitActivities
from worker.codecs import Codecs
from worker.settings import Settings
from worker.temporal_worker import serve_activities

SECRET = "iban-DE02120300000000202051"


class FixedCodecs(Codecs):
    """Gives every namespace the codec of the test."""

    def __init__(self, settings: Settings, codec: PayloadCodec | None) -> None:
        super().__init__(settings)
        self._codec = codec

    def _make(self, namespace: str) -> PayloadCodec | None:
        return self._codec or super()._make(namespace)


class Site:
    """A service whose codec is the test's, and a worker of workflows with its own."""

    def __init__(self, rig: Rig, client: Client, queue: str) -> None:
        self.rig = rig
        self.client = client
        """Of the workflows' side."""
        self.queue = queue

    async def start(self, key: str, **terms: Any) -> WorkflowHandle[Any, Any]:
        return await self.client.start_workflow(
            OneEvent.run,
            Waiting(f"{self.queue}-waits", tenant=self.rig.of("acme"), key=key, **terms),
            id=f"coded-{uuid4().hex}",
            task_queue=self.queue,
        )

    async def publish(self, key: str) -> None:
        await self.rig.publish(
            name="INVOICE_PAID", key=key, event_id=f"paid-{key}", payload={"account": SECRET}
        )

    async def waiting(self, key: str) -> None:
        async def registered() -> bool:
            async with self.rig.database.transaction() as connection:
                cursor = await connection.execute(
                    "SELECT 1 FROM workflow_run_waits WHERE correlation_key = %s", (key,)
                )
                return await cursor.fetchone() is not None

        await wait_until(registered, description="the wait is registered")

    async def kept(self, handle: WorkflowHandle[Any, Any]) -> str:
        """The run's whole history, as Temporal keeps it."""
        history = await handle.fetch_history()
        texts = [event.SerializeToString() for event in history.events]
        return b"".join(texts).decode("latin-1")


def converter(codec: PayloadCodec | None) -> DataConverter:
    return replace(default(), payload_codec=codec)


@asynccontextmanager
async def site(
    temporal: TemporalTarget,
    database_url: str,
    *,
    service: PayloadCodec | None = None,
    worker: PayloadCodec | None = None,
    **settings: Any,
) -> AsyncGenerator[Site]:
    queue = f"coded-{uuid4().hex}"
    target: dict[str, Any] = {
        "temporal_address": temporal.address,
        "temporal_namespace": temporal.namespace,
    }
    chosen = Settings(**target, task_queue=f"{queue}-waits", **settings)
    codecs = FixedCodecs(chosen, service)
    sending = await Client.connect(
        temporal.address,
        namespace=temporal.namespace,
        data_converter=codecs.converter(temporal.namespace),
    )
    running = await Client.connect(
        temporal.address, namespace=temporal.namespace, data_converter=converter(worker)
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(codecs.aclose)
        rig = await stack.enter_async_context(a_rig(database_url, sending))
        activities = WaitActivities(rig.waits, rig.outgoing.wake)
        stopping = asyncio.Event()
        backoff = Backoff(timedelta(milliseconds=50), timedelta(milliseconds=100))
        served = [activities.register_wait, activities.close_wait]
        await stack.enter_async_context(
            in_background(serve_activities(chosen, codecs, served, stopping, backoff))
        )
        stack.callback(stopping.set)
        await stack.enter_async_context(
            Worker(
                running,
                task_queue=queue,
                workflows=WORKFLOWS,
                workflow_runner=SandboxTriedOnce(),
            )
        )
        yield Site(rig, running, queue)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[CodecServer]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with codec_server(AesCodec(OLD)) as server:
        yield server


async def test_a_wait_and_its_event_pass_encrypted_and_nothing_is_kept_in_clear(
    temporal: TemporalTarget, database_url: str
) -> None:
    async with site(temporal, database_url, service=AesCodec(OLD), worker=AesCodec(OLD)) as coded:
        handle = await coded.start("INV-SECRET-1")
        await coded.waiting("INV-SECRET-1")
        await coded.publish("INV-SECRET-1")
        event = await handle.result()

        kept = await coded.kept(handle)

    assert event.payload == {"account": SECRET}
    assert "binary/encrypted" in kept
    assert SECRET not in kept
    assert "INV-SECRET-1" not in kept


async def test_a_codec_server_does_as_well(
    temporal: TemporalTarget, database_url: str, server: CodecServer
) -> None:
    async with site(
        temporal,
        database_url,
        worker=AesCodec(OLD),
        temporal_codec_endpoint=server.url,
        temporal_codec_auth="Bearer one",
    ) as coded:
        handle = await coded.start("INV-2")
        await coded.waiting("INV-2")
        server.answers += [(503, "restarting")] * 2
        await coded.publish("INV-2")
        event = await handle.result()
        kept = await coded.kept(handle)

    assert event.payload == {"account": SECRET}
    assert SECRET not in kept
    assert {headers["authorization"] for _, headers in server.asked} == {"Bearer one"}
    assert not server.answers


async def test_a_launch_gives_input_and_memo_encrypted(
    temporal: TemporalTarget, database_url: str
) -> None:
    async with site(
        temporal, database_url, service=AesCodec(NEW, OLD), worker=AesCodec(NEW)
    ) as coded:
        await coded.rig.apply(a_trigger())
        await coded.rig.publish(event_id="e-1", payload={"account": SECRET})
        [launch] = await coded.rig.settled()

        handle = coded.client.get_workflow_handle(launch["workflow_id"])
        memo = await (await handle.describe()).memo()
        history = await handle.fetch_history()
        started = history.events[0].workflow_execution_started_event_attributes
        [argument] = await coded.client.data_converter.decode(started.input.payloads)

    assert memo["pointsman.event_id"] == "e-1"
    assert memo["pointsman.tenant"] == coded.rig.of("acme")
    assert argument["payload"] == {"account": SECRET}
    assert SECRET.encode() not in history.events[0].SerializeToString()
    assert started.memo.fields["pointsman.event_id"].metadata["encoding"] == b"binary/encrypted"


async def test_an_operators_signal_is_encrypted_or_not_sent(
    temporal: TemporalTarget, database_url: str
) -> None:
    async with site(temporal, database_url, service=AesCodec(OLD), worker=AesCodec(OLD)) as coded:
        handle = await coded.start("INV-3")
        run = RunKey(coded.rig.of("acme"), handle.id, str(handle.first_execution_run_id))
        order = ControlOrder(
            control=Control.SIGNAL,
            actor="ada",
            reason="by hand",
            signal_name="note",
            signal_input=json.dumps({"account": SECRET}),
        )

        await TemporalRun(coded.rig.client).ask(run, order, str(uuid4()))
        broken = converter(CodecServerAway())
        client = await Client.connect(
            temporal.address, namespace=temporal.namespace, data_converter=broken
        )
        refused = await TemporalRun(client).ask(run, order, str(uuid4()))

        kept = await coded.kept(handle)
        await handle.terminate()

    assert kept.count("note") == 1
    assert SECRET not in kept
    assert isinstance(refused, NotTaken)
    assert refused.reason == "codec_unavailable"


async def test_keys_are_rotated_without_losing_a_wait(
    temporal: TemporalTarget, database_url: str
) -> None:
    async with site(
        temporal, database_url, service=AesCodec(OLD, NEW), worker=AesCodec(NEW, OLD)
    ) as coded:
        handle = await coded.start("INV-4")
        await coded.waiting("INV-4")
        await coded.publish("INV-4")

        assert (await handle.result()).payload == {"account": SECRET}


@pytest.mark.parametrize(
    ("service", "worker", "said"),
    [
        (None, AesCodec(OLD), r"encoding 'binary/encrypted'.*docs/encryption\.md"),
        (AesCodec(OLD), AesCodec(NEW), r"'binary/encrypted' could not be decoded.*key-2026"),
        (AesCodec(OLD), None, r"came without the codec of this namespace"),
    ],
    ids=["service-without", "other-key", "worker-without"],
)
async def test_who_could_not_read_the_other_is_told_so_at_once(
    temporal: TemporalTarget,
    database_url: str,
    service: PayloadCodec | None,
    worker: PayloadCodec | None,
    said: str,
) -> None:
    async with site(temporal, database_url, service=service, worker=worker) as coded:
        handle = await coded.start("INV-5")

        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()

    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "EventWaitRefused"
    assert failure.value.cause.non_retryable
    assert re.search(said, failure.value.cause.message)


async def test_a_codec_is_introduced_without_a_break(
    temporal: TemporalTarget, database_url: str
) -> None:
    """First Pointsman reads it, then the workers have it, then Pointsman writes it."""
    stages: list[tuple[PayloadCodec | None, bool]] = [
        (None, False),
        (AesCodec(OLD), False),
        (AesCodec(OLD), True),
    ]
    for number, (worker, encodes) in enumerate(stages):
        async with site(
            temporal,
            database_url,
            service=AesCodec(OLD),
            worker=worker,
            codec_encode=encodes,
        ) as coded:
            key = f"INV-stage-{number}"
            handle = await coded.start(key)
            await coded.waiting(key)
            await coded.publish(key)

            assert (await handle.result()).payload == {"account": SECRET}


class CodecServerAway(AesCodec):
    """Cannot reach its keys."""

    def __init__(self) -> None:
        super().__init__(OLD)

    async def encode(self, payloads: Any) -> Any:
        raise CodecUnavailable(f"no keys for {len(payloads)} payloads")
