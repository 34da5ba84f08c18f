"""Servers of the benchmark's own, and Pointsman's processes on them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql
from redis import Redis

from benchmarks.events import RULES, Fields, publish
from routing.migrations import migrate
from worker.embedded import Servers

ROOT: Final = Path(__file__).resolve().parents[1]
GROUP: Final = "benchmark"
PATIENCE_SECONDS: Final = 300


class Stuck(Exception):
    """A process does not get on; its log says why."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a group has come on its stream."""

    read: int
    pending: int

    @property
    def done(self) -> int:
        """Entries that are acknowledged."""
        return self.read - self.pending


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything takes place."""

    servers: Servers
    folder: Path
    database_url: str
    redis: Redis = field(init=False)
    database: psycopg.Connection = field(init=False)

    def __post_init__(self) -> None:
        redis = Redis.from_url(self.servers.redis_url, protocol=2)
        object.__setattr__(self, "redis", redis)
        connection = psycopg.connect(self.database_url, autocommit=True)
        object.__setattr__(self, "database", connection)

    def beside(self, name: str) -> Stage:
        """A stage on the same servers with an empty, migrated database of its own."""
        self.database.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = urlunsplit(urlsplit(self.database_url)._replace(path=f"/{name}"))
        migrate(url)
        return Stage(self.servers, self.folder, url)

    def close(self) -> None:
        self.redis.close()
        self.database.close()

    def new_stream(self, group: str = GROUP) -> str:
        """A stream with a group that begins at its beginning."""
        stream = f"benchmark:{uuid.uuid4().hex[:8]}"
        self.redis.xgroup_create(stream, group, id="0", mkstream=True)
        return stream

    def progress(self, stream: str, group: str = GROUP) -> Progress:
        for row in cast("list[dict[str, Any]]", self.redis.xinfo_groups(stream)):
            if row["name"].decode() == group:
                return Progress(row["entries-read"] or 0, row["pending"])
        return Progress(0, 0)

    def consumers(self, stream: str, group: str = GROUP) -> int:
        return len(cast("list[Any]", self.redis.xinfo_consumers(stream, group)))

    def clear_events(self) -> None:
        """An empty audit, as each measurement begins with."""
        self.database.execute("TRUNCATE workflow_runtime_events, workflow_event_deliveries")

    def clear_waits(self) -> None:
        self.database.execute("TRUNCATE workflow_run_waits")

    def count(self, table: str, condition: str = "true") -> int:
        row = self.database.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def pointsman(
        self, stream: str, *, rules: str | None = None, settings: Mapping[str, str] | None = None
    ) -> Iterator[Process]:
        """One process of the service, as `pointsman run` starts it; ended by SIGTERM.

        But for those given it has the default settings. The worker is left out, for nobody
        registers waits here, and the sweeper, which would retire the waits of workflows that do
        not exist.
        """
        environment = {
            **_without_settings(os.environ),
            "POINTSMAN_REDIS_URL": self.servers.redis_url,
            "POINTSMAN_DATABASE_URL": self.database_url,
            "TEMPORAL_ADDRESS": self.servers.temporal_address,
            "TEMPORAL_NAMESPACE": self.servers.temporal_namespace,
            "POINTSMAN_STREAM": stream,
            "POINTSMAN_GROUP": GROUP,
            "POINTSMAN_ROLES": "consumer,delivery",
            "POINTSMAN_LOG_LEVEL": "warning",
            "WORKFLOW_RUNTIME_V2_EVENT_CORRELATION_PATHS_JSON": rules or RULES,
            **(settings or {}),
        }
        with self.process("pointsman", ["-m", "worker.cli", "run"], environment) as process:
            yield process

    @contextmanager
    def by_hand(self, stream: str) -> Iterator[Process]:
        """The hand-written consumer, on the same stream, table and server."""
        environment = {
            **_without_settings(os.environ),
            "BY_HAND_REDIS_URL": self.servers.redis_url,
            "BY_HAND_DATABASE_URL": self.database_url,
            "BY_HAND_TEMPORAL": self.servers.temporal_address,
            "BY_HAND_STREAM": stream,
        }
        with self.process("by-hand", ["-m", "benchmarks.by_hand"], environment) as process:
            yield process

    @contextmanager
    def process(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> Iterator[Process]:
        """A Python program beside this one."""
        log = self.folder / f"{name}-{uuid.uuid4().hex[:6]}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=dict(environment),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            process = Process(popen, log)
            try:
                yield process
            finally:
                process.stop()


@dataclass(frozen=True, slots=True)
class Process:
    """A program that runs beside the benchmark."""

    popen: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise Stuck when it has ended by itself."""
        if self.popen.poll() is not None:
            raise Stuck(f"ended with {self.popen.returncode}: {self.log.read_text()[-2000:]}")

    def resident_megabytes(self) -> float:
        """Resident memory now."""
        status = Path(f"/proc/{self.popen.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def cpu_seconds(self) -> float:
        """Processor time used so far, of all its threads."""
        fields = Path(f"/proc/{self.popen.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(20)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()


@dataclass(frozen=True, slots=True)
class Pace:
    """What was done in a span of time."""

    count: int
    seconds: float
    cpu_seconds: float = 0.0

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    @property
    def microseconds(self) -> float:
        """Per one."""
        return self.seconds / self.count * 1e6


def consume_all(
    stage: Stage,
    events: Iterator[Fields],
    count: int,
    *,
    processes: int = 1,
    rules: str | None = None,
) -> Pace:
    """The pace of so many processes at a stream that is there, all at once, when they are ready."""
    stage.clear_events()
    staged, stream = stage.new_stream(), stage.new_stream()
    publish(stage.redis, staged, events)
    with ExitStack() as stack:
        running = [
            stack.enter_context(stage.pointsman(stream, rules=rules)) for _ in range(processes)
        ]
        while stage.consumers(stream) < processes:
            for process in running:
                process.check()
            time.sleep(0.01)
        stage.redis.rename(staged, stream)
        pace = consumed(stage, stream, count, running)
    stage.redis.delete(stream)
    return pace


def consumed(
    stage: Stage, stream: str, count: int, processes: Sequence[Process], group: str = GROUP
) -> Pace:
    """The pace from the first acknowledgement to the last of `count` entries.

    The start of the programs is left out: what is acknowledged when the clock starts is not
    counted.
    """
    first = _until(stage, stream, 1, processes, group)
    started, cpu = time.perf_counter(), _cpu(processes)
    last = _until(stage, stream, count, processes, group)
    seconds = time.perf_counter() - started
    return Pace(last - first, seconds, _cpu(processes) - cpu)


def _until(stage: Stage, stream: str, count: int, processes: Sequence[Process], group: str) -> int:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (done := stage.progress(stream, group).done) < count:
        for process in processes:
            process.check()
        if time.monotonic() > deadline:
            log = processes[0].log.read_text()[-2000:]
            raise Stuck(f"{done} of {count} entries are acknowledged: {log}")
        # Looking takes processor time, too, of which there are two cores for all.
        time.sleep(0.05)
    return done


def _cpu(processes: Sequence[Process]) -> float:
    return sum(process.cpu_seconds() for process in processes)


def _without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    ours = ("POINTSMAN_", "TEMPORAL_", "WORKFLOW_RUNTIME_")
    return {name: text for name, text in environment.items() if not name.startswith(ours)}
