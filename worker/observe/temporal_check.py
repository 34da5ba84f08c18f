"""Is Temporal there, with the namespace whose workflows are signalled?"""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from worker.observe.dependencies import ANSWER_WITHIN, Check


def temporal_check(client: Client) -> Check:
    """A check that asks for the namespace; a missing one is said by Temporal in its own words."""

    async def check() -> None:
        request = DescribeNamespaceRequest(namespace=client.namespace)
        await client.workflow_service.describe_namespace(
            request, retry=False, timeout=ANSWER_WITHIN
        )

    return check
