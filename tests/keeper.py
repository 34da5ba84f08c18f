"""One server set per test run: kept by the run's first process, asked for by every worker.

Tests may be spread over several processes. The one that was started by hand keeps the servers,
in a thread; all processes (itself, too) ask it through a socket, when a test first needs a part.
So a run of unit tests starts nothing, and every part is started, and the template database
migrated, at most once in a run.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import tempfile
import threading
import traceback
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.databases import create_template, drop_database
from worker.embedded import Part, ServerUnavailable, embedded_servers

TEMPLATE: Final = "template"
"""Asked for like a part: the address of the migrated database that tests copy."""

# Building Temporal takes minutes when it is in no cache.
ANSWER_TIMEOUT_SECONDS: Final = 900.0
START_TIMEOUT_SECONDS: Final = 30.0


class KeeperFailed(Exception):
    """The keeper met an error that no missing server explains: a bug, or a broken migration."""


class PartMissing(Exception):
    """There is no such server on this machine; the message says how to get one."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the keeper answers: the address, how it was had, and whether the server is our own."""

    address: str
    way: str
    own: bool
    namespace: str = ""


class ServerKeeper:
    """Answers requests for parts from `start` until `stop`; both are called from one thread."""

    def __init__(self, announce: Callable[[str], None]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pointsman-tests-"))
        # Postgres runs under another account when the tests are run by root.
        self.folder.chmod(0o711)
        self.socket_path = str(self.folder / "keeper")
        self.ways: dict[str, str] = {}
        self._announce = announce
        self._tasks: dict[str, asyncio.Task[Offer]] = {}
        self._stack = AsyncExitStack()
        self._ready = threading.Event()
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        # The servers die with this thread, should the process be killed.
        self._thread = threading.Thread(target=self._run, name="server-keeper", daemon=True)

    def start(self) -> None:
        """Begin to answer; no server is started yet."""
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_SECONDS):
            raise KeeperFailed("the keeper of the servers did not start")

    def stop(self) -> None:
        """Stop every server that was started, and remove its data."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self) -> None:
        asyncio.run(self._answer_until_ended())

    async def _answer_until_ended(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self._stack:
            async with await asyncio.start_unix_server(self._answer, self.socket_path):
                self._ready.set()
                await self._ended.wait()
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wanted = (await reader.readline()).decode().strip()
        reply = await self._reply(wanted)
        writer.write(json.dumps(reply).encode() + b"\n")
        writer.close()

    async def _reply(self, wanted: str) -> dict[str, object]:
        try:
            offer = await self._offer(wanted)
        except ServerUnavailable as missing:
            return {"missing": str(missing)}
        except Exception:  # noqa: BLE001 - told to the test that asked
            return {"failed": traceback.format_exc()}
        return {
            "address": offer.address,
            "way": offer.way,
            "own": offer.own,
            "namespace": offer.namespace,
        }

    async def _offer(self, wanted: str) -> Offer:
        if wanted not in self._tasks:
            provide = self._template() if wanted == TEMPLATE else self._part(Part(wanted))
            self._tasks[wanted] = asyncio.create_task(provide)
        return await asyncio.shield(self._tasks[wanted])

    async def _part(self, part: Part) -> Offer:
        block = embedded_servers(self.folder, parts=[part], announce=self._announce)
        servers = await self._stack.enter_async_context(block)
        self.ways[part] = servers.ways[part]
        return Offer(
            address=servers.addresses[part],
            way=servers.ways[part],
            own=part in servers.processes,
            namespace=servers.temporal_namespace,
        )

    async def _template(self) -> Offer:
        database = await self._offer(Part.POSTGRES)
        template_url = await asyncio.to_thread(create_template, database.address)
        if not database.own:
            drop = asyncio.to_thread
            self._stack.push_async_callback(drop, drop_database, template_url, database.address)
        return Offer(template_url, "migrated template", own=database.own)


def ask(socket_path: str, wanted: str) -> Offer:
    """What is wanted, from the keeper of this run; raises PartMissing or KeeperFailed."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_TIMEOUT_SECONDS)
        connection.connect(socket_path)
        connection.sendall(wanted.encode() + b"\n")
        with connection.makefile("rb") as answers:
            reply = json.loads(answers.readline())
    if "missing" in reply:
        raise PartMissing(reply["missing"])
    if "failed" in reply:
        raise KeeperFailed(reply["failed"])
    return Offer(**reply)
