"""A workflow in another Temporal SDK, woken by an event through the whole program."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from temporalio.client import Client

from pointsman import contract
from tests import go_example, java_example
from tests.acceptance.program import Pointsman
from tests.conftest import TemporalTarget
from tests.go_example import GO_TASK_QUEUE, build_go_example, go_worker
from tests.java_example import build_java_example, java_worker
from tests.namespaces import a_namespace
from tests.waiting import wait_until


@pytest.mark.timeout(go_example.BUILD_TIMEOUT_SECONDS)
async def test_an_event_wakes_a_workflow_written_in_go(
    pointsman: Pointsman, temporal: TemporalTarget, tmp_path: Path
) -> None:
    program = await build_go_example(tmp_path)
    client = await a_namespace(temporal)

    await wake(pointsman, client, GO_TASK_QUEUE, go_worker(program, client), tmp_path)


@pytest.mark.timeout(java_example.BUILD_TIMEOUT_SECONDS)
async def test_an_event_wakes_a_workflow_written_in_java(
    pointsman: Pointsman, temporal: TemporalTarget, tmp_path: Path
) -> None:
    folder = await build_java_example()
    client = await a_namespace(temporal)

    await wake(pointsman, client, java_example.TASK_QUEUE, java_worker(folder, client), tmp_path)


async def wake(
    pointsman: Pointsman,
    client: Client,
    queue: str,
    worker: AbstractAsyncContextManager[None],
    folder: Path,
) -> None:
    """Run the program and the worker; an event is published when the workflow waits for it."""
    command = pointsman.with_settings(
        TEMPORAL_NAMESPACE=client.namespace, POINTSMAN_TASK_QUEUE=contract.TASK_QUEUE
    )
    invoice = {"tenant": "acme", "invoice_id": "INV-7", "timeout_seconds": 90}

    with command.running("run", log=folder / "service.log"):
        async with worker:
            handle = await client.start_workflow(
                "AwaitInvoice", invoice, id="invoice-7", task_queue=queue
            )
            await wait_until(
                lambda: command("waits", "list", "--json").records,
                description="the workflow has registered its wait",
            )
            command(
                *("publish", "INVOICE_PAID", "--tenant", "acme"),
                *("--event-id", "paid-7", "--key", "INV-7"),
            )

            result = await handle.result()
            [story] = command("events", "show", "paid-7", "--json").records

    assert result == {"status": "paid", "event_id": "paid-7"}
    assert story["event"]["outcome"] == "matched"
