"""The audit in plain words: whom an event woke and, where nobody, why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, assert_never

from correlation.reason import Outcome, Reason
from routing.actions_shown import ActionLine, said_of
from routing.audit_records import (
    DeliveryRecord,
    EventRecord,
    EventStory,
    LaunchRecord,
    RejectedRecord,
)

_WITHOUT_KEY: Final[Mapping[str, str]] = {
    Reason.NO_RULE: "it carries no correlation key, and no rule says where to find one",
    Reason.NO_VALUE: "it has no correlation key, and nothing stands where one was looked for",
    Reason.NOT_SCALAR: "what stands in the place of its correlation key is no text or number",
    Reason.KEY_TOO_LONG: "its correlation key is too long",
    Reason.CONTROL_CHARACTERS: "its correlation key contains control characters",
    Reason.NUMBER_UNUSABLE: "the number in the place of its correlation key cannot be one",
    Reason.TOO_MANY_KEYS: "it has too many correlation keys",
}


def sentences_of(story: EventStory, now: datetime) -> tuple[str, ...]:
    """One sentence for each thing that came of the event, the most telling first."""
    lines: list[str] = []
    started = [_of_launch(launch) for launch in story.launches]
    if starts_something(story.launches) and not story.deliveries:
        lines.extend(started)  # what came of it, before what did not
        started = []
    if story.event is not None:
        lines.extend(_of_event(story, story.event, now))
    lines.extend(started)
    lines.extend(_of_rejected(entry) for entry in story.rejected)
    lines.extend(filter(None, map(_of_action, reversed(story.actions))))
    return tuple(lines)


def _of_action(action: ActionLine) -> str | None:
    """What somebody did by hand; None of what is told elsewhere."""
    by = f"{said_of(action)} at {moment(action.at)}"
    match action.action:
        case "bind":
            return f"It was handed to wait {action.detail.get('wait_id')} {by}."
        case "replay":
            return f"It was replayed {by}."
        case "requeue":
            return f"Its dead letter was put back into the stream {by}."
        case "retry_launch":
            return f"The launch of trigger {action.detail.get('trigger_id')} was retried {by}."
        case "complete_task":
            return f"It completed the task {action.target_id}, answered {by}."
        case _:
            return f"{action.action.replace('_', ' ').capitalize()} {by}."


def starts_something(launches: Sequence[LaunchRecord]) -> bool:
    """Whether any trigger starts, or has started, a workflow with the event."""
    return any(launch.status in {"launched", "pending"} for launch in launches)


def _of_event(story: EventStory, event: EventRecord, now: datetime) -> Iterator[str]:
    nobody = "It met no wait" if starts_something(story.launches) else "It woke nobody"
    match event.outcome:
        case Outcome.MATCHED:
            yield from (_of_delivery(delivery) for delivery in story.deliveries)
        case Outcome.NO_WAIT:
            yield (
                f"{nobody}: no run of tenant {event.tenant} waited for {event.name} "
                f"with {_keys(event.keys)} when it came."
            )
            yield _availability(event, now)
        case Outcome.UNRESOLVED:
            yield f"{nobody}: {without_key(event.reason)}."
            if event.detail:
                yield what_was_read(event.detail)
        case Outcome.MALFORMED | Outcome.REJECTED:
            # Such rows stand in a table of their own; the column's check excludes them here.
            yield f"It woke nobody ({event.reason})."
        case _:
            assert_never(event.outcome)
    if event.redeliveries:
        times = "once" if event.redeliveries == 1 else f"{event.redeliveries} times"
        yield f"It came again {times} with the same content; that changed nothing."


def without_key(reason: str | None) -> str:
    """Why an event has no key, as the end of a sentence."""
    return f"{_WITHOUT_KEY.get(reason or '', 'it has no correlation key')} ({reason})"


def what_was_read(detail: str) -> str:
    """The places in which a key was looked for, and what stood in each."""
    return f"What was read: {detail}."


def moment(when: datetime) -> str:
    """A moment for a person: `2026-11-02 13:58:00 UTC`."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _keys(keys: Sequence[str]) -> str:
    quoted = [f"'{key}'" for key in keys]
    return f"the key {quoted[0]}" if len(quoted) == 1 else f"any of the keys {', '.join(quoted)}"


def _availability(event: EventRecord, now: datetime) -> str:
    if event.available_until is None or event.available_until <= now:
        return "No later wait can take it any more: its buffer time is over."
    until = moment(event.available_until)
    return f"A wait whose look-back reaches it can still take it, until {until}."


def _of_delivery(delivery: DeliveryRecord) -> str:
    target = f"{delivery.workflow_id} (wait {delivery.wait_id}, key '{delivery.correlation_key}')"
    match delivery.status:
        case "delivered":
            reached = "It woke" if delivery.disposition in {None, "accepted"} else "It reached"
            return f"{reached} {target}{_origin(delivery)}{_disposition(delivery)}."
        case "pending" if delivery.attempts:
            why = f"{delivery.reason}: {delivery.detail}" if delivery.detail else delivery.reason
            return f"It has not reached {target} yet, after {_tries(delivery)} ({why})."
        case "pending":
            return f"It is on its way to {target}."
        case "withdrawn":
            return f"It did not wake {target}: the wait was closed before the signal went out."
        case _:
            detail = f": {delivery.detail}" if delivery.detail else ""
            tries = _tries(delivery)
            return f"It could not wake {target}: {delivery.reason} after {tries}{detail}."


def _origin(delivery: DeliveryRecord) -> str:
    return ", which looked back and found it" if delivery.looked_back else ""


def _disposition(delivery: DeliveryRecord) -> str:
    match delivery.disposition:
        case "accepted":
            return "; the workflow accepted it"
        case "filtered":
            why = f": {delivery.detail}" if delivery.detail else ""
            return f"; the workflow's own filter refused it{why}"
        case "late":
            return "; it came too late, the workflow no longer waited"
        case _:
            return "; the workflow has not said yet what became of it"


def _tries(delivery: DeliveryRecord) -> str:
    return "1 try" if delivery.attempts == 1 else f"{delivery.attempts} tries"


def _of_launch(launch: LaunchRecord) -> str:
    workflow = f"{launch.workflow_type} {launch.workflow_id} (trigger {launch.trigger_id})"
    why = ": ".join(filter(None, (launch.reason, launch.detail)))
    match launch.status:
        case "launched" if launch.reason == Reason.ALREADY_STARTED:
            return f"{workflow} was started already; nothing was started twice."
        case "launched":
            return f"It started {workflow}."
        case "pending" if launch.attempts:
            tries = "1 try" if launch.attempts == 1 else f"{launch.attempts} tries"
            return f"It has not started {workflow} yet, after {tries} ({why})."
        case "pending":
            return f"It is about to start {workflow}."
        case "skipped":
            return f"Trigger {launch.trigger_id} started no {launch.workflow_type}: {why}."
        case _:
            return f"It could not start {workflow}: {why}."


def _of_rejected(entry: RejectedRecord) -> str:
    place = f"Entry {entry.entry_id} of {entry.stream}"
    if entry.reason == Reason.CONFLICTING_DUPLICATE:
        return f"{place} woke nobody: {entry.detail}."
    if entry.outcome is Outcome.MALFORMED:
        return f"{place} woke nobody: it is no event ({entry.reason}): {entry.detail}."
    return f"{place} woke nobody: {entry.reason}: {entry.detail}."
