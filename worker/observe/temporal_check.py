"""Is Temporal there, with the namespaces whose workflows are signalled?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from worker.observe.dependencies import ANSWER_WITHIN, Check


def temporal_check(client: Client, namespaces: Sequence[str]) -> Check:
    """A check that asks for the namespaces; a missing one is said by Temporal in its own words."""

    async def ask(namespace: str) -> None:
        request = DescribeNamespaceRequest(namespace=namespace)
        await client.workflow_service.describe_namespace(
            request, retry=False, timeout=ANSWER_WITHIN
        )

    async def check() -> None:
        await asyncio.gather(*map(ask, namespaces))

    return check
