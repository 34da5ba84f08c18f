"""Serving the API within the process' own event loop, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator
from functools import partial
from typing import cast

import structlog
import uvicorn
from fastapi import FastAPI

from routing.gate import Backoff
from worker.api.gates.connections import Connections
from worker.api.gates.protocol import BACKLOG, LARGEST_HEAD, Deadlines, GatedProtocol
from worker.settings import Settings

log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """Leaves the process' signals alone: the service stops all its roles together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def serve_api(
    app: FastAPI,
    settings: Settings,
    stopping: asyncio.Event,
    backoff: Backoff,
    come_by: Callable[[], None] = lambda: None,
) -> None:
    """Listen and answer until `stopping` is set; requests in hand are finished then.

    `come_by` is called every second or so, as long as requests could be answered.

    While another process has the address this one waits for it and goes on with its other roles:
    of several on one machine, one serves.
    """
    listener = await _listener(settings, stopping, backoff, come_by)
    if listener is None:
        return

    async def notified() -> None:
        come_by()

    with listener:
        server = _Server(
            uvicorn.Config(
                app,
                http=_protocol(settings),
                ws="none",
                backlog=BACKLOG,
                h11_max_incomplete_event_size=LARGEST_HEAD,
                timeout_keep_alive=int(settings.http_idle_timeout.total_seconds()),
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                callback_notify=notified,
                timeout_notify=1,
                timeout_graceful_shutdown=int(settings.shutdown_grace.total_seconds() / 2) or 1,
            )
        )
        host, port = listener.getsockname()[:2]
        log.info("api.served", host=host, port=port)
        if settings.insecure_dev:
            log.warning("api.insecure", reason="POINTSMAN_INSECURE_DEV asks nobody for a token")
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        stop = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            server.should_exit = True
            await serving


def _protocol(settings: Settings) -> type[asyncio.Protocol]:
    connections = Connections(
        most=settings.http_connections, most_of_one=settings.http_connections_per_address
    )
    deadlines = Deadlines(
        head=settings.http_head_timeout.total_seconds(),
        rest=settings.http_body_timeout.total_seconds(),
        reader=settings.http_reader_timeout.total_seconds(),
    )
    # uvicorn calls it, and asks for no more.
    made = partial(GatedProtocol, connections=connections, deadlines=deadlines)
    return cast("type[asyncio.Protocol]", made)


async def _listener(
    settings: Settings, stopping: asyncio.Event, backoff: Backoff, come_by: Callable[[], None]
) -> socket.socket | None:
    failures = 0
    while not stopping.is_set():
        come_by()
        try:
            return listen_on(settings.http_host, settings.http_port)
        except OSError as error:
            if failures == 0:
                log.warning(
                    "api.address_awaited",
                    host=settings.http_host,
                    port=settings.http_port,
                    error=error.strerror or str(error),
                )
            pause = backoff.delay(failures).total_seconds()
            failures += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause)
    return None


def listen_on(host: str, port: int) -> socket.socket:
    """A listening socket; raises OSError when the address is taken or is not this machine's."""
    bare = host.strip("[]")
    family, kind, protocol, _, address = socket.getaddrinfo(
        bare, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(100)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
