"""The servers that are to be broken, and the processes of the real program before proxies."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import psycopg
from redis.asyncio import Redis
from temporalio.client import Client

from tests.acceptance.program import environment
from tests.chaos.proxy import Proxy, proxy_to
from tests.databases import create_template, database_from
from worker.embedded import Part, Servers, embedded_servers
from worker.embedded.processes import ServerProcess, die_with_parent

ROOT: Final = Path(__file__).resolve().parents[2]
GROUP: Final = "chaos"
CLAIM_IDLE: Final = timedelta(seconds=1.5)

# Everything that takes long in production takes little here, in the same proportions.
IN_A_HURRY: Final = {
    "POINTSMAN_ROLES": "consumer,delivery,worker,sweeper",
    "POINTSMAN_GROUP": GROUP,
    "POINTSMAN_BLOCK": "200ms",
    "POINTSMAN_BATCH_COUNT": "40",
    "POINTSMAN_CLAIM_IDLE": "1500ms",
    "POINTSMAN_CLAIM_PERIOD": "500ms",
    "POINTSMAN_MAX_DELIVERIES": "3",
    "POINTSMAN_DELIVERY_LEASE": "6s",
    "POINTSMAN_SIGNAL_TIMEOUT": "2s",
    "POINTSMAN_STATEMENT_TIMEOUT": "6s",
    "POINTSMAN_LOCK_TIMEOUT": "4s",
    "POINTSMAN_BACKOFF_INITIAL": "50ms",
    "POINTSMAN_BACKOFF_MAXIMUM": "1s",
    "POINTSMAN_SWEEP_PERIOD": "2s",
    "POINTSMAN_RECONCILE_PERIOD": "10s",
    "POINTSMAN_DATABASE_POOL_SIZE": "5",
}


@dataclass(frozen=True)
class Site:
    """One server of each kind, all our own, for many scenes."""

    folder: Path
    addresses: dict[Part, str]
    processes: dict[Part, ServerProcess]
    superuser_url: str
    """Of the database `postgres`; the program's own role is a plain one."""
    template_url: str

    @property
    def redis_url(self) -> str:
        return self.addresses[Part.REDIS]

    def as_superuser(self, database_url: str) -> str:
        """The same database, for the superuser, past every proxy."""
        path = urlsplit(database_url).path
        return urlunsplit(urlsplit(self.superuser_url)._replace(path=path))


@asynccontextmanager
async def open_site() -> AsyncGenerator[Site]:
    """Servers for chaos: never those that the environment names, for these will be killed."""
    folder = Path(tempfile.mkdtemp(prefix="pointsman-chaos-"))
    folder.chmod(0o711)  # Postgres runs under another account when this is run by root
    own = environment({})
    try:
        async with (
            # What Redis and Temporal hold must survive their being killed; Postgres always does.
            _servers(folder, own, [Part.REDIS, Part.TEMPORAL], durable=True) as first,
            _servers(folder, own, [Part.POSTGRES], durable=False) as second,
        ):
            template = await asyncio.to_thread(create_template, second.database_url)
            yield Site(
                folder,
                {**first.addresses, **second.addresses},
                {**first.processes, **second.processes},
                _superuser_url(second),
                template,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Scene:
    """A database and a stream of its own, and processes of the program that use them."""

    site: Site
    folder: Path
    database_url: str
    stream: str
    queue: str
    redis: Redis
    redis_proxy: Proxy
    postgres_proxy: Proxy
    temporal_proxy: Proxy
    settings: dict[str, str]
    namespace: str = "default"
    program: list[str] = field(default_factory=lambda: [sys.executable, "-m", "worker.cli"])
    program_folder: Path = ROOT
    services: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    worker: subprocess.Popen[bytes] | None = None

    @property
    def superuser_url(self) -> str:
        return self.site.as_superuser(self.database_url)

    @property
    def dead_letters(self) -> str:
        return f"{self.stream}:dlq"

    def start_service(self, name: str, **settings: str) -> None:
        """Run the program; a name may be started again when its process has ended."""
        everything = environment({**self.settings, **settings})
        self.services[name] = self._spawn([*self.program, "run"], f"service-{name}", everything)

    def kill_service(self, name: str) -> None:
        """SIGKILL."""
        self.services[name].kill()
        self.services[name].wait()

    async def stop_service(self, name: str) -> int:
        """SIGTERM; the exit code. The proxies go on meanwhile."""
        self.services[name].send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.services[name].wait, 30)

    def start_worker(self) -> None:
        """Run the workflows, past every proxy."""
        address = self.site.addresses[Part.TEMPORAL]
        command = [sys.executable, "-m", "tests.chaos.workflows", address, self.namespace]
        everything = environment({"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'sdk'}"})
        self.worker = self._spawn([*command, self.queue], "worker", everything)

    def logs(self) -> Iterator[tuple[str, str]]:
        """What each process of the service has written."""
        for path in sorted(self.folder.glob("service-*.log")):
            yield path.stem, path.read_text(errors="replace")

    async def temporal(self) -> Client:
        """A client past every proxy."""
        return await Client.connect(
            self.site.addresses[Part.TEMPORAL], namespace=self.namespace, lazy=True
        )

    def query(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Ask the database from outside."""
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def end(self) -> None:
        """Kill every process that was started here."""
        for process in (*self.services.values(), *([self.worker] if self.worker else ())):
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def _spawn(
        self, command: list[str], name: str, everything: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.program_folder if name.startswith("service") else ROOT,
                env=everything,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Whatever becomes of the driver, nothing is left running.
                # Unsafe only for what takes locks between fork and exec; this takes none.
                preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509
            )


@asynccontextmanager
async def open_scene(site: Site, **settings: str) -> AsyncGenerator[Scene]:
    """A fresh scene on the site's servers; nothing runs in it yet."""
    name = uuid.uuid4().hex[:12]
    folder = site.folder / f"scene-{name}"
    folder.mkdir()
    async with AsyncExitStack() as stack:
        database_url = stack.enter_context(_database(site))
        proxies = {
            part: await stack.enter_async_context(proxy_to(site.processes[part].port))
            for part in Part
        }
        redis = Redis.from_url(site.redis_url, protocol=2, socket_timeout=5)
        stack.push_async_callback(redis.aclose)
        own = {
            **IN_A_HURRY,
            "POINTSMAN_REDIS_URL": _through(site.redis_url, proxies[Part.REDIS]),
            "POINTSMAN_DATABASE_URL": _through(database_url, proxies[Part.POSTGRES]),
            "TEMPORAL_ADDRESS": f"127.0.0.1:{proxies[Part.TEMPORAL].port}",
            "TEMPORAL_NAMESPACE": "default",
            "POINTSMAN_STREAM": f"chaos:{name}",
            "POINTSMAN_TASK_QUEUE": f"service-{name}",
            **settings,
        }
        scene = Scene(
            site=site,
            folder=folder,
            database_url=database_url,
            stream=f"chaos:{name}",
            queue=f"chaos-{name}",
            redis=redis,
            redis_proxy=proxies[Part.REDIS],
            postgres_proxy=proxies[Part.POSTGRES],
            temporal_proxy=proxies[Part.TEMPORAL],
            settings=own,
            namespace=own["TEMPORAL_NAMESPACE"],
        )
        stack.callback(scene.end)
        yield scene


@contextmanager
def _database(site: Site) -> Iterator[str]:
    with database_from(site.template_url, site.addresses[Part.POSTGRES]) as url:
        yield url


@asynccontextmanager
async def _servers(
    folder: Path, own: dict[str, str], parts: list[Part], *, durable: bool
) -> AsyncGenerator[Servers]:
    async with embedded_servers(
        folder, announce=_say, parts=parts, durable=durable, environment=own
    ) as servers:
        yield servers


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a person watches


def _superuser_url(servers: Servers) -> str:
    home = servers.processes[Part.POSTGRES]._recipe.folder
    password = (home / "postgres.password").read_text()
    address = servers.processes[Part.POSTGRES].address
    return f"postgresql://postgres:{password}@{address}/postgres"


def _through(url: str, proxy: Proxy) -> str:
    parts = urlsplit(url)
    credentials, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}127.0.0.1:{proxy.port}"))
