"""Asking Temporal how chains of runs stand."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from routing.chains import Chain, Lives, RunFacts, Standing, passed_on, standing_of
from routing.run_records import RunStatus
from routing.temporal_status import run_status

Key = TypeVar("Key")

REMEMBERED: Final = 20_000
"""Runs that passed their waits on, and newest runs of chains: at most so many of each."""


class TemporalChains:
    """How chains stand, a bounded number of calls at a time.

    In the namespaces that are served, which all are for None; of others nothing is concluded.
    """

    def __init__(
        self,
        client: Client,
        timeout: timedelta = timedelta(seconds=5),
        concurrency: int = 10,
        namespaces: Collection[str] | None = None,
    ) -> None:
        self._service = client.workflow_service
        self._timeout = timeout
        self._namespaces = namespaces
        self._turns = asyncio.Semaphore(concurrency)
        self._passed_on: dict[tuple[str, str, str], str] = {}
        self._newest: dict[Chain, str] = {}

    async def locate(self, chain: Chain) -> Standing | None:
        """How the chain stands, and its newest run; None where nothing may be concluded.

        One call, or two when the run that registered is not the newest. Raises RPCError, and
        RuntimeError while the lazy client cannot connect.
        """
        if not self._serves(chain):
            return None
        newest = await self._facts(chain.namespace, chain.workflow_id)
        own = None
        if chain.run_id != newest.run_id and (run_id := usable_run_id(chain.run_id)) is not None:
            own = await self._own(chain, run_id)
        standing = standing_of(chain, newest, own)
        if isinstance(standing, Lives) and chain.run_id is not None:
            _remember(self._newest, chain, standing.run_id)
        return standing

    async def standings(self, chains: Sequence[Chain]) -> Sequence[Standing | None]:
        """How each stands, in the order given; None also where Temporal gave no answer."""
        return await asyncio.gather(*(self._quietly(chain) for chain in chains))

    def newest_known(self, chain: Chain) -> str | None:
        """The run that was the newest of the chain when it was last located; may be out of date."""
        return self._newest.get(chain)

    def has_passed_on(self, chain: Chain) -> bool:
        """Whether the chain's run is known to have passed its waits on to a later one."""
        return (chain.namespace, chain.workflow_id, chain.run_id or "") in self._passed_on

    async def chain_of(self, chain: Chain) -> Chain:
        """The chain with its run and first run, as far as Temporal knows them now."""
        if None not in {chain.run_id, chain.first_run_id} or not self._serves(chain):
            return chain
        try:
            run_id = usable_run_id(chain.run_id)
            facts = await self._facts(chain.namespace, chain.workflow_id, run_id or "")
        except (RPCError, RuntimeError):
            return chain
        if facts.status is RunStatus.NOT_FOUND or not facts.first_run_id:
            return chain
        if chain.first_run_id not in {None, facts.first_run_id}:
            return chain
        if run_id is None and facts.status is not RunStatus.RUNNING:
            return chain  # the wait may be meant for a run that is yet to be started
        return Chain(chain.namespace, chain.workflow_id, facts.run_id, facts.first_run_id)

    def _serves(self, chain: Chain) -> bool:
        return self._namespaces is None or chain.namespace in self._namespaces

    async def _quietly(self, chain: Chain) -> Standing | None:
        try:
            return await self.locate(chain)
        except (RPCError, RuntimeError):
            return None

    async def _own(self, chain: Chain, run_id: str) -> RunFacts | None:
        key = (chain.namespace, chain.workflow_id, run_id)
        if (first := self._passed_on.get(key)) is not None:
            return RunFacts(run_id, first, RunStatus.CONTINUED_AS_NEW)
        own = await self._facts(*key)
        if own.status is RunStatus.NOT_FOUND:
            return None
        if passed_on(own):
            _remember(self._passed_on, key, own.first_run_id)
        return own

    async def _facts(self, namespace: str, workflow_id: str, run_id: str = "") -> RunFacts:
        request = DescribeWorkflowExecutionRequest(
            namespace=namespace,
            execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        )
        async with self._turns:
            try:
                answer = await self._service.describe_workflow_execution(
                    request, retry=False, timeout=self._timeout
                )
            except RPCError as error:
                if not _says_not_found(error):
                    raise
                return RunFacts(run_id, "", RunStatus.NOT_FOUND)
        info, extended = answer.workflow_execution_info, answer.workflow_extended_info
        return RunFacts(
            info.execution.run_id,
            info.first_run_id,
            run_status(info.status),
            was_reset=bool(extended.reset_run_id),
        )


def usable_run_id(text: str | None) -> str | None:
    """The run id if Temporal could have given it: over HTTP a wait may name anything."""
    try:
        return None if text is None else str(UUID(text))
    except ValueError:
        return None


def _says_not_found(error: RPCError) -> bool:
    """Of the workflow or the run; a missing namespace is an operator's fault, and says nothing."""
    if error.status is not RPCStatusCode.NOT_FOUND:
        return False
    namespace = NamespaceNotFoundFailure.DESCRIPTOR.full_name
    return not any(one.type_url.endswith(f"/{namespace}") for one in error.grpc_status.details)


def _remember(memory: dict[Key, str], key: Key, value: str) -> None:
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > REMEMBERED:
        del memory[next(iter(memory))]
