"""What the API is made of; the composition root, and tests, put it together."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from correlation.rules import Rules
from ingress.backlog import StreamBacklog
from ingress.entry import StreamName
from ingress.letter import DeadLetter
from ingress.schemas import NO_SCHEMAS, PayloadSchemas
from routing.database import Connection, Database
from routing.failing_task import FailingTasks, NoneFailing
from routing.incoming import Delivery, IncomingEvent, Recorded, RejectedEntry
from routing.owners import Attributes, Owners
from routing.quotas import OpenWaitQuota
from routing.run_controls import NoTemporal, RunControls, RunPort
from routing.tasks import Retire, TaskDesk
from routing.waits import Registration, Wait, Waits
from worker.api.gates.callers import Callers
from worker.api.gates.shares import Shares
from worker.api.rate_limit import RateLimit
from worker.api.signed_tokens import SignedTokens, signed_tokens
from worker.bounded.budgets import work_limits
from worker.bounded.judge import Judge
from worker.bounded.workers import Workers
from worker.redaction import Redaction
from worker.settings import Settings

BURST_OF_STRANGERS: Final = 5


class Ledger(Protocol):
    """Where posted events are matched and recorded, in one transaction."""

    async def record(
        self, events: Sequence[IncomingEvent], rejected: Sequence[RejectedEntry] = ()
    ) -> Recorded:
        """Record a batch; raises DatabaseUnavailable or RecordRefused."""
        ...


class WaitBook(Protocol):
    """Where waits are registered; raises DatabaseUnavailable or RecordRefused."""

    async def register(self, waits: Sequence[Wait]) -> Sequence[Registration]:
        """Register a batch of waits; answers in the order given."""
        ...


class DeliverySink(Protocol):
    """Where recorded deliveries go."""

    async def submit(self, deliveries: Sequence[Delivery]) -> None:
        """Take over deliveries that were leased to this process."""
        ...

    def wake(self) -> None:
        """There are deliveries in the table to be claimed."""
        ...


class DeadLetters(Protocol):
    """The dead letters of the streams that are read; raises LettersUnavailable."""

    async def read(
        self, stream: StreamName, *, before: str | None, limit: int
    ) -> Sequence[DeadLetter]:
        """Some letters of a stream, the newest first, all older than the letter `before`."""
        ...

    async def find(self, stream: StreamName, letter_id: str) -> DeadLetter | None:
        """One letter; None when there is none."""
        ...

    async def requeue(self, stream: StreamName, letter_id: str) -> str | None:
        """Put an entry back whole and remove its letter; the new entry's id.

        None when the letter is gone; raises LetterUnusable when its entry cannot be put back.
        """
        ...


class Streams(Protocol):
    """How far behind the streams are that are read; raises StreamsUnavailable."""

    async def measure(self) -> Sequence[StreamBacklog]:
        """The backlog of each stream; a stream that is not there has none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that the API's routes speak to."""

    settings: Settings
    database: Database
    ledger: Ledger
    waits: WaitBook
    owners: Owners
    controls: RunControls
    failing_tasks: FailingTasks
    tasks: TaskDesk
    sink: DeliverySink
    rules: Callable[[], Rules]
    dead_letters: DeadLetters
    streams: Streams
    redaction: Redaction
    rate_limit: RateLimit
    strangers: RateLimit
    """Of requests without a valid token, by address."""
    callers: Callers
    shares: Shares
    jwt: SignedTokens | None
    schemas: PayloadSchemas = NO_SCHEMAS
    workers: Workers
    """Where work goes whose cost depends on what a request brings."""
    judge: Judge
    wait_quota: OpenWaitQuota

    @asynccontextmanager
    async def reading(self, tenants: Sequence[str] | None) -> AsyncGenerator[Connection]:
        """A transaction to read in; that of some tenants stands behind row-level security."""
        async with self.database.transaction(tenants) as connection:
            yield connection


def make_parts(
    settings: Settings,
    database: Database,
    ledger: Ledger,
    sink: DeliverySink,
    rules: Callable[[], Rules],
    dead_letters: DeadLetters,
    streams: Streams,
    schemas: PayloadSchemas = NO_SCHEMAS,
    waits: WaitBook | None = None,
    runs: RunPort | None = None,
    failing_tasks: FailingTasks | None = None,
    retire: Retire | None = None,
    workers: Workers | None = None,
    tokens: Database | None = None,
    attributes: Attributes | None = None,
) -> Parts:
    """The parts as the settings want them; without `runs` every control is refused.

    Tokens are looked up in `tokens`, the same database over connections of their own.
    """
    workers = workers or Workers(work_limits(settings))
    judge = Judge(workers)
    return Parts(
        settings=settings,
        database=database,
        ledger=ledger,
        waits=waits or Waits(database),
        owners=Owners(database, settings.ownership_terms, attributes),
        controls=RunControls(database, runs or NoTemporal()),
        failing_tasks=failing_tasks or NoneFailing(),
        tasks=TaskDesk(database, settings.buffer_ttl, settings.temporal_namespace, retire, judge),
        sink=sink,
        rules=rules,
        dead_letters=dead_letters,
        streams=streams,
        redaction=Redaction.of(settings.redacted_names),
        rate_limit=RateLimit(
            rate=settings.http_rate, burst=settings.http_burst, clock=time.monotonic
        ),
        strangers=RateLimit(
            rate=settings.http_unknown_rate,
            burst=BURST_OF_STRANGERS * settings.http_unknown_rate,
            clock=time.monotonic,
        ),
        callers=Callers(tokens or database, settings.token_age.total_seconds()),
        shares=Shares(most=settings.http_requests, most_of_one=settings.http_requests_per_tenant),
        jwt=signed_tokens(settings),
        schemas=schemas,
        workers=workers,
        judge=judge,
        wait_quota=OpenWaitQuota(database, settings.quota_open_waits),
    )
