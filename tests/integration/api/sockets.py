"""The API on a real socket, spoken to byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from fastapi import FastAPI

from routing.database import Database
from routing.gate import Backoff
from tests.integration.api.caller import Api, FakeDeadLetters, open_api
from worker.api.serving import listen_on, serve_api

BACKOFF = Backoff(timedelta(milliseconds=10), timedelta(milliseconds=10))


@dataclass
class Answered:
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        problem: dict[str, Any] = json.loads(self.body)
        return problem


@dataclass
class Line:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, text: bytes) -> None:
        self.writer.write(text)

    async def answer(self) -> Answered:
        """The next answer; raises IncompleteReadError when the connection ends before."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answered(int(first.split()[1]), headers, body)

    async def end(self) -> bytes:
        """What still comes, until the other side ends the connection."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""


@dataclass
class Spoken:
    """The API, and connections to it."""

    api: Api
    port: int
    stopping: asyncio.Event
    serving: asyncio.Task[None]
    lines: list[Line]

    async def line(self) -> Line:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.lines.append(Line(reader, writer))
        return self.lines[-1]


def request(
    method: str, path: str, *, token: str | None = None, body: bytes = b"", length: int = -1
) -> bytes:
    """A request whose body may be shorter than it says."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    if token is not None:
        lines.append(f"authorization: {token}")
    lines.append(f"content-length: {len(body) if length < 0 else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def spoken_to(database: Database, **settings: Any) -> AsyncGenerator[Spoken]:
    with listen_on("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    async with open_api(database, FakeDeadLetters(), http_port=port, **settings) as api:
        stopping, turning = asyncio.Event(), asyncio.Semaphore(0)
        application = cast("FastAPI", api.transport.app)
        serving = asyncio.create_task(
            serve_api(application, api.parts.settings, stopping, BACKOFF, turning.release)
        )
        # Before it listens, and as soon as it answers.
        await turning.acquire()
        await turning.acquire()
        spoken = Spoken(api, port, stopping, serving, [])
        try:
            yield spoken
        finally:
            stopping.set()
            for line in spoken.lines:
                line.writer.close()
            await serving
