"""Namespaces of a test's own, where task queues with fixed names meet nobody else's."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from tests.conftest import TemporalTarget
from tests.waiting import wait_until


async def a_namespace(temporal: TemporalTarget, name: str | None = None) -> Client:
    """A client of a new namespace that the server knows by now."""
    namespace = name or f"test-{uuid4().hex[:8]}"
    operator = await Client.connect(temporal.address, namespace=temporal.namespace)
    retention = Duration()
    retention.FromTimedelta(timedelta(days=1))
    await operator.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=namespace, workflow_execution_retention_period=retention)
    )
    client = await Client.connect(temporal.address, namespace=namespace)

    async def is_known() -> bool:
        try:
            return await client.count_workflows() is not None
        except RPCError:
            return False

    await wait_until(is_known, description="the namespace is known to the server")
    return client
