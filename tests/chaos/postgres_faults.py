"""Faults of Postgres. Each is over, and healed, when its function returns."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from tests.chaos.faults import A_WHILE, Fault
from tests.chaos.load import Load
from tests.chaos.proxy import CommitCut
from tests.chaos.site import Scene
from tests.waiting import wait_until
from worker.embedded import Part

# The one of the blocked backends' advisory locks that the deadlock is closed with.
BLOCKED = """
SELECT (held.classid::bigint << 32) | held.objid::bigint
FROM pg_locks AS waiting JOIN pg_locks AS held USING (pid)
WHERE NOT waiting.granted AND waiting.locktype = 'relation'
  AND held.granted AND held.locktype = 'advisory' AND held.objsubid = 1 LIMIT 1
"""
SPARE_BYTES: Final = 8 * 1024 * 1024
CUTS: Final = 15


async def postgres_killed(load: Load, chance: random.Random) -> None:
    """Postgres stops at once (immediate shutdown) and recovers from its log."""
    server = load.scene.site.processes[Part.POSTGRES]
    os.kill(server.pid, signal.SIGQUIT)
    await wait_until(lambda: not server.running, description="Postgres has stopped")
    await asyncio.sleep(A_WHILE)
    await server.start()


async def postgres_stopped(load: Load, chance: random.Random) -> None:
    """SIGSTOP for Postgres and all its backends."""
    server = load.scene.site.processes[Part.POSTGRES]
    server.suspend()
    try:
        await asyncio.sleep(2 * A_WHILE)
    finally:
        server.resume()


async def postgres_black_holed(load: Load, chance: random.Random) -> None:
    """Nothing passes between the program and Postgres, and no connection is closed."""
    load.scene.postgres_proxy.black_hole()
    await asyncio.sleep(2 * A_WHILE)
    load.scene.postgres_proxy.heal()


async def cut_before_commit(load: Load, chance: random.Random) -> None:
    """The connection breaks before COMMIT arrives."""
    await _commits_cut(load, CommitCut.BEFORE)


async def cut_after_commit(load: Load, chance: random.Random) -> None:
    """Postgres commits, and the connection breaks before it can say so."""
    await _commits_cut(load, CommitCut.AFTER)


async def locks_held(load: Load, chance: random.Random) -> None:
    """A session holds every table for longer than the program waits for a lock."""
    async with _session(load.scene) as session, session.transaction():
        await session.execute(
            "LOCK TABLE workflow_runtime_events, workflow_run_waits, workflow_event_deliveries"
            " IN ACCESS EXCLUSIVE MODE"
        )
        await asyncio.sleep(2 * A_WHILE)


async def deadlock(load: Load, chance: random.Random) -> None:
    """A circle of locks with a stranger, in which Postgres picks the program as its victim."""
    async with _session(load.scene) as stranger:
        deadlocks = _deadlocks(load.scene)

        async def close_a_circle() -> None:
            async with stranger.transaction():
                await stranger.execute("LOCK TABLE workflow_runtime_events IN EXCLUSIVE MODE")
                [(key,)] = await wait_until(
                    lambda: load.scene.query(BLOCKED), description="the program waits", timeout=30
                )
                await stranger.execute("SELECT pg_advisory_xact_lock(%s)", (key,))

        await close_a_circle()
        await wait_until(
            lambda: _deadlocks(load.scene) > deadlocks,
            description="Postgres has counted a deadlock",
            timeout=15,
        )


async def connections_exhausted(load: Load, chance: random.Random) -> None:
    """The program's role gets no connection any more, and loses those it has."""
    async with _session(load.scene) as session:
        role = (await (await session.execute("SELECT current_database()")).fetchall())[0][0]
        database = sql.Identifier(role)
        limit = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}")
        await session.execute(limit.format(database, sql.Literal(0)))
        await session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = 'pointsman'"
        )
        await asyncio.sleep(A_WHILE)
        await session.execute(limit.format(database, sql.Literal(-1)))


async def disk_full(load: Load, chance: random.Random) -> None:
    """The events' table stands on a disk without any room; then room is made.

    Needs the right to mount a file system of a few megabytes: raises PermissionError without.
    """
    async with _tiny_disk(load.scene) as disk, _session(load.scene) as session:
        space = sql.Identifier(f"tiny_{disk.name.replace('-', '_')}")
        place = sql.Literal(str(disk / "space"))
        await session.execute(sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(space, place))
        move = sql.SQL("ALTER TABLE workflow_runtime_events SET TABLESPACE {}")
        await session.execute(move.format(space))
        ballast = disk / "ballast"
        _fill(ballast)
        await asyncio.sleep(2 * A_WHILE)
        ballast.unlink()
        await session.execute(move.format(sql.Identifier("pg_default")))
        await session.execute(sql.SQL("DROP TABLESPACE {}").format(space))


async def _commits_cut(load: Load, where: CommitCut) -> None:
    proxy = load.scene.postgres_proxy
    proxy.cut_commits(CUTS, where)
    await wait_until(
        lambda: proxy.cuts_left < CUTS or load.is_published, description="a commit was cut"
    )
    # After each the program tries again later: the last ones may take long.
    with contextlib.suppress(AssertionError):
        await wait_until(lambda: proxy.cuts_left == 0, description="all were cut", timeout=20)
    proxy.cut_commits(0, where)


@asynccontextmanager
async def _session(scene: Scene) -> AsyncGenerator[psycopg.AsyncConnection[Any]]:
    """A stranger's session, past the proxy.

    It never looks for circles of locks, so that it is the program's turn to be aborted.
    """
    async with await psycopg.AsyncConnection.connect(
        scene.superuser_url, autocommit=True
    ) as session:
        await session.execute("SET deadlock_timeout = '1h'")
        yield session


def _deadlocks(scene: Scene) -> int:
    [(count,)] = scene.query(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    return int(count)


@asynccontextmanager
async def _tiny_disk(scene: Scene) -> AsyncGenerator[Path]:
    disk = Path(tempfile.mkdtemp(prefix="disk-", dir=scene.site.folder))
    [(table_bytes,)] = scene.query("SELECT pg_table_size('workflow_runtime_events')")
    size = int(table_bytes) + SPARE_BYTES
    mounted = await asyncio.to_thread(
        subprocess.run,
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        raise PermissionError(f"no small disk can be mounted: {mounted.stderr.strip()}")
    try:
        (disk / "space").mkdir()
        account = scene.site.processes[Part.POSTGRES]._recipe.account
        disk.chmod(0o711)
        if account is not None:
            shutil.chown(disk / "space", account.uid, account.gid)
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=False)


def _fill(ballast: Path) -> None:
    try:
        with ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)
    except OSError:
        return


POSTGRES_FAULTS: Final[dict[str, Fault]] = {
    "postgres_killed": postgres_killed,
    "postgres_stopped": postgres_stopped,
    "postgres_black_holed": postgres_black_holed,
    "cut_before_commit": cut_before_commit,
    "cut_after_commit": cut_after_commit,
    "locks_held": locks_held,
    "deadlock": deadlock,
    "connections_exhausted": connections_exhausted,
    "disk_full": disk_full,
}
