"""Recorded histories replay: workflows that run somewhere survive a change of the SDK."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from pointsman.workflow import wait_for_event
from tests.integration.sdk_workflows import WORKFLOWS, Waiting
from tests.integration.taking_workflows import TAKING
from tests.sandbox import SandboxTriedOnce

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def recorded(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(f"recorded-{path.stem}", path.read_text())


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    history = recorded(path)

    workflows = [*WORKFLOWS, *TAKING]
    await Replayer(workflows=workflows, workflow_runner=SandboxTriedOnce()).replay_workflow(history)


def test_every_way_to_wait_has_a_recorded_history() -> None:
    names = {path.stem for path in HISTORIES}

    assert names >= {"one_event", "first_of", "all_of", "stream", "filtered", "continued_as_new"}
    assert names >= {"timed_out", "cancelled", "late", "outage"}
    assert names >= {"human_task", "human_task_timed_out", "human_task_continued_as_new"}
    assert names >= {"batched_one_event", "batched_stream", "batched_continued_as_new"}
    assert names >= {"given_back", "typed_payload"}


@workflow.defn(name="OneEvent")
class ChangedWorkflow:
    """What `OneEvent` would be if it did something else before it waits."""

    @workflow.run
    async def run(self, waiting: Waiting) -> str:
        await workflow.sleep(1)
        event = await wait_for_event(
            "INVOICE_PAID", key=waiting.key, tenant=waiting.tenant, task_queue=waiting.queue
        )
        return event.event_id


async def test_the_replay_would_notice_a_change() -> None:
    [path] = [path for path in HISTORIES if path.stem == "one_event"]

    with pytest.raises(workflow.NondeterminismError):
        await Replayer(workflows=[ChangedWorkflow]).replay_workflow(recorded(path))
