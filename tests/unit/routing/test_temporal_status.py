"""Temporal's execution statuses: every one has its meaning, and one adapter knows it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client

from routing.chains import Chain, Gone, Lives, RunFacts, standing_of
from routing.run_reconcile import RunKey
from routing.run_records import RunStatus
from routing.temporal_chains import TemporalChains
from routing.temporal_runs import TemporalRun
from routing.temporal_status import STATUSES, run_status

PAUSED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED
UNSPECIFIED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED
RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
OF_A_NEWER_SERVER = max(WorkflowExecutionStatus.values()) + 1
CHAIN = Chain("default", "order-7")
KEY = RunKey("acme", "order-7", "run-1")


class AnsweringService:
    """Describes every execution with one status."""

    def __init__(self, status: int) -> None:
        self._status = cast("WorkflowExecutionStatus.ValueType", status)

    async def describe_workflow_execution(
        self, request: Any, **_: Any
    ) -> DescribeWorkflowExecutionResponse:
        info = WorkflowExecutionInfo(execution=request.execution, status=self._status)
        return DescribeWorkflowExecutionResponse(workflow_execution_info=info)


def a_client(status: int) -> Client:
    client = SimpleNamespace(
        namespace="default",
        workflow_service=AnsweringService(status),
        data_converter=SimpleNamespace(payload_codec=None),
    )
    return cast("Client", client)


def temporal_answering(status: int) -> TemporalRun:
    return TemporalRun(a_client(status))


def chains_answering(status: int) -> TemporalChains:
    return TemporalChains(a_client(status))


def test_every_status_of_the_client_has_its_meaning() -> None:
    assert set(STATUSES) == set(WorkflowExecutionStatus.values())


@pytest.mark.parametrize("status", [UNSPECIFIED, OF_A_NEWER_SERVER])
async def test_nothing_is_concluded_from_a_status_that_says_nothing(status: int) -> None:
    assert await temporal_answering(status).look_at([KEY]) == [None]
    assert await chains_answering(status).standings([CHAIN]) == [None]


@pytest.mark.parametrize("status", [RUNNING, PAUSED])
async def test_a_paused_workflow_runs(status: int) -> None:
    [sight] = await temporal_answering(status).look_at([KEY])
    [standing] = await chains_answering(status).standings([CHAIN])

    assert isinstance(standing, Lives)
    assert sight is not None
    assert sight.status is RunStatus.RUNNING


@pytest.mark.parametrize("status", sorted(set(STATUSES) - {UNSPECIFIED, RUNNING, PAUSED}))
def test_any_other_status_is_an_end_of_the_run(status: int) -> None:
    ended = run_status(status)

    assert ended not in {None, RunStatus.RUNNING, RunStatus.NOT_FOUND}
    standing = standing_of(CHAIN, RunFacts("run-1", "run-1", ended), None)
    goes_on = ended is RunStatus.CONTINUED_AS_NEW
    assert standing is None if goes_on else isinstance(standing, Gone)
