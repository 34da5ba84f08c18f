"""The demo's story: an event launches a workflow, a person answers it, another event ends it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from temporalio.client import WorkflowHandle

from correlation.reason import Outcome
from pointsman.contract import HUMAN_TASK_COMPLETED
from routing.launches import launched_workflow_id
from routing.task_pages import TaskQuery, page_of_tasks
from routing.task_records import TaskLine
from routing.triggers import apply_triggers
from worker.demo.examples import Ends, ExampleEntry, ExamplesError, Onboarding, as_entry
from worker.demo.findings import Difference, Published, published
from worker.demo.runs import signals_of
from worker.demo.stage import Stage
from worker.demo.stream import publish
from worker.triggers_source import triggers_from_file

POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Told:
    """How the story went."""

    workflow_id: str
    entries: Sequence[Published]
    """Its events, the person's answer among them, with what the audit should say of each."""
    result: Mapping[str, Any] | str
    task: TaskLine | None
    signalled_at: Mapping[str, float]

    def differences(self, story: Onboarding) -> Sequence[Difference]:
        """Where it went otherwise than the file says."""
        if self.result == dict(story.result):
            return ()
        return [Difference(self.workflow_id, str(dict(story.result)), str(self.result))]


async def tell(stage: Stage, story: Onboarding, triggers_file: Path, seconds: float) -> Told:
    """Play it; what is not over in time says so in place of its result."""
    tenant = story.created.entry_tenant
    await apply_triggers(stage.database, triggers_from_file(triggers_file), actor="demo")
    workflow_id = launched_workflow_id(tenant, story.created.event_id, story.trigger)
    handle = stage.temporal.get_workflow_handle(workflow_id)
    entries = list(await _publish(stage, as_entry(story.created, 1)))
    task: TaskLine | None = None
    result: Mapping[str, Any] | str
    try:
        async with asyncio.timeout(seconds):
            task = await _asked(stage, tenant, workflow_id)
            await _answer(stage, story, task)
            task = await _completed(stage, tenant, task)
            entries.append(_completion(task))
            entries += await _publish(stage, as_entry(story.signed, 3, wakes=workflow_id))
            result = await handle.result()
    except TimeoutError:
        result = "still running" if task else "never asked anybody"
    return Told(workflow_id, entries, result, task, await _signals(handle))


async def _publish(stage: Stage, entry: ExampleEntry) -> Sequence[Published]:
    return published([entry], await publish(stage.redis, stage.stream, [entry]))


async def _asked(stage: Stage, tenant: str, workflow_id: str) -> TaskLine:
    while not (tasks := await _tasks(stage, tenant, workflow_id, closed_too=False)):
        stage.check()
        await asyncio.sleep(POLL_SECONDS)
    return tasks[0]


async def _completed(stage: Stage, tenant: str, task: TaskLine) -> TaskLine:
    [completed] = await _tasks(stage, tenant, task.workflow_id, closed_too=True)
    return completed


async def _tasks(
    stage: Stage, tenant: str, workflow_id: str, *, closed_too: bool
) -> Sequence[TaskLine]:
    query = TaskQuery(workflow_id=workflow_id, closed_too=closed_too)
    async with stage.database.transaction() as connection:
        return (await page_of_tasks(connection, [tenant], query, limit=1)).lines


async def _answer(stage: Stage, story: Onboarding, task: TaskLine) -> None:
    """As a person does it: with the command."""
    command = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "worker.cli", "tasks", "complete", task.task_id),
        *("--as", story.person, "--answer", json.dumps(dict(story.answer))),
        env={**os.environ, **stage.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await command.communicate()
    if command.returncode:
        raise ExamplesError(f"the task could not be completed: {output.decode().strip()}")


def _completion(task: TaskLine) -> Published:
    """The event that the answer became."""
    ends = Ends(outcome=Outcome.MATCHED, wakes=(task.workflow_id,))
    event_id = task.event_id or ""
    entry = ExampleEntry(2, {b"event_type": HUMAN_TASK_COMPLETED.encode()}, ends)
    return Published(entry, event_id, (task.tenant, event_id))


async def _signals(handle: WorkflowHandle[Any, Any]) -> Mapping[str, float]:
    try:
        return await signals_of(handle)
    except Exception:  # noqa: BLE001 - a workflow that was never launched has no history
        return {}
