"""An event's way as a track with stations: entry, event, key, waits, and a branch for each wait.

Pure: from what the audit and the explanation say to what is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from correlation.reason import Outcome
from routing.actions_shown import ActionLine, handed_by, said_of
from routing.audit_records import DeliveryRecord, EventRecord, EventStory, LaunchRecord
from routing.explain_records import EventExplanation

Signal = Literal["clear", "caution", "stop", "idle"]
"""How a station stands: passed, still under way, the end of the way, or never reached."""

CONTEXT_WORDS: Final = {
    "execution_id": "execution",
    "user_id": "user",
    "from_state": "from state",
    "to_state": "to state",
    "payload_schema_ref": "schema asked for",
    "judged_by": "judged by schema",
    "traceparent": "trace",
}
DISPOSITION_SIGNALS: Final[dict[str, Signal]] = {
    "accepted": "clear",
    "filtered": "caution",
    "late": "caution",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """A word and what it stands for."""

    label: str
    value: str
    code: bool = False


@dataclass(frozen=True, slots=True)
class Station:
    """A place on the way."""

    kind: str
    title: str
    signal: Signal
    text: str = ""
    at: datetime | None = None
    took: timedelta | None = None
    """From the station before."""
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Branch:
    """The way on to one wait, or to a workflow that the event starts."""

    wait_id: str | None
    workflow_id: str
    run_id: str | None
    key: str
    stations: tuple[Station, ...]

    @property
    def signal(self) -> Signal:
        """How the branch ends."""
        return self.stations[-1].signal


@dataclass(frozen=True, slots=True)
class Track:
    """The whole way."""

    stations: tuple[Station, ...]
    branches: tuple[Branch, ...] = field(default=())


def track_of(story: EventStory, explanation: EventExplanation | None) -> Track:
    """The track of an event, or of an entry that became none."""
    if story.event is None:
        return Track(tuple(_rejected_stations(story)))
    event = story.event
    stations = (_entry(event), _event(event), _key(event, story), _waits(event, story, explanation))
    branches = [
        _branch(delivery, event.received_at, handed_by(story.actions, delivery.wait_id))
        for delivery in story.deliveries
    ]
    branches.extend(_launch(launch) for launch in story.launches)
    return Track(stations, tuple(branches))


def dry_track(explanation: EventExplanation) -> Track:
    """The track that an event would take now."""
    unresolved = explanation.outcome == Outcome.UNRESOLVED.value
    decoded = Station(
        "event",
        explanation.name or "Event",
        "clear",
        "read as a publisher's event would be",
        facts=(Fact("tenant", explanation.tenant), Fact("id", explanation.event_id or "", True)),
    )
    if unresolved:
        key = Station("key", "No correlation key", "stop", explanation.detail or "")
        return Track((decoded, key, _never("waits", "Waits", "nothing is looked up without a key")))
    key = Station("key", _keys_title(explanation.keys), "clear", facts=_keys(explanation.keys))
    met = [wait for wait in explanation.waits if wait.status == "waiting"]
    if explanation.outcome == Outcome.MATCHED.value:
        waits = Station("waits", _count(len(met), "open wait"), "clear", "would be signalled")
    else:
        waits = Station("waits", "No open wait", "stop", "nobody waits for this name and key now")
    branches = tuple(
        Branch(
            wait.wait_id,
            wait.workflow_id,
            wait.run_id,
            wait.correlation_key,
            (Station("signal", "Would be signalled", "idle", wait.filter or ""),),
        )
        for wait in met
    )
    return Track((decoded, key, waits), branches)


def _entry(event: EventRecord) -> Station:
    over_http = event.stream == "http"
    took = None if event.occurred_at is None else event.received_at - event.occurred_at
    facts = [Fact("request" if over_http else "entry", event.entry_id, True)]
    if not over_http:
        facts.append(Fact("stream", event.stream, True))
    if event.occurred_at is not None:
        published = event.occurred_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        facts.append(Fact("published", published))
    title = "Posted over HTTP" if over_http else "Read from the stream"
    return Station("entry", title, "clear", at=event.received_at, took=took, facts=tuple(facts))


def _event(event: EventRecord) -> Station:
    facts = [Fact("tenant", event.tenant), Fact("id", event.event_id, True)]
    facts.extend(
        Fact(CONTEXT_WORDS.get(name, name), str(value), True)
        for name, value in sorted(event.context.items())
    )
    text = ""
    if event.redeliveries:
        text = f"came again {_count(event.redeliveries, 'time')}; that changed nothing"
    return Station("event", event.name, "clear", text, facts=tuple(facts))


def _key(event: EventRecord, story: EventStory) -> Station:
    rules = Fact("rules", event.rules_version, True)
    handed = next((each for each in story.actions if each.action == "bind"), None)
    if not event.keys and handed is not None:
        text = f"none was found; it was handed over {said_of(handed)}"
        return Station("key", "No key needed", "clear", text, facts=(rules,))
    if not event.keys:
        why = event.detail or event.reason or "nothing that could be one was found"
        return Station("key", "No correlation key", "stop", why, facts=(rules,))
    source = {"explicit": "given by the publisher", "derived": "derived by a rule"}
    facts = [*_keys(event.keys), Fact("from", event.key_detail or event.key_source, True), rules]
    text = source.get(event.key_source, event.key_source)
    return Station("key", _keys_title(event.keys), "clear", text, facts=tuple(facts))


def _waits(event: EventRecord, story: EventStory, explanation: EventExplanation | None) -> Station:
    if not event.keys and not story.deliveries:
        return _never("waits", "Waits", "nothing is looked up without a key")
    if story.deliveries:
        late = sum(delivery.looked_back for delivery in story.deliveries)
        bound = {each.detail.get("wait_id") for each in story.actions if each.action == "bind"}
        by_hand = sum(delivery.wait_id in bound for delivery in story.deliveries)
        counts = ((late, "by looking back"), (by_hand, "by hand"))
        parts = [f"{count} of them {how}" for count, how in counts if count]
        text = ", ".join(parts)
        return Station("waits", _count(len(story.deliveries), "wait") + " met", "clear", text)
    near = 0 if explanation is None else len(explanation.near_misses)
    text = "nobody waited for this name and key when it came"
    if near:
        text += f"; {_count(near, 'near miss', 'near misses')} below"
    return Station("waits", "No open wait", "stop", text)


def _branch(
    delivery: DeliveryRecord, received: datetime, handed: ActionLine | None = None
) -> Branch:
    return Branch(
        delivery.wait_id,
        delivery.workflow_id,
        delivery.run_id,
        delivery.correlation_key,
        tuple(_branch_stations(delivery, received, handed)),
    )


def _branch_stations(
    delivery: DeliveryRecord, received: datetime, handed: ActionLine | None
) -> Iterator[Station]:
    how = "the wait looked back and took it" if delivery.looked_back else ""
    title = "Matched"
    if handed is not None:
        title = "Handed over by hand" if handed.action == "bind" else "Matched by a replay"
        how = said_of(handed)
    yield Station("match", title, "clear", how, delivery.created_at, delivery.created_at - received)
    tries = _count(delivery.attempts, "try", "tries")
    why = ": ".join(filter(None, (delivery.reason, delivery.detail)))
    match delivery.status:
        case "delivered" if delivery.delivered_at is not None:
            took = delivery.delivered_at - delivery.created_at
            after = f"after {tries}" if delivery.attempts > 1 else ""
            yield Station("signal", "Signalled", "clear", after, delivery.delivered_at, took)
        case "pending":
            text = f"{tries} so far ({why})" if delivery.attempts else "about to be sent"
            yield Station("signal", "On its way", "caution", text)
            return
        case "withdrawn":
            yield Station("signal", "Withdrawn", "stop", "the wait was closed before the signal")
            return
        case _:
            yield Station("signal", "Dead", "stop", f"{why} after {tries}")
            return
    yield _disposition(delivery)


def _disposition(delivery: DeliveryRecord) -> Station:
    texts = {
        "accepted": ("Accepted", "the workflow went on with it"),
        "filtered": ("Refused by the filter", "the workflow's own filter did not want it"),
        "late": ("Too late", "the workflow no longer waited"),
    }
    title, text = texts.get(
        delivery.disposition or "", ("No word yet", "the workflow has not said what became of it")
    )
    if delivery.disposition == "filtered" and delivery.detail:
        text = delivery.detail
    signal = DISPOSITION_SIGNALS.get(delivery.disposition or "", "caution")
    took = None
    if delivery.disposed_at is not None and delivery.delivered_at is not None:
        took = delivery.disposed_at - delivery.delivered_at
    return Station("disposition", title, signal, text, delivery.disposed_at, took)


def _launch(launch: LaunchRecord) -> Branch:
    words: dict[str, tuple[str, Signal]] = {
        "launched": ("Started", "clear"),
        "pending": ("About to start", "caution"),
        "skipped": ("Started nothing", "idle"),
    }
    title, signal = words.get(launch.status, ("Could not start", "stop"))
    why = ": ".join(filter(None, (launch.reason, launch.detail)))
    station = Station("launch", f"{title}: {launch.workflow_type}", signal, why, launch.launched_at)
    return Branch(None, launch.workflow_id, launch.run_id, launch.trigger_id, (station,))


def _rejected_stations(story: EventStory) -> Iterator[Station]:
    for entry in story.rejected:
        facts = (Fact("entry", entry.entry_id, True), Fact("stream", entry.stream, True))
        over_http = entry.stream == "http"
        title = "Posted over HTTP" if over_http else "Read from the stream"
        yield Station("entry", title, "clear", at=entry.received_at, facts=facts)
        yield Station("event", f"No event: {entry.reason}", "stop", entry.detail)
    yield _never("key", "Correlation key", "never looked for")
    yield _never("waits", "Waits", "never looked for")


def _never(kind: str, title: str, text: str) -> Station:
    return Station(kind, title, "idle", text)


def _keys_title(keys: Sequence[str]) -> str:
    return "Correlation key" if len(keys) == 1 else f"{len(keys)} correlation keys"


def _keys(keys: Sequence[str]) -> tuple[Fact, ...]:
    return tuple(Fact("key", key, code=True) for key in keys)


def _count(number: int, one: str, several: str | None = None) -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"
