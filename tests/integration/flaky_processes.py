"""Several processes that deliver at once, die and are taken over from, and a Temporal that fails.

Drawn from a seed: who records an event, how late it is passed on, how each attempt ends, who dies
when, and whose leases end while it lives. Postgres is real, and so is all that is tested.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import Final

from correlation.reason import Reason
from routing.database import Database
from routing.delivery_store import DeliveryStore
from routing.dispatch import Dispatcher, DispatchLimits
from routing.gate import Backoff
from routing.incoming import Delivery
from routing.matching import Matcher, Matching
from routing.signalling import Delivered, Refused, SignalResult, TryAgain
from routing.waits import Waits
from tests.builders import a_wait, incoming
from tests.waiting import wait_until

LEASE: Final = timedelta(minutes=1)
# Little room, so that memory is full now and then.
LIMITS: Final = DispatchLimits(
    concurrency=4,
    in_memory=12,
    claim_period=timedelta(milliseconds=20),
    run_not_found_grace=timedelta(hours=1),
    backoff=Backoff(timedelta(milliseconds=2), timedelta(milliseconds=30)),
)
FAILURES: Final[Sequence[SignalResult]] = (
    TryAgain(Reason.TEMPORAL_BUSY, "busy", outage=False),
    TryAgain(Reason.TEMPORAL_ERROR, "internal", outage=False),
    Refused(Reason.RUN_NOT_FOUND, "not started yet"),
    TryAgain(Reason.TEMPORAL_UNAVAILABLE, "away", outage=True),
)
END_LEASES: Final = (
    "UPDATE workflow_event_deliveries SET due_at = now()"
    " WHERE status = 'pending' AND lease_owner = ANY (%s)"
)


class FlakyTemporal:
    """What arrived at each workflow, once per delivery, in the order of arrival."""

    def __init__(self, random: Random, failing: float) -> None:
        self._random = random
        self._failing = failing
        self._seen: set[tuple[str, str]] = set()
        self.arrived: defaultdict[str, list[int]] = defaultdict(list)

    async def signal(self, delivery: Delivery) -> SignalResult:
        """Fail, or take the signal, answered or not."""
        await asyncio.sleep(self._random.choice([0, 0, 0.001, 0.005]))
        draw = self._random.random()
        if draw < self._failing:
            return self._random.choice(FAILURES)
        self._take(delivery)
        if draw > 0.95:
            return TryAgain(Reason.TEMPORAL_TIMEOUT, "unanswered", outage=True)
        return Delivered()

    def _take(self, delivery: Delivery) -> None:
        if (delivery.event_id, delivery.wait_id) not in self._seen:
            self._seen.add((delivery.event_id, delivery.wait_id))
            number = int(delivery.event_id.rpartition("-")[2])
            self.arrived[delivery.workflow_id].append(number)


class Process:
    """One process that records and delivers."""

    def __init__(self, name: str, database: Database, temporal: FlakyTemporal) -> None:
        self.name = name
        self.matcher = Matcher(database, Matching(owner=name, lease=LEASE))
        self.dispatcher = Dispatcher(DeliveryStore(database, name, LEASE), temporal, LIMITS)
        self.running = asyncio.create_task(self.dispatcher.run())

    async def die(self) -> None:
        """Stop at once; what is in memory is lost."""
        self.running.cancel()
        with suppress(asyncio.CancelledError):
            await self.running


class History:
    """One random history on one database."""

    def __init__(self, seed: int, database: Database) -> None:
        self._random = Random(seed)
        self._database = database
        self._names = (f"process-{seed}-{number}" for number in itertools.count())
        self._workflows = [f"workflow-{seed}-{number}" for number in range(4)]
        self._dead: list[str] = []
        self._passing: set[asyncio.Task[None]] = set()
        self.temporal = FlakyTemporal(self._random, failing=self._random.choice([0.1, 0.4]))
        self.expected: defaultdict[str, list[int]] = defaultdict(list)

    async def play(self, events: int) -> None:
        """Record so many events; returns when every workflow has all of its own."""
        await self._register()
        processes = [self._process() for _ in range(3)]
        try:
            for number in range(events):
                await self._record(self._random.choice(processes), number)
                await self._disturb(processes)
            await wait_until(self._all_arrived, description="every event has arrived")
        finally:
            for task in self._passing:
                task.cancel()
            for process in processes:
                await process.die()

    async def _register(self) -> None:
        """Each workflow waits for a key of its own and for one that all share."""
        keys = [(each, key) for each in self._workflows for key in (each, self._workflows[0])]
        waits = [a_wait(key=key, workflow_id=workflow) for workflow, key in dict.fromkeys(keys)]
        await Waits(self._database).register(waits)

    def _process(self) -> Process:
        return Process(next(self._names), self._database, self.temporal)

    async def _record(self, process: Process, number: int) -> None:
        key = self._random.choice(self._workflows)
        event = incoming(key=key, event_id=f"event-{self._workflows[0]}-{number}")
        recorded = await process.matcher.record([event])
        everyone = key == self._workflows[0]
        for workflow in self._workflows if everyone else [key]:
            self.expected[workflow].append(number)
        task = asyncio.create_task(self._pass_on(process, recorded.deliveries))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        await asyncio.sleep(self._random.choice([0, 0, 0.002, 0.01]))

    async def _pass_on(self, process: Process, deliveries: Sequence[Delivery]) -> None:
        await asyncio.sleep(self._random.choice([0, 0, 0.001, 0.02]))
        await process.dispatcher.submit(deliveries)

    async def _disturb(self, processes: list[Process]) -> None:
        draw = self._random.random()
        victim = self._random.randrange(len(processes))
        if draw < 0.1:
            await processes[victim].die()
            self._dead.append(processes[victim].name)
            await self._end_leases(self._dead)
            processes[victim] = self._process()
        elif draw < 0.2:
            await self._end_leases([processes[victim].name])

    async def _end_leases(self, owners: Sequence[str]) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(END_LEASES, [owners])

    async def _all_arrived(self) -> bool:
        # A transaction of the dead may have been committed after they died.
        await self._end_leases(self._dead)
        return all(
            sorted(self.temporal.arrived[workflow]) == numbers
            for workflow, numbers in self.expected.items()
        )
