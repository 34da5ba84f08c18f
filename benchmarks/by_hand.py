"""What one would write without Pointsman: FastStream, SQLAlchemy, `handle.signal`.

A consumer in a group, one event at a time, as the library does it by default: look the waits up,
signal each. It keeps no audit, knows no derivation rules beyond the one it needs, and loses the
race between a wait and its event; it does less, and is measured for the same events.

Run by the benchmark as a program: addresses come from the environment.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub
from sqlalchemy import Column, MetaData, Table, Text, select
from sqlalchemy.ext.asyncio import create_async_engine
from temporalio.client import Client

GROUP = "benchmark"
"""Its consumer group; `benchmarks.stage` reads its progress."""


async def main() -> None:
    database = os.environ["BY_HAND_DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:", 1)
    engine = create_async_engine(database)
    waits = Table(
        "workflow_run_waits",
        MetaData(),
        *(
            Column(name, Text)
            for name in (
                "tenant_id",
                "event_name",
                "correlation_key",
                "status",
                "workflow_id",
                "signal_name",
                "wait_id",
            )
        ),
    )
    client = await Client.connect(os.environ["BY_HAND_TEMPORAL"], lazy=True)
    broker = RedisBroker(os.environ["BY_HAND_REDIS_URL"], protocol=2, logger=None)
    stream = StreamSub(
        os.environ["BY_HAND_STREAM"], group=GROUP, consumer="by-hand", last_id=">", max_records=100
    )

    async def wake(tenant: str, name: str, key: str, event: dict[str, Any]) -> None:
        query = select(waits.c.workflow_id, waits.c.signal_name, waits.c.wait_id).where(
            waits.c.tenant_id == tenant,
            waits.c.event_name == name,
            waits.c.correlation_key == key,
            waits.c.status == "waiting",
        )
        async with engine.connect() as connection:
            found = (await connection.execute(query)).all()
        for workflow_id, signal_name, wait_id in found:
            handle = client.get_workflow_handle(workflow_id)
            await handle.signal(signal_name, {**event, "waitId": wait_id})

    @broker.subscriber(stream=stream)
    async def consume(fields: dict[str, str]) -> None:
        payload = json.loads(fields["payload_json"])
        key = str(payload["invoice"]["id"])
        await wake(fields["tenant"], fields["event_type"], key, payload)

    await FastStream(broker, logger=None).run()


if __name__ == "__main__":
    asyncio.run(main())
