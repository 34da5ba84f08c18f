"""Targets that can never be reached delay nobody else; `make chaos`."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from tests.chaos.course import started
from tests.chaos.site import Scene, Site, open_scene
from tests.chaos.workflows import Waiting
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

SIGNAL_LIMIT: Final = 10_000
OTHERS: Final = 40
BAD: Final = {
    "closed": "run_closed",
    "unknown": "run_not_found",
    "full": "signal_limit",
    "oversized": "payload_too_large",
}


async def test_targets_that_cannot_be_reached_delay_no_other(site: Site) -> None:
    settings = {
        "POINTSMAN_RUN_NOT_FOUND_GRACE": "0s",
        "POINTSMAN_MAX_ENTRY_BYTES": "4MiB",
        # The reconciler would retire the waits of the closed and the unknown before their events.
        "POINTSMAN_RECONCILE_PERIOD": "1h",
    }
    async with open_scene(site, **settings) as scene:
        await started(scene)
        client = await scene.temporal()
        targets = [*BAD, *(f"other-{number}" for number in range(OTHERS))]
        for target in targets:
            if target != "unknown":
                await start(client, scene, target)
        await client.get_workflow_handle(workflow_id(scene, "closed")).terminate()
        await fill(client, workflow_id(scene, "full"))
        register_waits(scene, targets)

        for target in targets:
            await publish(scene, target, 3_000_000 if target == "oversized" else 10)

        def statuses() -> dict[str, tuple[str, str | None]]:
            rows = scene.query(
                "SELECT correlation_key, status, reason FROM workflow_event_deliveries"
            )
            return {key: (status, reason) for key, status, reason in rows}

        await wait_until(
            lambda: (
                len(statuses()) == len(targets)
                and all(status != "pending" for status, _ in statuses().values())
            ),
            description="every delivery has its end",
            timeout=60,
        )

        found = statuses()
        [(latest_other, last_bad)] = scene.query(
            "SELECT max(attempts) FILTER (WHERE status = 'delivered'),"
            " max(attempts) FILTER (WHERE status = 'dead') FROM workflow_event_deliveries"
        )

    assert {key: found[key] for key in BAD} == {key: ("dead", BAD[key]) for key in BAD}
    assert all(found[f"other-{n}"] == ("delivered", None) for n in range(OTHERS))
    assert (latest_other, last_bad) == (1, 1), "nothing was tried twice"


def workflow_id(scene: Scene, target: str) -> str:
    return f"{scene.queue}-{target}"


async def start(client: Client, scene: Scene, target: str) -> None:
    await client.start_workflow(
        "Collector",
        Waiting("acme", [], scene.settings["POINTSMAN_TASK_QUEUE"]),
        id=workflow_id(scene, target),
        # Nobody works on it: signals are taken all the same.
        task_queue=f"{scene.queue}-nobody",
    )


def register_waits(scene: Scene, targets: list[str]) -> None:
    for target in targets:
        scene.query(
            "INSERT INTO workflow_run_waits (tenant_id, wait_id, event_name, correlation_key,"
            " workflow_id, signal_name, kind, cardinality, lookback, status, registered_at)"
            " VALUES ('acme', %s, 'INVOICE_PAID', %s, %s, 'pointsman.event', 'stream', 'all',"
            " '0', 'waiting', now())",
            (f"wait-{target}", target, workflow_id(scene, target)),
        )


async def fill(client: Client, target: str) -> None:
    """Signal a workflow until Temporal takes no more."""
    handle = client.get_workflow_handle(target)
    numbers = iter(range(SIGNAL_LIMIT))

    async def signal() -> None:
        for _ in numbers:
            await handle.signal("noise")

    await asyncio.gather(*(signal() for _ in range(16)))
    with pytest.raises(RPCError, match="signal"):
        await handle.signal("noise")


async def publish(scene: Scene, target: str, size: int) -> None:
    fields: dict[Any, Any] = {
        "tenant": "acme",
        "event_id": f"event-{target}",
        "event_type": "INVOICE_PAID",
        "workflow_correlation_key": target,
        "payload_json": f'{{"text": "{"x" * size}"}}',
    }
    await scene.redis.xadd(scene.stream, fields)
