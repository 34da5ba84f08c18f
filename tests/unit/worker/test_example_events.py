from __future__ import annotations

from pathlib import Path

from correlation.event import Event
from correlation.reason import Outcome
from correlation.resolution import Resolved, Unresolved, resolve
from examples.make_events import files
from ingress.entry import Malformed
from ingress.envelope import decode
from worker.demo.examples import Ends, ExampleEntry, Repeats, as_entry, read_examples
from worker.rules_source import rules_from_file
from worker.triggers_source import triggers_from_file

FOLDER = Path(__file__).resolve().parents[3] / "examples"
EXAMPLES = read_examples(FOLDER)
RULES = rules_from_file(EXAMPLES.rules_file)


def end_without_waits(entry: ExampleEntry) -> tuple[Outcome, str | None] | None:
    """How decoding and resolving alone end an entry; None where it goes on to be matched."""
    decoded = decode(entry.fields)
    if isinstance(decoded, Malformed):
        return Outcome.MALFORMED, decoded.reason
    resolution = resolve(decoded, RULES)
    return (Outcome.UNRESOLVED, resolution.reason) if isinstance(resolution, Unresolved) else None


def test_the_example_files_are_what_their_program_writes() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path, _ in files()}

    assert written == {path.name: text for path, text in files()}, "run examples/make_events.py"


def test_there_are_enough_examples_of_every_kind() -> None:
    ends = [entry.expect for entry in EXAMPLES.entries if isinstance(entry.expect, Ends)]

    assert len(EXAMPLES.entries) >= 200
    assert {end.outcome for end in ends} == set(Outcome)
    assert len({end.reason for end in ends if end.outcome is Outcome.MALFORMED}) >= 12


def expected_without_waits(entry: ExampleEntry) -> tuple[Outcome, str | None] | None:
    """What the file says of that: nothing where the entry is to go on."""
    match entry.expect:
        case Ends(outcome=Outcome.MALFORMED | Outcome.UNRESOLVED as outcome, reason=reason):
            return outcome, reason
        case _:
            return None


def test_every_example_entry_decodes_and_resolves_as_the_file_says() -> None:
    # Of a conflicting duplicate the id decides, whatever else stands in it.
    entries = [
        entry
        for entry in EXAMPLES.entries
        if not (isinstance(entry.expect, Ends) and entry.expect.outcome is Outcome.REJECTED)
    ]

    wrong = {
        entry.line: end_without_waits(entry)
        for entry in entries
        if end_without_waits(entry) != expected_without_waits(entry)
    }

    assert wrong == {}


def test_every_workflow_that_is_woken_is_named_by_an_event() -> None:
    woken = {
        workflow
        for entry in EXAMPLES.entries
        if isinstance(entry.expect, Ends)
        for workflow in entry.expect.wakes
    }
    ids_named = {
        workflow.workflow_id
        for workflow in EXAMPLES.workflows
        if workflow.result.get("event_id") or workflow.result.get("event_ids")
    }

    assert woken == ids_named


def test_equal_event_ids_of_one_tenant_are_repetitions_or_conflicts() -> None:
    seen: set[tuple[str, str]] = set()
    for entry in EXAMPLES.entries:
        decoded = decode(entry.fields)
        if isinstance(decoded, Event):
            identity = (decoded.tenant, decoded.event_id)
            again = isinstance(entry.expect, Repeats) or entry.expect.outcome is Outcome.REJECTED
            assert (identity in seen) == again, f"line {entry.line}"
            seen.add(identity)


def test_the_story_of_the_onboarding_launches_without_a_key_and_ends_by_one() -> None:
    story = EXAMPLES.onboarding
    assert story is not None
    created, signed = as_entry(story.created, 1), as_entry(story.signed, 3)
    [trigger] = triggers_from_file(EXAMPLES.triggers_file)

    key = resolve(decoded_event(signed), RULES)

    assert end_without_waits(created) == expected_without_waits(created)
    assert (trigger.trigger_id, trigger.event_name) == (story.trigger, decoded_event(created).name)
    assert isinstance(key, Resolved)
    assert key.key == story.result["client_id"]


def decoded_event(entry: ExampleEntry) -> Event:
    decoded = decode(entry.fields)
    assert isinstance(decoded, Event)
    return decoded
