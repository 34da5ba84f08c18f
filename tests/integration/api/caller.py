"""Callers of the API in tests: tokens of every kind, fakes for what stands behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from correlation.rules import NO_RULES, Rules
from ingress.backlog import StreamBacklog
from ingress.entry import StreamName
from ingress.letter import DeadLetter
from routing.database import Connection, Database
from routing.incoming import Delivery
from routing.matching import Matcher, Matching
from routing.run_controls import ControlOrder, Taken
from routing.run_reconcile import RunKey
from routing.tokens import Scope, create_token
from routing.waits import Wait, Waits
from tests.builders import incoming
from worker.api.app import create_app
from worker.api.parts import Parts, make_parts
from worker.settings import Settings


@dataclass
class FakeSink:
    """Notes what is handed to delivery."""

    submitted: list[Delivery] = field(default_factory=list)
    woken: int = 0

    async def submit(self, deliveries: Sequence[Delivery]) -> None:
        self.submitted.extend(deliveries)

    def wake(self) -> None:
        self.woken += 1


@dataclass
class FakeDeadLetters:
    """Letters in memory, the newest last."""

    letters: list[DeadLetter] = field(default_factory=list)

    async def read(
        self, stream: StreamName, *, before: str | None, limit: int
    ) -> Sequence[DeadLetter]:
        older = [
            letter
            for letter in reversed(self.letters)
            if before is None or int(letter.letter_id[:-2]) < int(before[:-2])
        ]
        return older[:limit]

    async def find(self, stream: StreamName, letter_id: str) -> DeadLetter | None:
        return next((one for one in self.letters if one.letter_id == letter_id), None)

    async def requeue(self, stream: StreamName, letter_id: str) -> str | None:
        letter = await self.find(stream, letter_id)
        if letter is None:
            return None
        self.letters.remove(letter)
        return f"9{letter_id}"


class FakeStreams:
    """A stream whose every entry is settled."""

    async def measure(self) -> Sequence[StreamBacklog]:
        return [StreamBacklog(StreamName("events"))]


class AgreeingTemporal:
    """Takes every control."""

    async def ask(self, run: RunKey, order: ControlOrder, request_id: str) -> Taken:
        return Taken()


class Counting(Database):
    """A database that counts its transactions."""

    transactions = 0

    @asynccontextmanager
    async def transaction(
        self, tenant: str | Collection[str] | None = None
    ) -> AsyncGenerator[Connection]:
        self.transactions += 1
        async with super().transaction(tenant) as connection:
            yield connection

    @asynccontextmanager
    async def hot_transaction(self) -> AsyncGenerator[Connection]:
        self.transactions += 1
        async with super().hot_transaction() as connection:
            yield connection


@dataclass
class Api:
    """The API with everything a test looks at."""

    parts: Parts
    sink: FakeSink
    database: Database
    rules: list[Rules]
    transport: httpx.ASGITransport
    clients: list[httpx.AsyncClient] = field(default_factory=list)
    names: Counter[str] = field(default_factory=Counter)

    async def caller(
        self, *scopes: Scope, tenants: Sequence[str] = ("acme",), name: str = "tester"
    ) -> httpx.AsyncClient:
        """A client with a token of its own; of several tokens of a name the later ones count on."""
        self.names[name] += 1
        unique = name if self.names[name] == 1 else f"{name}-{self.names[name]}"
        async with self.database.transaction() as connection:
            token = await create_token(connection, name=unique, scopes=scopes, tenants=tenants)
        return self.with_token(token.text)

    def with_token(self, token: str | None) -> httpx.AsyncClient:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        client = httpx.AsyncClient(
            transport=self.transport, base_url="http://127.0.0.1", headers=headers
        )
        self.clients.append(client)
        return client

    async def admin(self) -> httpx.AsyncClient:
        return await self.caller(Scope.ADMIN, tenants=["*"])

    async def register(self, *waits: Wait) -> None:
        await Waits(self.database).register(waits)

    async def record(self, *, count: int = 1, **terms: Any) -> None:
        await Matcher(self.database, Matching(owner="stream")).record(
            [incoming(**terms) for _ in range(count)]
        )


@asynccontextmanager
async def open_api(
    database: Database,
    letters: FakeDeadLetters,
    change: Callable[[Parts], Parts] = lambda parts: parts,
    **settings: Any,
) -> AsyncGenerator[Api]:
    sink, rules = FakeSink(), [NO_RULES]
    parts = change(
        make_parts(
            Settings(
                **{
                    "http_rate": 100_000,
                    "http_burst": 100_000,
                    "http_unknown_rate": 100_000,
                    **settings,
                }
            ),
            database,
            Matcher(database, Matching(owner="api")),
            sink,
            lambda: rules[0],
            letters,
            FakeStreams(),
            runs=AgreeingTemporal(),
        )
    )
    api = Api(parts, sink, database, rules, httpx.ASGITransport(create_app(parts)))
    try:
        yield api
    finally:
        await parts.workers.aclose()
        for client in api.clients:
            await client.aclose()
