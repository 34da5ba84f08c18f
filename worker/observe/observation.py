"""All that one process shows of itself, put together; the composition root wires it in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from correlation.rules import Rules
from ingress.backlog import StreamBacklogs, StreamsUnavailable
from ingress.entry import EntrySource
from ingress.reconnection import NOT_YET_CONNECTED, StreamStatus
from routing.backlog import measure_backlog, oldest_unattempted
from routing.database import Database
from routing.dispatch import Deliveries
from routing.faults import RoutingError
from routing.launcher import Launches
from routing.launches import Starter
from routing.maintenance.leadership import SWEEPING, namespace_of
from routing.namespaces import unserved_namespaces
from routing.signalling import Signaller
from routing.wakeups import LISTENS
from worker.cancelling import cancel
from worker.consumer import DeliverySink
from worker.loop_thread import opened_in_thread
from worker.observe.beating import BeatingDatabase
from worker.observe.dependencies import Check, Dependencies
from worker.observe.health import healthz, readyz
from worker.observe.heartbeat import STALLED_AFTER, Heartbeat, Heartbeats, turn
from worker.observe.listener import Answer, listening
from worker.observe.metrics import Metrics
from worker.observe.observed import (
    ObservedDeadLetters,
    ObservedDeliveries,
    ObservedLaunches,
    ObservedLedger,
    ObservedRules,
    ObservedSignaller,
    ObservedSink,
    ObservedSource,
    ObservedStarter,
    ObservedWaits,
)
from worker.observe.unattended import DeliveryWatch
from worker.operator_error import OperatorError
from worker.recording import DeadLetters, Ledger
from worker.redaction import redact_urls
from worker.settings import Role, Settings

if TYPE_CHECKING:
    from worker.activities import WaitBook
    from worker.observe.tracing import Tracing

log = structlog.get_logger(__name__)

MARGIN: Final = timedelta(seconds=30)
TIME_TO_END: Final = timedelta(seconds=2)
MAIN: Final = "main"
"""The event loop of every role but `api`."""
NEEDS_TEMPORAL: Final = frozenset({Role.DELIVERY, Role.WORKER, Role.SWEEPER})


class Observation:
    """Wraps the ports of the loops, and answers `/metrics`, `/healthz` and `/readyz`."""

    def __init__(self, settings: Settings) -> None:
        """Raises OperatorError when traces are wanted and cannot be made."""
        self.metrics = Metrics()
        self.heartbeats = Heartbeats()
        self.event_loops = Heartbeats()
        self._main_loop = self.event_loops.watch(MAIN, STALLED_AFTER)
        self.serving = False
        self._settings = settings
        self._dependencies = Dependencies({}, period=settings.observe_period)
        self._unserved: frozenset[str] = frozenset()
        self._looks: list[Callable[[], Awaitable[None]]] = []
        self._visibility_problems: dict[str, str] = {}
        self._tracing = _tracing(settings)
        self._rules: ObservedRules | None = None
        # The longest that a healthy loop may be silent: two of its longest steps, one failing.
        slow = settings.statement_timeout + settings.backoff_maximum
        self._consumer = self._watch(Role.CONSUMER, "consumer", 2 * (settings.block + slow))
        sending = 2 * (settings.signal_timeout + slow)
        self._delivery = self._watch(Role.DELIVERY, "delivery", sending)
        self._launcher = self._watch(Role.DELIVERY, "launcher", sending)
        self._sweeper = self._watch(Role.SWEEPER, "sweeper", 2 * (settings.sweep_period + slow))
        walk = 2 * (settings.reconcile_period + slow + 20 * settings.signal_timeout)
        self._reconciler = self._watch(Role.SWEEPER, "reconciler", walk)
        self._keeper = self._watch(
            Role.SWEEPER, "retention", 2 * (settings.retention_period + slow)
        )
        self._leader = self._watch(Role.SWEEPER, "leader", 2 * (settings.leader_lease + slow))
        self.listener = self._watch(Role.DELIVERY, "wakeups", 2 * (LISTENS + slow))
        self.worker = self._watch(Role.WORKER, "worker", 2 * (settings.signal_timeout + slow))
        self.api = self._watch(Role.API, "api", 2 * slow)
        self.api_loop = Heartbeat("api", STALLED_AFTER)
        if Role.API in settings.roles:
            self.api_loop = self.event_loops.watch("api", STALLED_AFTER)

    @property
    def consumer_sleep(self) -> Callable[[float], Awaitable[None]]:
        """How the consumer sleeps between two tries: turning all the while."""
        return self._consumer.sleep

    def source(self, source: EntrySource) -> EntrySource:
        """The consumer's source of entries."""
        return ObservedSource(source, self.metrics, self._consumer)

    def rules(self, rules: Callable[[], Rules]) -> Callable[[], Rules]:
        """The rules that the consumer resolves by."""
        self._rules = ObservedRules(rules, self.metrics)
        return self._rules

    def ledger(self, ledger: Ledger) -> Ledger:
        """Where the consumer's events are recorded."""
        return ObservedLedger(self._traced(ledger), self.metrics, self._consumer_comes_by)

    def posted(self, ledger: Ledger) -> Ledger:
        """Where posted events are recorded: no loop of ours turns with them."""
        return ObservedLedger(self._traced(ledger), self.metrics, _nothing)

    def dead_letters(self, letters: DeadLetters) -> DeadLetters:
        """Where poison entries go."""
        return ObservedDeadLetters(letters, self.metrics, self._consumer)

    def sink(self, sink: DeliverySink) -> DeliverySink:
        """Where the consumer's deliveries go."""
        return ObservedSink(sink, self.metrics, self._consumer)

    def deliveries(self, deliveries: Deliveries) -> Deliveries:
        """Where the dispatcher claims and settles."""
        return ObservedDeliveries(deliveries, self.metrics, self._delivery)

    def signaller(self, signaller: Signaller) -> Signaller:
        """What the dispatcher signals with."""
        traced = signaller if self._tracing is None else self._tracing.signaller(signaller)
        return ObservedSignaller(traced, self.metrics, self._delivery)

    def launches(self, launches: Launches) -> Launches:
        """Where the launcher claims and settles."""
        return ObservedLaunches(launches, self.metrics, self._launcher)

    def starter(self, starter: Starter) -> Starter:
        """What the launcher starts workflows with."""
        return ObservedStarter(starter, self.metrics, self._launcher)

    def waits(self, waits: WaitBook) -> WaitBook:
        """Where the activities, and the API, register and close waits."""
        return ObservedWaits(waits, self.metrics)

    def swept(self, database: Database) -> Database:
        """The database as the sweeper walks it."""
        return BeatingDatabase(database, self._sweeper)

    def kept(self, database: Database) -> Database:
        """The database as retention walks it."""
        return BeatingDatabase(database, self._keeper)

    def reconciled(self, database: Database) -> Database:
        """The database as the reconciler walks it."""
        return BeatingDatabase(database, self._reconciler)

    def came_by(self, duty: str, *, leads: bool) -> None:
        """See `worker.leading.Watch`; the loops of a duty that another leads need not turn."""
        self._leader.beat()
        self.metrics.leads(duty, leads=leads)
        if not leads:
            loops = [self._sweeper, self._keeper] if duty == SWEEPING else [self._reconciler]
            for loop in loops:
                loop.beat()
            if (namespace := namespace_of(duty)) is not None:
                self.visibility_stands(namespace, None)
                self.metrics.visibility_forgotten(namespace)

    def visibility_stands(self, namespace: str, problem: str | None) -> None:
        """See `worker.following.Watch`; the process stays ready, for the slow walk goes on."""
        self.metrics.visibility(namespace, up=problem is None)
        if problem is None:
            self._visibility_problems.pop(namespace, None)
        else:
            self._visibility_problems[namespace] = problem
        said = [
            f"visibility of {name}: {redact_urls(text)}"
            for name, text in self._visibility_problems.items()
        ]
        self._dependencies.note("temporal", "; ".join(said))

    def look_at(
        self,
        database: Database,
        streams: StreamBacklogs,
        source_status: Callable[[], StreamStatus],
        temporal: Check | None,
    ) -> None:
        """What to look at once per period, as the roles of this process need it."""
        roles = self._settings.roles

        async def look_at_streams() -> None:
            self.metrics.streams(await streams.measure())
            status = source_status()
            # Until the schema is there nothing reads; that says nothing about Redis.
            if not status.connected and status != NOT_YET_CONNECTED:
                raise StreamsUnavailable(status.detail)

        async def look_at_tables() -> None:
            self.metrics.stored(await measure_backlog(database))
            await self._look_at_namespaces(database)

        checks: dict[str, Check] = {"postgres": lambda: _answers(database)}
        if Role.CONSUMER in roles:
            checks = {"redis": look_at_streams, **checks}
        if temporal is not None and roles & NEEDS_TEMPORAL:
            checks["temporal"] = temporal
        if roles & {Role.DELIVERY, Role.SWEEPER}:
            # A delivering process answers for the namespaces that it serves.
            delivers = Role.DELIVERY in roles
            served = list(self._settings.temporal_namespaces) if delivers else None
            oldest = partial(oldest_unattempted, database, served)
            watch = DeliveryWatch(oldest, self.metrics.unattempted)
            checks["deliveries"] = watch.check
        if Role.SWEEPER in roles:
            self._looks.append(look_at_tables)
        self._dependencies = Dependencies(checks, period=self._settings.observe_period)

    async def _look_at_namespaces(self, database: Database) -> None:
        """Alarm on namespaces that nobody serves: their deliveries and launches wait."""
        roles, served = self._settings.roles, self._settings.temporal_namespaces
        found = await unserved_namespaces(database, served if Role.DELIVERY in roles else ())
        self.metrics.unserved(found)
        for each in found:
            if each.namespace not in self._unserved:
                log.error(
                    "namespace.unserved",
                    namespace=each.namespace,
                    deliveries=each.deliveries,
                    launches=each.launches,
                )
        self._unserved = frozenset(each.namespace for each in found)

    async def look(self) -> None:
        """Look at everything once, side by side; what does not answer is passed over."""
        await asyncio.gather(self._dependencies.check(), *map(_quietly, self._looks))
        self.metrics.dependencies(self._dependencies.states())

    @asynccontextmanager
    async def shown(self, stopping: asyncio.Event) -> AsyncGenerator[str | None]:
        """Listen and look while the block runs; yields the address. Raises PortTaken."""
        settings = self._settings
        chosen = "metrics_port" in settings.model_fields_set
        pages = self._pages(stopping)
        listener = partial(
            listening, pages, settings.metrics_host, settings.metrics_port, required=chosen
        )
        # In a thread of its own: it tells which of the other loops is stalled.
        async with (
            opened_in_thread("observation", listener, within=TIME_TO_END) as address,
            _beside(turn(self._main_loop)),
            _beside(self._look_for_ever()),
        ):
            yield address

    async def aclose(self) -> None:
        """Send the last traces."""
        if self._tracing is not None:
            await self._tracing.aclose()

    def _traced(self, ledger: Ledger) -> Ledger:
        return ledger if self._tracing is None else self._tracing.ledger(ledger)

    def _consumer_comes_by(self) -> None:
        self._consumer.beat()
        if self._rules is not None:
            self._rules.batch_resolved()

    def _watch(self, role: Role, loop: str, limit: timedelta) -> Heartbeat:
        """The beat of a loop, watched where the role is this process'."""
        if role in self._settings.roles:
            return self.heartbeats.watch(loop, limit + MARGIN)
        return Heartbeat(loop, limit)

    async def _look_for_ever(self) -> None:
        period = self._settings.observe_period
        beat = self.heartbeats.watch("observer", 2 * period + 2 * MARGIN)
        while True:
            beat.beat()
            await self.look()
            await beat.sleep(period.total_seconds())

    def _pages(self, stopping: asyncio.Event) -> Mapping[str, Callable[[str], Answer]]:
        def metrics(accept: str) -> Answer:
            self.metrics.loops(self.heartbeats.silences())
            return Answer.of_page(*self.metrics.page(accept))

        return {
            "/metrics": metrics,
            "/healthz": lambda _: healthz(self.heartbeats.silences()),
            "/readyz": lambda _: readyz(
                self._dependencies.states(),
                self.event_loops.silences(),
                serving=self.serving,
                stopping=stopping.is_set(),
            ),
        }


def _nothing() -> None:
    """What a loop that is none does when it comes by."""


async def _answers(database: Database) -> None:
    async with database.transaction() as connection:
        cursor = await connection.execute("SELECT 1")
        await cursor.fetchone()


async def _quietly(look: Callable[[], Awaitable[None]]) -> None:
    """A number that cannot be had stays as it was; readiness says which server is away."""
    with contextlib.suppress(RoutingError):
        await look()


@asynccontextmanager
async def _beside(loop: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    task = asyncio.create_task(loop)
    try:
        yield
    finally:
        await cancel([task])


def _tracing(settings: Settings) -> Tracing | None:
    if settings.otlp_endpoint is None:
        return None
    try:
        # Imported on use: without a collector none of OpenTelemetry is loaded.
        from worker.observe.tracing import open_tracing
    except ImportError as error:
        raise OperatorError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but traces need the packages of the extra "
            f"`tracing` of pointsman-service, and {error.name} is missing: install them, or unset "
            "the variable"
        ) from error
    return open_tracing(settings.otlp_endpoint)
