"""Reading the memo or the search attribute by which a run names its tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from correlation.exact_reading import read_bytes
from routing.faults import ChainUnknown
from routing.owners import Described
from routing.ownership import OwnedRun, Target
from routing.temporal_chains import usable_run_id


class TemporalAttributes:
    """Asks Temporal for each target; nothing is remembered, for attributes may change."""

    def __init__(
        self,
        clients: Mapping[str, Client],
        attribute: str,
        *,
        is_memo: bool,
        timeout: timedelta = timedelta(seconds=5),
    ) -> None:
        self._clients = clients
        self._attribute = attribute
        self._is_memo = is_memo
        self._timeout = timeout

    async def describe(self, target: Target) -> Described | None:
        """The run that is asked for, or the newest. Raises ChainUnknown without an answer."""
        client = self._clients.get(target.namespace)
        run_id = usable_run_id(target.run_id)
        if client is None or (target.run_id is not None and run_id is None):
            return None
        answer = await self._answer(client, target, run_id)
        if answer is None:
            return None
        info = answer.workflow_execution_info
        fields = info.memo.fields if self._is_memo else info.search_attributes.indexed_fields
        found = fields.get(self._attribute)
        tenants = [] if found is None else await self._tenants(client, found)
        return Described(OwnedRun(info.execution.run_id, info.first_run_id or None), tenants)

    async def _answer(
        self, client: Client, target: Target, run_id: str | None
    ) -> DescribeWorkflowExecutionResponse | None:
        execution = WorkflowExecution(workflow_id=target.workflow_id, run_id=run_id or "")
        request = DescribeWorkflowExecutionRequest(namespace=target.namespace, execution=execution)
        try:
            return await client.workflow_service.describe_workflow_execution(
                request, retry=False, timeout=self._timeout
            )
        except RPCError as error:
            if error.status in {RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT}:
                return None
            raise ChainUnknown(f"Temporal does not say whose the workflow is: {error}") from error
        except RuntimeError as error:
            raise ChainUnknown(f"Temporal does not say whose the workflow is: {error}") from error

    async def _tenants(self, client: Client, payload: Payload) -> Sequence[str]:
        """A text, or a list of texts; what cannot be read names nobody."""
        codec = client.data_converter.payload_codec
        if self._is_memo and codec is not None:
            try:
                [payload] = await codec.decode([payload])
            except Exception as error:
                # Whatever a codec raises: without its answer nothing may be concluded.
                raise ChainUnknown(f"the codec does not read the memo: {error}") from error
        try:
            value: Any = read_bytes(payload.data)
        except ValueError:
            return ()
        values = value if isinstance(value, list) else [value]
        return [each for each in values if isinstance(each, str)]
