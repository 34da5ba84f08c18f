"""A TCP proxy between the program and a server: it can fall silent, be slow, and cut commits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import Final

LOOPBACK: Final = "127.0.0.1"
CHUNK: Final = 65_536


# Messages of Postgres' protocol: the client's Sync, the server's ReadyForQuery without its status.
SYNC: Final = b"S\0\0\0\4"
READY: Final = b"Z\0\0\0\5"


class CommitCut(Enum):
    """Where a connection to Postgres is cut."""

    BEFORE = auto()
    """The COMMIT never arrives: nothing of the transaction stays."""
    AFTER = auto()
    """Postgres commits, and its answer never arrives."""


class _Link:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._writers = (client, server)
        self.swallows_commit = False
        self.is_lost = False
        """Bytes of it were swallowed: nothing passes any more, in either direction."""
        self._in_transaction = False
        """Within a transaction that began with BEGIN, as the server said last."""

    def heard(self, data: bytes) -> None:
        """Take note of what the server says of itself."""
        if (found := data.rfind(READY)) >= 0:
            self._in_transaction = data[found + len(READY) :][:1] != b"I"

    def commits(self, data: bytes) -> bool:
        """Whether the client commits with this: in words, or by a synchronisation without BEGIN."""
        alone = data.endswith(SYNC) and b"BEGIN" not in data and not self._in_transaction
        return alone or b"COMMIT" in data

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


class Proxy:
    """Passes bytes on to a port of this machine, as long as nothing else is asked for."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._swallowing = False
        self._links: set[_Link] = set()
        self._cuts_left = 0
        self._cut_where = CommitCut.BEFORE
        self._shut = False
        self.delay_seconds = 0.0
        self.port = 0
        self.swallowed = 0
        """Bytes that were taken in and not passed on."""
        self.closed = 0
        """Connections that are over."""
        self.refused = 0
        """Connections that were tried while it was shut."""

    def black_hole(self) -> None:
        """Keep connections open, accept new ones, take in all that is sent, and pass nothing on.

        A connection of which anything is swallowed stays so, as behind a firewall that forgot it:
        TCP never goes on behind a gap.
        """
        self._swallowing = True

    def shut(self) -> None:
        """Reset every connection, and every new one, as when nothing listens any more."""
        self._shut = True
        self.cut_all()

    def heal(self) -> None:
        """Pass everything on from now on; what was swallowed is lost, with its connection."""
        self._shut = False
        self.delay_seconds = 0.0
        self._swallowing = False

    def cut_all(self) -> None:
        """Reset every connection; new ones are welcome."""
        for link in list(self._links):
            link.cut()

    def cut_commits(self, count: int, where: CommitCut) -> None:
        """Cut the connections of the next `count` commits."""
        self._cuts_left, self._cut_where = count, where

    @property
    def cuts_left(self) -> int:
        """How many commits are still to be cut."""
        return self._cuts_left

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one client's connection through to the server and back; leaves closing it."""
        try:
            if self._shut:
                self.refused += 1
                raise ConnectionRefusedError
            upstream = await asyncio.open_connection(LOOPBACK, self._upstream)
        except OSError:
            return
        link = _Link(writer, upstream[1])
        self._links.add(link)
        pumps = {
            asyncio.create_task(self._pump_to_server(link, reader, upstream[1])),
            asyncio.create_task(self._pump_to_client(link, upstream[0], writer)),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            self.closed += 1
            # First: what follows may be cancelled.
            link.cut()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump_to_server(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(CHUNK):
            if self._cuts_left and link.commits(data):
                self._cuts_left -= 1
                if self._cut_where is CommitCut.BEFORE:
                    return
                link.swallows_commit = True
            await self._pass_on(link, data, writer)

    async def _pump_to_client(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(CHUNK):
            if link.swallows_commit and READY + b"I" in data:
                return
            link.heard(data)
            await self._pass_on(link, data, writer)

    async def _pass_on(self, link: _Link, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        link.is_lost |= self._swallowing
        if link.is_lost:
            self.swallowed += len(data)
            return
        writer.write(data)
        await writer.drain()


async def _turns() -> None:
    """Let the loop accept what has connected, and close the sockets of what was aborted."""
    for _ in range(3):
        await asyncio.sleep(0)


@asynccontextmanager
async def proxy_to(port: int) -> AsyncGenerator[Proxy]:
    """A proxy before a port of this machine, on a port of its own, while the block runs."""
    proxy = Proxy(port)
    serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await proxy.serve(reader, writer)
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        serving[task] = writer
        task.add_done_callback(serving.pop)

    server = await asyncio.start_server(accept, LOOPBACK, 0)
    proxy.port = int(server.sockets[0].getsockname()[1])
    try:
        yield proxy
    finally:
        server.close()
        await _turns()
        writers = list(serving.values())
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        for writer in writers:
            # Again, for a task that is cancelled early never begins.
            writer.transport.abort()
        await _turns()
