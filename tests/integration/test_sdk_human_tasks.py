"""Asking a person inside a workflow, on a real Temporal server, in the sandbox."""

from __future__ import annotations

from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from pointsman.contract import HUMAN_TASK_COMPLETED, HUMAN_TASK_SIGNAL, HumanTask, WaitKind
from tests.integration.fake_service import FakeService
from tests.integration.sdk_workflows import FORM, AskedOverRuns, AskedPerson
from tests.waiting import wait_until


async def test_an_answer_resumes_the_workflow_that_asked(service: FakeService) -> None:
    handle = await service.start(AskedPerson.run)
    wait = await service.wait_registered()

    answer = {"taskId": wait.wait_id, "answer": {"approved": True}, "completedBy": "token:ada"}
    await service.signal(wait, "done-1", **answer)
    await service.signal(wait, "done-2", **answer)

    assert await handle.result() == "token:ada True done-1"
    assert ("accepted", "done-1") in service.dispositions()


async def test_a_registration_carries_the_task(service: FakeService) -> None:
    await service.start(AskedPerson.run)

    wait = await service.wait_registered()

    assert (wait.kind, wait.event_name) == (WaitKind.HUMAN, HUMAN_TASK_COMPLETED)
    assert (wait.correlation_key, wait.signal) == (wait.wait_id, HUMAN_TASK_SIGNAL)
    assert wait.task is not None
    assert wait.task.due_at is not None
    assert wait.task == HumanTask(
        title="Approve it", form=FORM, assignees=("ada", "bob"), due_at=wait.task.due_at
    )
    assert wait.expires_at is not None
    assert wait.task.due_at - wait.expires_at > timedelta(hours=2)


async def test_a_task_that_nobody_completes_in_time_is_withdrawn(service: FakeService) -> None:
    handle = await service.start(AskedPerson.run, timeout_seconds=0.5)

    assert await handle.result() == "nobody answered"
    assert service.dispositions() == [("timed_out", None)]


@pytest.mark.parametrize("case", ["refused", "used before"])
async def test_a_task_that_cannot_be_asked_fails_the_workflow(
    service: FakeService, case: str
) -> None:
    if case == "refused":
        service.refusal = ApplicationError(
            "task.form: no good", type="InvalidWait", non_retryable=True
        )
    else:
        service.status = "closed"
    handle = await service.start(AskedPerson.run, key="my-task")

    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()

    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "HumanTaskRefused"
    assert ("no good" if case == "refused" else "used before") in cause.message


async def test_a_task_survives_continue_as_new(service: FakeService) -> None:
    handle = await service.start(AskedOverRuns.run)
    wait = await service.wait_registered()
    current = service.client.get_workflow_handle(handle.id)
    await handle.signal(AskedOverRuns.go_on)

    async def is_the_next_run() -> bool:
        return (await current.describe()).run_id != handle.first_execution_run_id

    await wait_until(is_the_next_run, description="the run has continued as new")
    await service.signal(wait, "done-1", taskId=wait.wait_id, answer={})

    assert await handle.result() == "done-1"
    # A second time only if the first run went on before it knew of the first: under one id.
    assert {each.wait_id for each in service.registered} == {wait.wait_id}
