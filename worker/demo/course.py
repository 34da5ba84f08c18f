"""The demo's course: start, publish, settle, compare, show."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from rich.console import Console

from pointsman.contract import CONSUMER_GROUP
from routing.audit import event_story, list_events, list_waits
from routing.audit_pages import EventQuery
from routing.audit_records import WaitFilter
from worker.cancelling import cancellable
from worker.cli.printing import console
from worker.demo import runs
from worker.demo.examples import Examples, ExampleWorkflow, read_examples
from worker.demo.findings import (
    Audited,
    Difference,
    Published,
    differences,
    differing_results,
    published,
)
from worker.demo.onboarding import Told, tell
from worker.demo.report import print_differences, print_further, print_report, print_story
from worker.demo.stage import Stage, set_up
from worker.demo.stream import publish, unread
from worker.operator_error import OperatorError
from worker.programs import until_interrupted

STANDSTILL: Final = timedelta(seconds=90)
ENDING: Final = timedelta(minutes=5)
"""For workflows and the story to end; some seconds on an idle machine, minutes on a busy one."""
REPORTING: Final = timedelta(seconds=15)
POLL_SECONDS: Final = 0.1
EVERY_ROW: Final = 100_000


async def demo(folder: Path, *, keep: bool) -> int:
    """The exit code: 0 only when every entry and every workflow ended as the files say."""
    examples = read_examples(folder)
    screen = console()
    async with set_up(examples, screen, ui=keep) as stage:
        found = await cancellable(_play(stage, examples, screen))
        print_further(screen, examples, stage if keep else None)
        if keep:
            await until_interrupted(stage.programs)
    return 1 if found else 0


async def _play(stage: Stage, examples: Examples, screen: Console) -> Sequence[Difference]:
    early, late = examples.starting("before"), examples.starting("after")
    # The time-outs of the workflows count from their start: nobody may have to wait for a server.
    await _until_none(stage, lambda: runs.unserved(stage.temporal))
    screen.print(f"\nStarting {len(early)} workflows; each registers what it waits for.")
    await runs.start(stage.temporal, early)
    await _until_none(stage, lambda: _unregistered(stage, early))
    screen.print(f"Publishing {len(examples.entries)} entries to {stage.stream}.")
    entry_ids = await publish(stage.redis, stage.stream, examples.entries)
    await _until_none(stage, lambda: unread(stage.redis, stage.stream, CONSUMER_GROUP))
    screen.print(f"All are recorded. Starting {len(late)} workflows that look back for theirs.")
    await runs.start(stage.temporal, late)
    screen.print("Waiting for the workflows; those that nothing wakes time out, in half a minute.")
    results, told = await asyncio.gather(
        runs.finish(stage.temporal, examples.workflows, ENDING), _story(stage, examples, screen)
    )
    entries = [*published(examples.entries, entry_ids), *(told.entries if told else ())]
    audited = await _settled(stage, entries)
    found = [*differences(entries, audited), *differing_results(examples.workflows, results)]
    print_report(screen, audited, examples.workflows, results)
    if told is not None and examples.onboarding is not None:
        found += told.differences(examples.onboarding)
        print_story(screen, told, audited)
    print_differences(screen, found, len(entries))
    return found


async def _story(stage: Stage, examples: Examples, screen: Console) -> Told | None:
    """The onboarding, beside everything else."""
    story = examples.onboarding
    if story is None:
        return None
    screen.print(f"A client is created: its onboarding asks {story.person}, who answers it.")
    return await tell(stage, story, examples.triggers_file, ENDING.total_seconds())


async def _settled(stage: Stage, entries: Sequence[Published]) -> Audited:
    """The audit, once it says what the file says, or at the latest after fifteen seconds.

    A workflow's word on what became of an event may come shortly after its own end.
    """
    deadline = _now() + REPORTING.total_seconds()
    while True:
        audited = await _audited(stage)
        settled = next(differences(entries, audited), None) is None
        if settled or _now() > deadline:
            return audited
        await asyncio.sleep(POLL_SECONDS)


async def _audited(stage: Stage) -> Audited:
    async with stage.database.transaction() as connection:
        lines = await list_events(connection, EventQuery(), limit=EVERY_ROW)
        stories = {
            (line.tenant, line.event_id): story
            for line in lines
            if line.event_id is not None and line.matched
            for story in await event_story(connection, line.event_id, line.tenant)
        }
    return Audited({line.entry_id: line for line in lines}, stories)


async def _unregistered(stage: Stage, workflows: Sequence[ExampleWorkflow]) -> str | None:
    expected = sum(workflow.waits for workflow in workflows)
    async with stage.database.transaction() as connection:
        waits = await list_waits(connection, WaitFilter(closed_too=True, limit=EVERY_ROW))
    return None if len(waits) >= expected else f"{len(waits)} of {expected} waits are registered"


async def _until_none(stage: Stage, missing: Callable[[], Awaitable[str | None]]) -> None:
    """Wait until nothing is missing any more, for as long as that changes now and then.

    A busy machine may take its time. Raises OperatorError saying what is still missing.
    """
    last, deadline = "", _now()
    while (what := await missing()) is not None:
        stage.check()
        if what != last:
            last, deadline = what, _now() + STANDSTILL.total_seconds()
        elif _now() > deadline:
            raise OperatorError(_stuck(what))
        await asyncio.sleep(POLL_SECONDS)


def _stuck(what: str) -> str:
    seconds = int(STANDSTILL.total_seconds())
    return (
        f"the demo is stuck: {what}, and nothing has changed for {seconds} s. Try it again when "
        "less runs on this machine; `pointsman dev` shows what the service says"
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
