"""The ports of the loops, each with a look at what goes through: the loops know nothing of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from correlation.closing import Closing
from correlation.reason import Reason
from correlation.rules import Rules
from ingress.entry import Entry, EntrySource, Pending, Reading
from routing.delivery_store import Settlement
from routing.dispatch import Deliveries
from routing.faults import DatabaseContended, DatabaseUnavailable, RecordRefused
from routing.incoming import Delivery, IncomingEvent, Recorded, RejectedEntry
from routing.launcher import Launches
from routing.launches import Launch, LaunchEnd, LaunchResult, Starter
from routing.signalling import Signaller, SignalResult
from routing.waits import Registration, Wait
from worker.consumer import DeliverySink
from worker.observe.heartbeat import Heartbeat
from worker.observe.metrics import Metrics
from worker.recording import DeadLetters, Ledger

if TYPE_CHECKING:  # imported on use: its library is large
    from worker.activities import WaitBook


class ObservedSource:
    """A source of entries; the consumer's loop comes by with each read."""

    def __init__(self, source: EntrySource, metrics: Metrics, heartbeat: Heartbeat) -> None:
        self._source = source
        self._metrics = metrics
        self._heartbeat = heartbeat

    async def read(self) -> Reading:
        """See `EntrySource.read`."""
        started = perf_counter()
        self._heartbeat.beat()
        reading = await self._source.read()
        self._heartbeat.beat()
        if reading:
            self._metrics.stage_took("read", perf_counter() - started)
        for _ in reading.deadly:
            self._metrics.entry_dead_lettered()
        return reading

    async def acknowledge(self, entries: Sequence[Pending]) -> None:
        """See `EntrySource.acknowledge`."""
        with _Timed(self._metrics, "ack"):
            await self._source.acknowledge(entries)
        self._heartbeat.beat()

    async def survived(self, entry: Entry) -> None:
        """See `EntrySource.survived`."""
        await self._source.survived(entry)


class ObservedRules:
    """The rules in force; when they are asked for, a batch begins to be decoded and resolved."""

    def __init__(self, rules: Callable[[], Rules], metrics: Metrics) -> None:
        self._rules = rules
        self._metrics = metrics
        self._asked: float | None = None

    def __call__(self) -> Rules:
        """The rules in force now."""
        self._asked = perf_counter()
        return self._rules()

    def batch_resolved(self) -> None:
        """A batch goes on its way to the database: the first time that counts."""
        if self._asked is not None:
            self._metrics.stage_took("resolve", perf_counter() - self._asked)
            self._asked = None


class ObservedLedger:
    """Where batches are recorded; `come_by` is called with each try, an outage's included."""

    def __init__(self, ledger: Ledger, metrics: Metrics, come_by: Callable[[], None]) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._come_by = come_by

    async def record(
        self, events: Sequence[IncomingEvent], rejected: Sequence[RejectedEntry] = ()
    ) -> Recorded:
        """See `worker.recording.Ledger.record`."""
        self._come_by()
        started = perf_counter()
        try:
            recorded = await self._ledger.record(events, rejected)
        except DatabaseContended:
            self._metrics.recording_failed("contended")
            raise
        except DatabaseUnavailable:
            self._metrics.recording_failed("unavailable")
            raise
        except RecordRefused:
            self._metrics.recording_failed("refused")
            raise
        finally:
            self._come_by()
        self._metrics.stage_took("record", perf_counter() - started)
        self._metrics.batch_recorded(recorded, rejected)
        return recorded


class ObservedDeadLetters:
    """Where entries go that can never be recorded."""

    def __init__(self, letters: DeadLetters, metrics: Metrics, heartbeat: Heartbeat) -> None:
        self._letters = letters
        self._metrics = metrics
        self._heartbeat = heartbeat

    async def set_aside(self, entry: Entry, reason: Reason, detail: str) -> None:
        """See `worker.recording.DeadLetters.set_aside`; through an outage it waits for Redis."""
        with self._heartbeat.held():
            await self._letters.set_aside(entry, reason, detail)
        self._metrics.entry_dead_lettered()


class ObservedSink:
    """Where recorded deliveries go; while there is no room, delivery's beat counts instead."""

    def __init__(self, sink: DeliverySink, metrics: Metrics, heartbeat: Heartbeat) -> None:
        self._sink = sink
        self._metrics = metrics
        self._heartbeat = heartbeat

    async def submit(self, deliveries: Sequence[Delivery]) -> None:
        """See `DeliverySink.submit`."""
        with _Timed(self._metrics, "hand_over"), self._heartbeat.held():
            await self._sink.submit(deliveries)

    def wake(self) -> None:
        """See `DeliverySink.wake`."""
        self._sink.wake()


class ObservedDeliveries:
    """Where deliveries are leased from and settled."""

    lease: timedelta

    def __init__(self, deliveries: Deliveries, metrics: Metrics, heartbeat: Heartbeat) -> None:
        self._deliveries = deliveries
        self._metrics = metrics
        self._heartbeat = heartbeat
        self.lease = deliveries.lease

    async def claim(self, count: int) -> list[Delivery]:
        """See `Deliveries.claim`."""
        self._heartbeat.beat()
        with _Timed(self._metrics, "claim"):
            return await self._deliveries.claim(count)

    async def settle(self, settlements: Sequence[Settlement]) -> list[Settlement]:
        """See `Deliveries.settle`."""
        self._heartbeat.beat()
        with _Timed(self._metrics, "settle"):
            dead = await self._deliveries.settle(settlements)
        self._metrics.deliveries_settled(settlements, dead, time.time())
        return dead


class ObservedSignaller:
    """Sends signals."""

    def __init__(self, signaller: Signaller, metrics: Metrics, heartbeat: Heartbeat) -> None:
        self._signaller = signaller
        self._metrics = metrics
        self._heartbeat = heartbeat

    async def signal(self, delivery: Delivery) -> SignalResult:
        """See `Signaller.signal`."""
        with self._metrics.in_flight.track_inprogress(), _Timed(self._metrics, "signal"):
            result = await self._signaller.signal(delivery)
        self._heartbeat.beat()
        return result


class ObservedLaunches:
    """Where launches are leased from and settled."""

    def __init__(self, launches: Launches, metrics: Metrics, heartbeat: Heartbeat) -> None:
        self._launches = launches
        self._metrics = metrics
        self._heartbeat = heartbeat

    async def claim(self, count: int) -> Sequence[Launch]:
        """See `Launches.claim`."""
        self._heartbeat.beat()
        return await self._launches.claim(count)

    async def settle(self, ends: Sequence[LaunchEnd]) -> Sequence[LaunchEnd]:
        """See `Launches.settle`."""
        self._heartbeat.beat()
        dead = await self._launches.settle(ends)
        self._metrics.launches_settled(ends, time.time())
        return dead


class ObservedStarter:
    """Starts workflows."""

    def __init__(self, starter: Starter, metrics: Metrics, heartbeat: Heartbeat) -> None:
        self._starter = starter
        self._metrics = metrics
        self._heartbeat = heartbeat

    async def start(self, launch: Launch) -> LaunchResult:
        """See `Starter.start`."""
        with _Timed(self._metrics, "start"):
            result = await self._starter.start(launch)
        self._heartbeat.beat()
        return result


class ObservedWaits:
    """Where waits are registered and closed."""

    def __init__(self, waits: WaitBook, metrics: Metrics) -> None:
        self._waits = waits
        self._metrics = metrics

    async def register(self, waits: Sequence[Wait]) -> Sequence[Registration]:
        """See `WaitBook.register`."""
        registrations = await self._waits.register(waits)
        looked_back = sum(each.matched_events for each in registrations)
        self._metrics.waits_registered(len(registrations), looked_back)
        return registrations

    async def close(self, closings: Sequence[Closing]) -> Sequence[str]:
        """See `WaitBook.close`."""
        answers = await self._waits.close(closings)
        self._metrics.waits_closed(
            each.disposition.value for each in closings if each.disposition is not None
        )
        return answers


class Named(Protocol):
    """What a stage is timed with."""

    def stage_took(self, stage: str, seconds: float) -> None:
        """One step took so long."""
        ...


class _Timed:
    """Times its block, whichever way that ends; a generator would take three times as long."""

    __slots__ = ("_metrics", "_stage", "_started")

    def __init__(self, metrics: Named, stage: str) -> None:
        self._metrics = metrics
        self._stage = stage

    def __enter__(self) -> None:
        self._started = perf_counter()

    def __exit__(self, *failure: object) -> None:
        self._metrics.stage_took(self._stage, perf_counter() - self._started)
