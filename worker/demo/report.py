"""What the demo prints when everything is settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.console import Console

from correlation.reason import Outcome
from routing.audit_records import AuditLine
from worker.addresses import as_exports
from worker.cli.printing import Cell, make_table
from worker.demo.examples import Ends, Examples, ExampleWorkflow
from worker.demo.findings import Audited, Difference, Published
from worker.demo.onboarding import Told
from worker.demo.runs import Run
from worker.demo.stage import Stage
from worker.demo.stream import published_at

FURTHER: Final = (
    "pointsman events list --outcome unresolved",
    "pointsman events list --outcome no_wait",
    "pointsman waits list --all",
    "pointsman status",
    "pointsman publish INVOICE_PAID --tenant acme --key INV-7001",
)


def print_report(
    screen: Console,
    audited: Audited,
    workflows: Sequence[ExampleWorkflow],
    runs: Mapping[str, Run],
) -> None:
    """Events by outcome and reason; each workflow with what woke it, and how fast."""
    screen.print()
    screen.print(_outcomes(list(audited.lines.values())))
    screen.print()
    columns = ("workflow", "status", "woken by", "ms after the XADD")
    rows = [_run_row(workflow, runs, audited) for workflow in workflows]
    screen.print(make_table(columns, rows, title="Workflows"))
    screen.print()


def print_story(screen: Console, told: Told, audited: Audited) -> None:
    """The onboarding: its launch, its task, and what woke it, with how fast."""
    columns = ("step", "by", "ms")
    rows = list(_story_rows(told, audited))
    title = f"Onboarding: {told.workflow_id}"
    screen.print(make_table(columns, rows, title=title))
    screen.print()


def _story_rows(told: Told, audited: Audited) -> Iterator[Sequence[Cell]]:
    task = told.task
    for entry, step in zip(told.entries, ("launched", "answered", "woken"), strict=False):
        by = entry.identity[1] if entry.identity else entry.entry_id
        yield step, by, _story_milliseconds(told, entry, audited)
        if step == "launched" and task is not None:
            asked = (
                f"{', '.join(task.assignees)}, due {task.due_at:%Y-%m-%d}" if task.due_at else ""
            )
            yield "task", f"{task.title} ({asked})", ""
    ended = told.result if isinstance(told.result, str) else str(told.result.get("status"))
    yield "ended", ended, ""


def _story_milliseconds(told: Told, entry: Published, audited: Audited) -> str:
    """From the event's recording, or the entry's publishing, to Temporal's record of the signal."""
    event_id = entry.identity[1] if entry.identity else ""
    signalled, line = told.signalled_at.get(event_id), audited.lines.get(entry.entry_id)
    if signalled is None or line is None:
        return ""
    return f"{1000 * (signalled - line.received_at.timestamp()):.0f}"


def print_differences(screen: Console, differences: Sequence[Difference], entries: int) -> None:
    """What went otherwise than the file says."""
    if not differences:
        screen.print(f"All {entries} entries and their workflows ended as the file says.\n")
        return
    rows = [(each.where, each.expected, each.found) for each in differences]
    table = make_table(("where", "expected", "found"), rows, title="Differences to the file")
    screen.print(table)
    screen.print()


def _outcomes(lines: Sequence[AuditLine]) -> object:
    counts = Counter((line.outcome, line.reason) for line in lines)
    order = {outcome: place for place, outcome in enumerate(type(lines[0].outcome))}
    rows: list[Sequence[Cell]] = [
        (outcome.value, reason, count)
        for (outcome, reason), count in sorted(
            counts.items(), key=lambda item: (order[item[0][0]], -item[1])
        )
    ]
    return make_table(("outcome", "reason", "events"), rows, title="Events")


def _run_row(
    workflow: ExampleWorkflow, runs: Mapping[str, Run], audited: Audited
) -> Sequence[Cell]:
    run = runs[workflow.workflow_id]
    if isinstance(run.result, str):
        return workflow.workflow_id, run.result, "", ""
    tenant = str(workflow.input["tenant"])
    woken_by = list(_woken_by(run))
    times = [_milliseconds(tenant, event_id, run, audited) for event_id in woken_by]
    latency = ", ".join(times)
    if workflow.start == "after" and latency:
        latency = "looked back"
    return workflow.workflow_id, str(run.result["status"]), ", ".join(woken_by), latency


def _woken_by(run: Run) -> Iterator[str]:
    if isinstance(run.result, str):
        return
    event_ids = run.result.get("event_ids") or [run.result.get("event_id")]
    yield from (event_id for event_id in event_ids if event_id)


def _milliseconds(tenant: str, event_id: str, run: Run, audited: Audited) -> str:
    signalled = run.signalled_at.get(event_id)
    story = audited.stories.get((tenant, event_id))
    if signalled is None or story is None or story.event is None:
        return "?"
    return f"{1000 * (signalled - published_at(story.event.entry_id)):.0f}"


def print_further(screen: Console, examples: Examples, kept: Stage | None) -> None:
    """How to look further: with a stage that is kept, the pages, the commands, the servers."""
    woken = next(each for each in examples.workflows if each.result.get("event_id"))
    show = f"pointsman events show {woken.result['event_id']}"
    if kept is None:
        screen.print("To look further, let everything run on with ./dev demo --keep, and ask:")
        screen.print(f"  {show}\n")
        return
    screen.print("Everything keeps running until Ctrl-C. In a browser, without a token:\n")
    screen.print(kept.pages.lines, soft_wrap=True)
    screen.print("\nIn another terminal:\n")
    screen.print(as_exports(kept.environment), soft_wrap=True)
    screen.print()
    for command in (show, *_explained(examples), *FURTHER):
        screen.print(command, soft_wrap=True)


def _explained(examples: Examples) -> Iterator[str]:
    """The command that says why the first event without a key woke nobody."""
    for entry in examples.entries:
        event_id = entry.fields.get(b"event_id")
        unresolved = isinstance(entry.expect, Ends) and entry.expect.outcome is Outcome.UNRESOLVED
        if unresolved and event_id:
            yield f"pointsman explain event {event_id.decode()}"
            return
