"""Connections to Temporal: the lazy one that signals, and the worker that serves the activities."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from importlib.metadata import version
from typing import Any, Final

import structlog
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from routing.gate import Backoff
from worker.activity_arguments import OneArgument
from worker.cancelling import cancel
from worker.codecs import Codecs
from worker.settings import Settings

BUILD_ID: Final = f"pointsman-{version('pointsman-service')}"
COMES_BY: Final = timedelta(seconds=5)

log = structlog.get_logger(__name__)


async def connect_lazily(settings: Settings, codecs: Codecs | None = None) -> Client:
    """A client that connects with its first call, and again whenever it must.

    What it sends passes its namespace's codec.
    """
    codecs = codecs or Codecs(settings)
    converter = codecs.converter(settings.temporal_namespace)
    return await Client.connect(
        **settings.temporal_connection(), data_converter=converter, lazy=True
    )


def by_namespace(client: Client, settings: Settings, codecs: Codecs) -> dict[str, Client]:
    """A client for each namespace that is served, on the connection of the one given."""
    return {
        namespace: Client(
            client.service_client,
            namespace=namespace,
            data_converter=codecs.converter(namespace),
        )
        for namespace in settings.temporal_namespaces
    }


async def serve_activities(
    settings: Settings,
    codecs: Codecs,
    activities: Sequence[Callable[..., Any]],
    stopping: asyncio.Event,
    backoff: Backoff,
    come_by: Callable[[], None] = lambda: None,
    namespace: str | None = None,
) -> None:
    """Serve the activities until `stopping` is set, whatever happens to the server meanwhile.

    They are served in the namespace, or the first of the settings.

    `come_by` is called with every try to connect, and every few seconds while they are served.
    """
    failures = 0
    namespace = namespace or settings.temporal_namespace
    while not stopping.is_set():
        come_by()
        try:
            # After a worker has failed its client refuses the next one: always a new client.
            client = await _connected(settings, codecs, stopping, namespace)
            if client is None:
                return
            worker = Worker(
                client,
                task_queue=settings.task_queue,
                activities=activities,
                interceptors=[OneArgument()],
                # Without it the client hashes every loaded module, for seconds, on the event loop.
                build_id=BUILD_ID,
                graceful_shutdown_timeout=settings.shutdown_grace / 2,
            )
            async with worker:
                log.info("activities.served", task_queue=settings.task_queue, namespace=namespace)
                failures = 0
                while not stopping.is_set():
                    come_by()
                    await _pause(stopping, COMES_BY)
        except (RuntimeError, RPCError, OSError) as error:
            if failures == 0:
                log.warning("temporal.lost", role="worker", namespace=namespace, error=str(error))
            await _pause(stopping, backoff.delay(failures))
            failures += 1


async def _connected(
    settings: Settings, codecs: Codecs, stopping: asyncio.Event, namespace: str
) -> Client | None:
    """A new client that serves activities; None when told to stop before there is one.

    Raises TimeoutError when Temporal does not answer in the time of a call: left to itself the
    client waits for half a minute, longer than a process may take to end.
    """
    converter = codecs.converter(namespace, serving=True)
    connecting = asyncio.ensure_future(
        Client.connect(**settings.temporal_connection(namespace), data_converter=converter)
    )
    told = asyncio.ensure_future(stopping.wait())
    within = settings.signal_timeout.total_seconds()
    try:
        await asyncio.wait({connecting, told}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        if connecting.done():
            return connecting.result()
        if told.done():
            return None
        raise TimeoutError(f"no answer within {within:g} s")
    finally:
        await cancel([connecting, told])


async def _pause(stopping: asyncio.Event, span: timedelta) -> None:
    try:
        async with asyncio.timeout(span.total_seconds()):
            await stopping.wait()
    except TimeoutError:
        pass
