"""Starts an example order that goes on waiting, and prints its run and its wait for a shell.

`eval "$(python start_order.py INV-1)"` sets RUN and WAIT. The demo's worker has to run.
"""

from __future__ import annotations

import asyncio
import os
import sys

import psycopg
from temporalio.client import Client

from tests.waiting import wait_until

WAIT = "SELECT wait_id FROM workflow_run_waits WHERE workflow_id = %s AND status = 'waiting'"


async def main(invoice: str) -> None:
    address, namespace = os.environ["TEMPORAL_ADDRESS"], os.environ["TEMPORAL_NAMESPACE"]
    client = await Client.connect(address, namespace=namespace)
    order = {"tenant": "acme", "order_id": invoice, "invoice_id": invoice, "timeout_seconds": 3600}
    handle = await client.start_workflow(
        "OrderWorkflow", order, id=f"order-acme-{invoice}", task_queue="pointsman-examples"
    )
    with psycopg.connect(os.environ["POINTSMAN_DATABASE_URL"], autocommit=True) as connection:
        connection.execute("SET ROLE pointsman_service")
        [[wait_id]] = await wait_until(
            lambda: connection.execute(WAIT, (handle.id,)).fetchall(),
            description="the order has registered its wait",
        )
    print(f"RUN={handle.first_execution_run_id} WAIT={wait_id}")  # noqa: T201 - for the shell


asyncio.run(main(sys.argv[1]))
