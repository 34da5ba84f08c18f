"""Events that launch, in a course of chaos: each starts one workflow, none starts two."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from routing.launches import launched_workflow_id
from tests.chaos.plan import LAUNCHING_NAME, TENANTS, Kind
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.chaos.invariants import Findings
    from tests.chaos.load import Load
    from tests.chaos.site import Scene

WORKFLOW: Final = "LaunchedByChaos"
"""Served by no worker: that it was started is all that counts."""
APPLY: Final = """
INSERT INTO workflow_event_triggers (tenant_id, trigger_id, event_name, workflow_type, task_queue)
VALUES (%s, %s, %s, %s, %s)
"""


def trigger_of(scene: Scene) -> str:
    """Workflow ids are derived from it, and scenes share a namespace."""
    return f"launch-{scene.queue}"


def apply_trigger(scene: Scene) -> None:
    """Let the launching events of every tenant launch."""
    for tenant in TENANTS:
        queue = f"nobody-{scene.queue}"
        scene.query(APPLY, [tenant, trigger_of(scene), LAUNCHING_NAME, WORKFLOW, queue])


def pending_launches(scene: Scene) -> int:
    """How many launches are under way."""
    [(count,)] = scene.query(
        "SELECT count(*) FROM workflow_event_launches WHERE status = 'pending'"
    )
    return int(count)


async def check_launches(load: Load, findings: Findings) -> None:
    """Every launching event that has a row started one workflow, and nothing else started any."""
    scene = load.scene
    recorded = set(scene.query("SELECT tenant_id, event_id FROM workflow_runtime_events"))
    launching = {
        (planned.tenant, planned.event_id)
        for planned in load.plan.entries
        if planned.kind is Kind.LAUNCHING and (planned.tenant, planned.event_id) in recorded
    }
    expected = {
        launched_workflow_id(tenant, event_id, trigger_of(scene)): event_id
        for tenant, event_id in launching
    }
    for event_id, status, reason in scene.query(
        "SELECT event_id, status, reason FROM workflow_event_launches WHERE status <> 'launched'"
    ):
        findings.stuck.append(f"launch of {event_id} is {status} ({reason})")
    started = await _started(scene, len(expected))
    findings.launches = len(expected)
    for workflow_id, event_id in expected.items():
        if started.count(workflow_id) == 0:
            findings.lost.append(f"{event_id} launched nothing")
        elif started.count(workflow_id) > 1:
            findings.doubled.append(f"{event_id} launched {started.count(workflow_id)} runs")
    strangers = set(started) - set(expected)
    findings.doubled.extend(f"{workflow_id} was launched by no event" for workflow_id in strangers)


async def _started(scene: Scene, expected: int) -> list[str]:
    """The workflow id of every run that was launched in the scene."""
    client = await scene.temporal()
    query = f"WorkflowType = '{WORKFLOW}' AND TaskQueue = 'nobody-{scene.queue}'"

    async def listed() -> list[str]:
        return [run.id async for run in client.list_workflows(query)]

    async def enough() -> bool:
        return len(await listed()) >= expected

    with contextlib.suppress(AssertionError):  # what is missing then is a finding
        await wait_until(enough, description="Temporal's index shows every launch", timeout=60)
    return await listed()
