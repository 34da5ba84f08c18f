"""A project that needs two things before it starts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypedDict

from temporalio import workflow

from pointsman.workflow import EventWaitTimeout, WaitFor, all_of

LOOKBACK = timedelta(minutes=10)


class Project(TypedDict):
    tenant: str
    project_id: str
    timeout_seconds: float


@workflow.defn
class ProjectWorkflow:
    """All of several events, in whatever order they come."""

    @workflow.run
    async def run(self, project: Project) -> dict[str, Any]:
        project_id, tenant = project["project_id"], project["tenant"]
        try:
            events = await all_of(
                WaitFor("PROJECT_APPROVED", key=project_id, tenant=tenant, lookback=LOOKBACK),
                WaitFor("PROJECT_STAFFED", key=project_id, tenant=tenant, lookback=LOOKBACK),
                timeout=timedelta(seconds=project["timeout_seconds"]),
            )
            status = "started"
        except EventWaitTimeout as timeout:
            events, status = timeout.received, "stalled"
        return {
            "project_id": project_id,
            "status": status,
            "event_ids": [event.event_id for event in events],
        }
