"""The metrics of one process, in a registry of its own."""

from __future__ import annotations

import contextlib
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import cache
from importlib.metadata import version
from math import nan
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from correlation.reason import Outcome, Reason
from ingress.backlog import StreamBacklog
from ingress.entry import StreamName
from routing.backlog import Backlog
from routing.delivery_store import DeliveryStatus, Settlement
from routing.incoming import Recorded, RejectedEntry
from routing.launches import LaunchEnd, LaunchStatus
from routing.namespaces import Unserved
from worker.observe import catalogue
from worker.observe.catalogue import Metric
from worker.observe.dependencies import DependencyState
from worker.observe.heartbeat import Silence

ZERO: Final = timedelta()

# What alerts look at stands at 0 from the start: a series that begins with its first event shows
# Prometheus no increase for that one.
DEAD_REASONS: Final = (
    Reason.RUN_CLOSED,
    Reason.RUN_NOT_FOUND,
    Reason.SIGNAL_LIMIT,
    Reason.PAYLOAD_TOO_LARGE,
    Reason.INVALID_TARGET,
)
DEAD_LAUNCH_REASONS: Final = (Reason.PAYLOAD_TOO_LARGE, Reason.INVALID_TARGET)
_LAUNCH_STATES: Final = {
    LaunchStatus.LAUNCHED: "launched",
    LaunchStatus.PENDING: "retried",
    LaunchStatus.DEAD: "dead",
    LaunchStatus.SKIPPED: "skipped",
}


class Metrics:
    """Counts and measures; every method is cheap enough for the hot path."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self._gauge(catalogue.BUILD).labels(version("pointsman-service")).set(1)
        self._events = self._counter(catalogue.EVENTS)
        self._redelivered = self._counter(catalogue.REDELIVERED)
        self._matches = self._counter(catalogue.MATCHES)
        self._failures = self._counter(catalogue.RECORDING_FAILURES)
        self._dead_lettered = self._counter(catalogue.DEAD_LETTERED)
        # Few stages, each timed thousands of times a second: looked up by their labels but once.
        self._stage = cache(self._histogram(catalogue.STAGE).labels)
        self._batches = self._histogram(catalogue.BATCH)
        self._deliveries = self._counter(catalogue.DELIVERIES)
        self._ages = self._histogram(catalogue.DELIVERY_AGE)
        self._in_memory = self._gauge(catalogue.IN_MEMORY)
        self.in_flight = self._gauge(catalogue.IN_FLIGHT)
        self._launches = self._counter(catalogue.LAUNCHES)
        self._launch_ages = self._histogram(catalogue.LAUNCH_AGE)
        self._registered = self._counter(catalogue.WAITS_REGISTERED)
        self._closed = self._counter(catalogue.WAITS_CLOSED)
        self._expired = self._counter(catalogue.EXPIRED)
        self._leads = self._gauge(catalogue.LEADS)
        self._visibility = self._gauge(catalogue.VISIBILITY)
        self._stored = StoredGauges(self._gauge)
        self._streams = StreamGauges(self._gauge)
        self._unattempted = self._gauge(catalogue.UNATTEMPTED)
        self._unserved = self._gauge(catalogue.UNSERVED)
        self._dependencies = self._gauge(catalogue.DEPENDENCY)
        self._silent = self._gauge(catalogue.SILENT)
        self._silence_limits = self._gauge(catalogue.SILENCE_LIMIT)
        self._begin_at_zero()

    def stage_took(self, stage: str, seconds: float) -> None:
        """One step of the way took so long."""
        self._stage(stage).observe(seconds)

    def batch_recorded(self, recorded: Recorded, rejected: Sequence[RejectedEntry]) -> None:
        """A batch was committed."""
        fresh = [event for event in recorded.events if not event.duplicate]
        ends: Tally[tuple[Outcome, Reason | None]] = Tally(
            (event.outcome, event.reason) for event in fresh
        )
        ends.update((entry.outcome, entry.reason) for entry in rejected)
        for (outcome, reason), count in ends.items():
            self._events.labels(outcome.value, _text(reason)).inc(count)
        self._redelivered.inc(len(recorded.events) - len(fresh))
        self._matches.labels("event").inc(sum(event.matched_waits for event in fresh))
        self._batches.observe(len(recorded.events) + len(rejected))

    def recording_failed(self, cause: str) -> None:
        """A batch was not committed."""
        self._failures.labels(cause).inc()

    def entry_dead_lettered(self) -> None:
        """An entry was set aside."""
        self._dead_lettered.inc()

    def deliveries_settled(
        self, settled: Iterable[Settlement], dead: Sequence[Settlement], now: float
    ) -> None:
        """Attempts were written back; `now` is in seconds since the epoch."""
        states: Tally[tuple[str, Reason | None]] = Tally()
        for each in settled:
            if each.status is DeliveryStatus.DELIVERED:
                states["delivered", None] += 1
                self._ages.observe(max(0.0, now - each.delivery.created_at.timestamp()))
            elif each.tried:
                states["retried", each.reason] += 1
        # Told to be dead, and within their grace pending still: those are retried.
        for each in dead:
            states["retried", each.reason] -= 1
            states["dead", each.reason] += 1
        for (state, reason), count in states.items():
            if count > 0:
                self._deliveries.labels(state, _text(reason)).inc(count)

    def launches_settled(self, ends: Iterable[LaunchEnd], now: float) -> None:
        """Attempts to launch were written back; `now` is in seconds since the epoch."""
        for end in ends:
            self._launches.labels(_LAUNCH_STATES[end.status], _text(end.reason)).inc()
            if end.status is LaunchStatus.LAUNCHED:
                age = now - end.launch.received_at.timestamp()
                self._launch_ages.observe(max(0.0, age))

    def waits_registered(self, count: int, looked_back: int) -> None:
        """Waits were registered, and took so many events by their look-backs."""
        self._registered.inc(count)
        self._matches.labels("lookback").inc(looked_back)

    def waits_closed(self, dispositions: Iterable[str]) -> None:
        """Workflows said what became of events and waits."""
        for disposition, count in Tally(dispositions).items():
            self._closed.labels(disposition).inc(count)

    def events_expired(self, count: int) -> None:
        """The buffer time of so many events is over."""
        self._expired.inc(count)

    def hold_deliveries_at(self, in_memory: Callable[[], int]) -> None:
        """Read the number of deliveries in memory from there, at each look."""
        self._in_memory.set_function(in_memory)

    def leads(self, duty: str, *, leads: bool) -> None:
        """Whether this process has the lease of a duty."""
        self._leads.labels(duty).set(leads)

    def visibility(self, namespace: str, *, up: bool) -> None:
        """Whether the closings of a namespace can be followed."""
        self._visibility.labels(namespace).set(up)

    def visibility_forgotten(self, namespace: str) -> None:
        """Another process follows the namespace now, and tells how its visibility stands."""
        with contextlib.suppress(KeyError):
            self._visibility.remove(namespace)

    def stored(self, backlog: Backlog) -> None:
        """What stands in the database now."""
        self._stored.show(backlog)

    def streams(self, backlogs: Iterable[StreamBacklog]) -> None:
        """What stands in the streams now."""
        for backlog in backlogs:
            self._streams.show(backlog)

    def unattempted(self, span: timedelta) -> None:
        """For how long nobody has attempted the oldest delivery."""
        self._unattempted.set(span.total_seconds())

    def unserved(self, namespaces: Iterable[Unserved]) -> None:
        """The namespaces whose work nobody begins."""
        self._unserved.clear()
        for each in namespaces:
            self._unserved.labels(each.namespace).set(each.oldest.total_seconds())

    def dependencies(self, states: Iterable[DependencyState]) -> None:
        """How the servers stand now."""
        for state in states:
            self._dependencies.labels(state.name).set(state.ready)

    def loops(self, silences: Iterable[Silence]) -> None:
        """How the loops stand now."""
        for silence in silences:
            self._silent.labels(silence.loop).set(silence.silent.total_seconds())
            self._silence_limits.labels(silence.loop).set(silence.limit.total_seconds())

    def page(self, accept: str) -> tuple[str, bytes]:
        """The content type and the text of all of it, as the Accept header wants it."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self.registry)

    def _begin_at_zero(self) -> None:
        self._events.labels(Outcome.MATCHED.value, "")
        self._events.labels(Outcome.NO_WAIT.value, Reason.NO_OPEN_WAIT.value)
        for by in ("event", "lookback"):
            self._matches.labels(by)
        for cause in ("unavailable", "contended", "refused"):
            self._failures.labels(cause)
        self._deliveries.labels("delivered", "")
        for reason in DEAD_REASONS:
            self._deliveries.labels("dead", reason.value)
        self._launches.labels("launched", "")
        for reason in DEAD_LAUNCH_REASONS:
            self._launches.labels("dead", reason.value)

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.name, metric.meaning, metric.labels, registry=self.registry)

    def _gauge(self, metric: Metric) -> Gauge:
        return Gauge(metric.name, metric.meaning, metric.labels, registry=self.registry)

    def _histogram(self, metric: Metric) -> Histogram:
        return Histogram(
            metric.name,
            metric.meaning,
            metric.labels,
            buckets=metric.buckets,
            registry=self.registry,
        )


class StoredGauges:
    """What stands in the database."""

    def __init__(self, gauge: Callable[[Metric], Gauge]) -> None:
        self._waits = gauge(catalogue.OPEN_WAITS)
        self._events = gauge(catalogue.BUFFERED)
        self._outbox = gauge(catalogue.OUTBOX)
        self._outbox_age = gauge(catalogue.OUTBOX_AGE)
        self._launches = gauge(catalogue.LAUNCH_OUTBOX)
        self._launches_age = gauge(catalogue.LAUNCH_OUTBOX_AGE)

    def show(self, backlog: Backlog) -> None:
        """Set all of it."""
        self._waits.set(backlog.open_waits)
        self._events.set(backlog.available_events)
        self._outbox.set(backlog.pending_deliveries)
        self._outbox_age.set(_seconds(backlog.oldest_pending))
        self._launches.set(backlog.pending_launches)
        self._launches_age.set(_seconds(backlog.oldest_launch))


class StreamGauges:
    """What stands in the streams."""

    def __init__(self, gauge: Callable[[Metric], Gauge]) -> None:
        self._length = gauge(catalogue.STREAM_LENGTH)
        self._lag = gauge(catalogue.STREAM_LAG)
        self._lag_age = gauge(catalogue.STREAM_LAG_AGE)
        self._pending = gauge(catalogue.PENDING)
        self._pending_age = gauge(catalogue.PENDING_AGE)
        self._trimmed = gauge(catalogue.TRIMMED)
        self._letters = gauge(catalogue.DEAD_LETTERS)
        self._most_trimmed: dict[StreamName, int] = {}

    def show(self, backlog: StreamBacklog) -> None:
        """Set all of one stream; a loss that does not show any more stays seen."""
        stream = backlog.stream
        trimmed = max(backlog.trimmed_unread, self._most_trimmed.get(stream, 0))
        self._most_trimmed[stream] = trimmed
        self._length.labels(stream).set(backlog.length)
        self._lag.labels(stream).set(nan if backlog.unread is None else backlog.unread)
        self._lag_age.labels(stream).set(_seconds(backlog.oldest_unread))
        self._pending.labels(stream).set(backlog.pending)
        self._pending_age.labels(stream).set(_seconds(backlog.oldest_pending))
        self._trimmed.labels(stream).set(trimmed)
        self._letters.labels(stream).set(backlog.dead_letters)


def _text(reason: Reason | None) -> str:
    return "" if reason is None else reason.value


def _seconds(span: timedelta | None) -> float:
    return (span or ZERO).total_seconds()
