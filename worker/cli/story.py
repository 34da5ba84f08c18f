"""One event's whole story, for a person and for a program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape

from routing.actions_shown import ActionLine
from routing.audit_records import DeliveryRecord, EventRecord, EventStory, RejectedRecord
from worker.cli.printing import Cell, clock, console, make_table, printable

LONGEST_TEXT = 2000


def story_as_json(story: EventStory) -> dict[str, Any]:
    """The story's records as they are."""
    return asdict(story)


def print_story(story: EventStory) -> None:
    """Sentences first; then the rows they were made from."""
    screen = console()
    for sentence in story.sentences:
        screen.print(f"[bold]{escape(printable(sentence))}[/]", soft_wrap=True)
    screen.print()
    if story.event is not None:
        screen.print(make_table(("event", ""), _event_rows(story.event)))
        screen.print()
    if story.deliveries:
        columns = ("workflow", "wait", "status", "tries", "disposition", "reason", "delivered")
        screen.print(make_table(columns, map(_delivery_row, story.deliveries)))
        screen.print()
    for launch in story.launches:
        rows = [(name, str(value)) for name, value in asdict(launch).items() if value is not None]
        screen.print(make_table(("launch", ""), rows))
        screen.print()
    if story.actions:
        headings = ("at", "who", "did by hand", "to", "why")
        screen.print(make_table(headings, map(_action_row, story.actions)))
        screen.print()
    for entry in story.rejected:
        screen.print(make_table(("entry", ""), _rejected_rows(entry)))
        screen.print()


def _action_row(action: ActionLine) -> tuple[Cell, ...]:
    to = action.detail.get("wait_id") or action.detail.get("trigger_id") or action.target_id
    return clock(action.at), action.actor, action.action, str(to), action.reason


def _event_rows(event: EventRecord) -> Sequence[tuple[Cell, Cell]]:
    rows: list[tuple[Cell, Cell]] = [
        ("tenant", event.tenant),
        ("id", event.event_id),
        ("name", event.name),
        ("outcome", event.outcome.value),
        ("reason", event.reason),
        ("detail", event.detail),
        ("keys", ", ".join(event.keys)),
        ("key found in", event.key_detail),
        ("rules version", event.rules_version),
        ("received", clock(event.received_at)),
        ("occurred", clock(event.occurred_at)),
        ("available until", clock(event.available_until)),
        ("came again", event.redeliveries or None),
        ("stream, entry", f"{event.stream}, {event.entry_id}"),
        *((name, str(value)) for name, value in event.context.items()),
        ("payload", _shortened(event.payload)),
    ]
    return [(name, value) for name, value in rows if value not in (None, "")]


def _delivery_row(delivery: DeliveryRecord) -> tuple[Cell, ...]:
    reason = ": ".join(filter(None, (delivery.reason, delivery.detail)))
    return (
        delivery.workflow_id,
        f"{delivery.wait_id}{' (looked back)' if delivery.looked_back else ''}",
        delivery.status,
        delivery.attempts,
        delivery.disposition,
        reason,
        clock(delivery.delivered_at),
    )


def _rejected_rows(entry: RejectedRecord) -> Iterator[tuple[Cell, Cell]]:
    yield "tenant", entry.tenant or "(none usable)"
    yield "stream, entry", f"{entry.stream}, {entry.entry_id}"
    yield "outcome", entry.outcome.value
    yield "reason", entry.reason
    yield "detail", entry.detail
    if entry.event_id:
        yield "event id", entry.event_id
    if entry.name:
        yield "event name", entry.name
    yield "received", clock(entry.received_at)
    yield "raw fields", _shortened(entry.raw.decode("utf-8", "backslashreplace"))


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]}… ({len(text)} characters; --json shows all)"
