"""What the audit says of every published entry, and where that differs from the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from correlation.event import Event
from correlation.reason import Outcome
from ingress.envelope import decode
from routing.audit_records import AuditLine, EventStory
from worker.demo.examples import Ends, ExampleEntry, ExampleWorkflow, Repeats
from worker.demo.runs import Run


@dataclass(frozen=True, slots=True)
class Difference:
    """Something went otherwise than the file says."""

    where: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Published:
    """An example entry in the stream."""

    example: ExampleEntry
    entry_id: str
    identity: tuple[str, str] | None
    """(tenant, event id), where the entry has both."""


@dataclass(frozen=True, slots=True)
class Audited:
    """The audit's rows: by entry id, and the stories of the events that met a wait."""

    lines: Mapping[str, AuditLine]
    stories: Mapping[tuple[str, str], EventStory]


def published(entries: Sequence[ExampleEntry], entry_ids: Sequence[str]) -> Sequence[Published]:
    """The entries with the ids that Redis gave them."""
    return [
        Published(example, entry_id, _identity(example))
        for example, entry_id in zip(entries, entry_ids, strict=True)
    ]


def differences(entries: Sequence[Published], audited: Audited) -> Iterator[Difference]:
    """Where the audit differs from what the file expects of its entries; empty when nowhere."""
    repeats = Counter(each.identity for each in entries if isinstance(each.example.expect, Repeats))
    for entry in entries:
        where = f"line {entry.example.line}, entry {entry.entry_id}"
        line = audited.lines.get(entry.entry_id)
        match entry.example.expect:
            case Repeats():
                if line is not None:
                    yield Difference(where, "a repetition: no row of its own", line.outcome.value)
            case Ends() as ends:
                yield from _compare_ends(where, ends, line)
                if ends.outcome is Outcome.MATCHED and entry.identity is not None:
                    story = audited.stories.get(entry.identity)
                    yield from _compare_targets(where, ends, story)
                    yield from _compare_repeats(where, repeats[entry.identity], story)
            case _:
                assert_never(entry.example.expect)
    strangers = audited.lines.keys() - {entry.entry_id for entry in entries}
    for entry_id in sorted(strangers):
        yield Difference(f"entry {entry_id}", "no such row", audited.lines[entry_id].outcome.value)


def differing_results(
    workflows: Sequence[ExampleWorkflow], runs: Mapping[str, Run]
) -> Iterator[Difference]:
    """Where a workflow returned something else than the file expects."""
    for workflow in workflows:
        run = runs.get(workflow.workflow_id)
        found = run.result if run is not None else "never started"
        if found != dict(workflow.result):
            yield Difference(workflow.workflow_id, str(dict(workflow.result)), str(found))


def _compare_ends(where: str, ends: Ends, line: AuditLine | None) -> Iterator[Difference]:
    expected = _words(ends.outcome, ends.reason)
    found = "no row" if line is None else _words(line.outcome, line.reason)
    if found != expected:
        yield Difference(where, expected, found)


def _compare_targets(where: str, ends: Ends, story: EventStory | None) -> Iterator[Difference]:
    expected = dict.fromkeys(ends.wakes, "accepted")
    expected |= dict.fromkeys(ends.refused_by, "filtered")
    found = {
        delivery.workflow_id: delivery.disposition or delivery.status
        for delivery in (story.deliveries if story is not None else ())
    }
    for workflow in sorted(expected.keys() | found.keys()):
        wanted, had = expected.get(workflow, "not signalled"), found.get(workflow, "not signalled")
        if wanted != had:
            yield Difference(f"{where} → {workflow}", wanted, had)


def _compare_repeats(where: str, repeats: int, story: EventStory | None) -> Iterator[Difference]:
    redeliveries = story.event.redeliveries if story is not None and story.event else 0
    # The stream may hand an entry out a second time, too: that is its right.
    if redeliveries < repeats:
        yield Difference(where, f"came again {repeats} times", f"{redeliveries} times")


def _words(outcome: Outcome, reason: str | None) -> str:
    return f"{outcome.value} ({reason})" if reason else outcome.value


def _identity(example: ExampleEntry) -> tuple[str, str] | None:
    decoded = decode(example.fields)
    return (decoded.tenant, decoded.event_id) if isinstance(decoded, Event) else None
