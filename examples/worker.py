"""Runs the example workflows: `python -m examples.worker`."""

from __future__ import annotations

import asyncio
import os
import signal

from temporalio.client import Client
from temporalio.worker import Worker

from examples.appointments import AppointmentsWorkflow
from examples.onboarding import OnboardingWorkflow
from examples.orders import OrderWorkflow, QuoteWorkflow
from examples.projects import ProjectWorkflow
from examples.tickets import TicketWorkflow

TASK_QUEUE = "pointsman-examples"
WORKFLOWS = [
    AppointmentsWorkflow,
    OnboardingWorkflow,
    OrderWorkflow,
    ProjectWorkflow,
    QuoteWorkflow,
    TicketWorkflow,
]


async def main() -> None:
    address = os.environ.get("TEMPORAL_ADDRESS", "127.0.0.1:7233")
    namespace = os.environ.get("TEMPORAL_NAMESPACE", "default")
    client = await Client.connect(address, namespace=namespace)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Worker(client, task_queue=TASK_QUEUE, workflows=WORKFLOWS):
        print(f"example workflows on {address}, task queue {TASK_QUEUE}; Ctrl-C ends", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
