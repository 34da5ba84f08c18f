"""A client's onboarding: launched by an event, approved by a person, ended by another event."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypedDict

from temporalio import workflow

from pointsman.workflow import EventWaitTimeout, HumanTaskTimeout, human_task, wait_for_event

LOOKBACK = timedelta(minutes=10)
APPROVAL = {
    "type": "object",
    "properties": {
        "approved": {"type": "boolean", "title": "May we work for this client?"},
        "credit_limit": {"type": "integer", "minimum": 0, "title": "Credit limit in EUR"},
        "remark": {"type": "string", "maxLength": 500, "title": "Remark"},
    },
    "required": ["approved"],
    "additionalProperties": False,
}


class Client(TypedDict):
    tenant: str
    client_id: str
    name: str
    timeout_seconds: float


@workflow.defn
class OnboardingWorkflow:
    """First a person, then an event."""

    @workflow.run
    async def run(self, client: Client) -> dict[str, Any]:
        client_id, tenant = client["client_id"], client["tenant"]
        patience = timedelta(seconds=client["timeout_seconds"])
        result: dict[str, Any] = {"client_id": client_id, "approved_by": None, "event_id": None}
        try:
            asked = await human_task(
                f"Approve {client['name']} as a client",
                tenant=tenant,
                form=APPROVAL,
                assignees=["ada"],
                due=timedelta(days=1),
                timeout=patience,
            )
        except HumanTaskTimeout:
            return {**result, "status": "nobody approved"}
        result["approved_by"] = asked.completed_by
        if not asked.answer["approved"]:
            return {**result, "status": "rejected"}
        try:
            signed = await wait_for_event(
                "CONTRACT_SIGNED", key=client_id, tenant=tenant, timeout=patience, lookback=LOOKBACK
            )
        except EventWaitTimeout:
            return {**result, "status": "never signed"}
        return {**result, "status": "onboarded", "event_id": signed.event_id}
