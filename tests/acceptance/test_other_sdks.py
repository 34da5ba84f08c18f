"""A workflow in another Temporal SDK, woken by an event through the whole program."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointsman import contract
from tests.acceptance.program import Pointsman
from tests.conftest import TemporalTarget
from tests.go_example import BUILD_TIMEOUT_SECONDS, GO_TASK_QUEUE, build_go_example, go_worker
from tests.namespaces import a_namespace
from tests.waiting import wait_until


@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
async def test_an_event_wakes_a_workflow_written_in_go(
    pointsman: Pointsman, temporal: TemporalTarget, tmp_path: Path
) -> None:
    program = await build_go_example(tmp_path)
    client = await a_namespace(temporal)
    command = pointsman.with_settings(
        TEMPORAL_NAMESPACE=client.namespace, POINTSMAN_TASK_QUEUE=contract.TASK_QUEUE
    )
    invoice = {"tenant": "acme", "invoice_id": "INV-7", "timeout_seconds": 90}
    log = tmp_path / "service.log"

    with command.running("run", log=log):
        async with go_worker(program, client):
            handle = await client.start_workflow(
                "AwaitInvoice", invoice, id="invoice-7", task_queue=GO_TASK_QUEUE
            )
            await wait_until(
                lambda: command("waits", "list", "--json").records,
                description="the workflow in Go has registered its wait",
                timeout=60,
            )
            command(
                *("publish", "INVOICE_PAID", "--tenant", "acme"),
                *("--event-id", "paid-7", "--key", "INV-7"),
            )

            result = await handle.result()
            [story] = command("events", "show", "paid-7", "--json").records

    assert result == {"status": "paid", "event_id": "paid-7"}
    assert story["event"]["outcome"] == "matched"
