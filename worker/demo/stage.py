"""Everything that must be running before the demo can begin."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis.asyncio import Redis
from rich.console import Console
from temporalio.client import Client

from pointsman.contract import CONSUMER_GROUP, STREAM
from routing.audit import list_events
from routing.audit_pages import EventQuery
from routing.database import Database, DatabaseLimits, open_database
from routing.migrations import migrate
from worker.addresses import Pages, environment_for
from worker.demo.examples import Examples
from worker.embedded import Part, Servers, embedded_servers
from worker.local_service import local_service
from worker.operator_error import OperatorError
from worker.programs import Program, running
from worker.redaction import redact_urls
from worker.rules_source import RULES_FILE_VARIABLE, RULES_VARIABLE

WORKERS: Final = ("-m", "examples.worker")


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs during the demo, and the way to it."""

    environment: Mapping[str, str]
    """The settings of the service, and of whoever wants to look further."""
    pages: Pages
    """What the service shows to a browser."""
    redis: Redis
    database: Database
    temporal: Client
    stream: str
    programs: Sequence[Program]

    def check(self) -> None:
        """Raise ProgramEnded when the service or the workers have ended by themselves."""
        for program in self.programs:
            program.check()


@asynccontextmanager
async def set_up(examples: Examples, screen: Console, *, ui: bool) -> AsyncGenerator[Stage]:
    """Servers, schema, service and example workers, while the block runs.

    `ui` starts Temporal's own console, too, where Temporal is started here. Raises
    ServerUnavailable, or OperatorError for servers that were given and do not fit.
    """
    async with AsyncExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pointsman-demo-")))
        servers = await stack.enter_async_context(
            embedded_servers(data, announce=screen.print, ui=ui)
        )
        await asyncio.to_thread(migrate, servers.database_url)
        environment = _environment(servers, examples)
        redis = Redis.from_url(servers.redis_url)
        stack.push_async_callback(redis.aclose)
        limits = DatabaseLimits(connections=1)
        database = await stack.enter_async_context(open_database(servers.database_url, limits))
        await _refuse_used(database, examples, servers.database_url)
        temporal = await _connect(servers)
        folder = examples.rules_file.parents[1]
        service, pages = await stack.enter_async_context(
            local_service(
                servers, environment=environment, folder=folder, log=data / "the-service.log"
            )
        )
        workers = await stack.enter_async_context(
            running(
                "the example worker",
                WORKERS,
                environment={**environment, **pages.settings},
                folder=folder,
                log=data / "the-example-worker.log",
            )
        )
        stream = environment["POINTSMAN_STREAM"]
        yield Stage(environment, pages, redis, database, temporal, stream, (service, workers))


def _environment(servers: Servers, examples: Examples) -> Mapping[str, str]:
    # A Redis that is not ours may hold entries of others, or of an earlier demo.
    ours = Part.REDIS in servers.processes
    return {
        **environment_for(servers),
        "POINTSMAN_STREAM": STREAM if ours else f"pointsman:demo:{secrets.token_hex(4)}",
        "POINTSMAN_GROUP": CONSUMER_GROUP,
        RULES_FILE_VARIABLE: str(examples.rules_file),
        RULES_VARIABLE: "",
    }


async def _connect(servers: Servers) -> Client:
    address, namespace = servers.temporal_address, servers.temporal_namespace
    try:
        return await Client.connect(address, namespace=namespace)
    except RuntimeError as error:
        raise OperatorError(f"Temporal at {address} cannot be reached: {error}") from None


async def _refuse_used(database: Database, examples: Examples, url: str) -> None:
    """What is in a given database already would be taken for the demo's own."""
    tenants = {str(workflow.input["tenant"]) for workflow in examples.workflows}
    for tenant in sorted(tenants):
        async with database.transaction() as connection:
            found = await list_events(connection, EventQuery(), tenant=tenant, limit=1)
        if found:
            raise OperatorError(
                f"the database {redact_urls(url)} already holds events of the tenant {tenant}, "
                "which the demo uses: give it an empty one, or none at all"
            )
