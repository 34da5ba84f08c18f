from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from worker.embedded import (
    Part,
    ServersUnavailable,
    ServerUnavailable,
    embedded_servers,
    postgres_program,
    redis_server,
    temporal_program,
)
from worker.embedded.ladder import Program
from worker.embedded.postgres_program import find_postgres
from worker.embedded.redis_server import find_redis, note_writer, redis_recipe
from worker.embedded.temporal_program import find_temporal, user_cache

# A `go` that "builds" a program which answers like Temporal's, and notes every call.
GO_THAT_BUILDS = """
echo "$@" >> "$GOBIN/../../../../calls"
echo "compiled something" >&2
printf '#!/bin/sh\\necho temporal version 1.5.1\\n' > "$GOBIN/temporal"
chmod +x "$GOBIN/temporal"
"""


class Downloads:
    """Stands for the SDK's download: refuses, or leaves a program under the SDK's own name."""

    def __init__(self, *, leaves: str | None = None) -> None:
        self.calls = 0
        self._leaves = leaves

    async def __call__(self, folder: Path) -> None:
        self.calls += 1
        if self._leaves is None:
            raise RuntimeError("Failed starting Temporal dev server: no route\nmore words")
        executable(folder / self._leaves, "echo temporal version 1.9.0")


class Announced(list[str]):
    def __call__(self, line: str) -> None:
        self.append(line)


def executable(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def environment_with(tmp_path: Path, **programs: str) -> dict[str, str]:
    """PATH holds these programs alone, beside the system's shell tools; the cache is empty."""
    for name, body in programs.items():
        executable(tmp_path / "bin" / name.replace("_", "-"), body)
    (tmp_path / "bin").mkdir(exist_ok=True)
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path)}


@pytest.fixture
def no_system_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(temporal_program, "GO_FALLBACK", tmp_path / "no-go-here")


async def test_redis_on_path_is_taken_before_valkey(tmp_path: Path) -> None:
    version = "echo 'Redis server v=7.2.4 sha=0 bits=64'"
    environment = environment_with(tmp_path, redis_server=version, valkey_server=version)

    program = await find_redis(environment)

    assert program.path == tmp_path / "bin" / "redis-server"
    assert program.origin == f"redis-server on PATH ({program.path} 7.2.4)"


async def test_valkey_on_path_stands_in_for_redis(tmp_path: Path) -> None:
    environment = environment_with(tmp_path, valkey_server="echo 'Server v=8.1.0 sha=0'")

    program = await find_redis(environment)

    assert program.path == tmp_path / "bin" / "valkey-server"


REDIS = "echo 'Redis server v={} sha=0 bits=64'"
VALKEY = "echo 'Valkey server v={} sha=0'"


async def kept_by(program: Path, folder: Path) -> None:
    redis_recipe(Program(program, "any"), folder, durable=True)
    await note_writer(Program(program, "any"), folder)


async def test_data_are_read_by_the_program_that_wrote_them_whatever_stands_before_it_now(
    tmp_path: Path,
) -> None:
    environment = environment_with(tmp_path, redis_server=REDIS.format("7.0.15"))
    valkey = executable(tmp_path / "elsewhere" / "valkey-server", VALKEY.format("8.1.0"))
    await kept_by(valkey, tmp_path / "data")

    program = await find_redis(environment, tmp_path / "data")

    assert program.path == valkey
    assert "which wrote the data kept here" in program.origin


@pytest.mark.parametrize(
    ("now", "taken"),
    [
        (REDIS.format("7.2.4"), True),
        (REDIS.format("7.10.1"), True),
        (REDIS.format("7.0.9"), False),
        (VALKEY.format("8.1.0"), False),
    ],
    ids=["the same", "newer", "older", "another kind"],
)
async def test_where_that_program_is_gone_only_one_that_reads_its_data_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: str, *, taken: bool
) -> None:
    monkeypatch.setattr(redis_server, "WHEEL", "no_such_wheel")
    gone = executable(tmp_path / "elsewhere" / "redis-server", REDIS.format("7.2.4"))
    await kept_by(gone, tmp_path / "data")
    gone.unlink()
    environment = environment_with(tmp_path, redis_server=now)

    if taken:
        program = await find_redis(environment, tmp_path / "data")
        assert program.path == tmp_path / "bin" / "redis-server"
    else:
        with pytest.raises(ServerUnavailable, match=r"was written by redis 7\.2\.4") as refused:
            await find_redis(environment, tmp_path / "data")
        assert "install that program again, or remove" in str(refused.value)


async def test_a_postgres_of_another_major_version_is_not_taken_for_the_data_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_program, "WHEEL", "no-such-wheel")
    newer = "echo 'postgres (PostgreSQL) 17.2'"
    environment = environment_with(tmp_path, initdb=newer, postgres=newer)
    of_before = tmp_path / "debian" / "16" / "bin"
    for name in ("initdb", "postgres"):
        executable(of_before / name, "echo 'postgres (PostgreSQL) 16.4'")
    data = tmp_path / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("16\n")

    found = await find_postgres(environment, None, debian_folders=tmp_path / "debian", data=data)

    assert found.binaries == of_before
    with pytest.raises(ServerUnavailable, match="install Postgres 16, or remove"):
        await find_postgres(environment, None, debian_folders=tmp_path / "none", data=data)


async def test_without_any_redis_the_ways_and_the_remedy_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_server, "WHEEL", "no_such_wheel")

    with pytest.raises(ServerUnavailable) as missing:
        await find_redis(environment_with(tmp_path))

    assert missing.value.part is Part.REDIS
    for words in ("redis-server on PATH", "wheel", "install the package", "POINTSMAN_REDIS_URL"):
        assert words in str(missing.value)


async def test_a_postgres_that_is_too_old_is_passed_over_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_program, "WHEEL", "no-such-wheel")
    old = "echo 'postgres (PostgreSQL) 14.2'"
    environment = environment_with(tmp_path, initdb=old, postgres=old)

    with pytest.raises(ServerUnavailable, match=r"is 14\.2, needed is 15"):
        await find_postgres(environment, None, debian_folders=tmp_path / "none")


async def test_the_newest_postgres_of_the_system_is_taken(tmp_path: Path) -> None:
    for version in ("9.6", "15.3", "17.1"):
        folder = tmp_path / "system" / version.partition(".")[0] / "bin"
        executable(folder / "initdb", "true")
        executable(folder / "postgres", f"echo 'postgres (PostgreSQL) {version}'")

    program = await find_postgres(
        environment_with(tmp_path), None, debian_folders=tmp_path / "system"
    )

    assert program.binaries == tmp_path / "system" / "17" / "bin"
    assert "17.1" in program.origin


async def test_an_explicit_temporal_wins_over_the_one_on_path(tmp_path: Path) -> None:
    chosen = executable(tmp_path / "chosen", "echo temporal version 1.2.3")
    environment = environment_with(tmp_path, temporal="echo temporal version 0.1")

    program = await find_temporal(
        {**environment, "POINTSMAN_TEMPORAL_PATH": str(chosen)}, Announced()
    )

    assert program.path == chosen
    assert "POINTSMAN_TEMPORAL_PATH" in program.origin
    assert "1.2.3" in program.origin


async def test_an_explicit_temporal_that_cannot_be_run_is_an_error(tmp_path: Path) -> None:
    environment = environment_with(tmp_path, temporal="echo temporal version 0.1")
    environment["POINTSMAN_TEMPORAL_PATH"] = str(tmp_path / "typing-error")

    with pytest.raises(ServerUnavailable, match="correct or unset POINTSMAN_TEMPORAL_PATH"):
        await find_temporal(environment, Announced())


async def test_temporal_on_path_wins_over_the_cache(tmp_path: Path) -> None:
    environment = environment_with(tmp_path, temporal="echo temporal version 2.0")
    executable(user_cache(environment).built, "echo temporal version 1.0")

    program = await find_temporal(environment, Announced())

    assert program.path == tmp_path / "bin" / "temporal"


async def test_a_cached_temporal_is_neither_downloaded_nor_built(tmp_path: Path) -> None:
    environment = environment_with(tmp_path, go="exit 9")
    built = executable(user_cache(environment).built, "echo temporal version 1.5.1")
    downloads = Downloads()

    program = await find_temporal(environment, Announced(), download=downloads)

    assert program.path == built
    assert downloads.calls == 0


async def test_a_download_is_kept_for_the_next_run(tmp_path: Path) -> None:
    environment = environment_with(tmp_path)
    downloads = Downloads(leaves="temporal-sdk-python-9")
    first = await find_temporal(environment, Announced(), download=downloads)

    second = await find_temporal(environment, Announced(), download=downloads)

    assert "downloaded by the SDK" in first.origin
    assert "downloaded earlier" in second.origin
    assert first.path == second.path
    assert downloads.calls == 1


async def test_without_a_download_temporal_is_built_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = environment_with(tmp_path, go=GO_THAT_BUILDS)
    environment["PATH"] += os.pathsep + os.defpath
    announced = Announced()
    first, second = await asyncio.gather(
        find_temporal(environment, announced, download=Downloads()),
        find_temporal(environment, announced, download=Downloads()),
    )

    third = await find_temporal(environment, announced, download=Downloads())

    assert first.path == second.path == third.path == user_cache(environment).built
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == [f"install -v {temporal_program.MODULE}"]
    assert any("the download is not possible" in line for line in announced)
    assert any("building" in line for line in announced)


async def test_a_long_build_shows_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = tmp_path / "gate"
    waiting = f'while [ ! -e "{gate}" ]; do sleep 0.01; done\n'
    environment = environment_with(tmp_path, go=waiting + GO_THAT_BUILDS)
    environment["PATH"] += os.pathsep + os.defpath
    monkeypatch.setattr(temporal_program, "PROGRESS_SECONDS", 0.01)
    lines = Announced()

    def announce(line: str) -> None:
        lines.append(line)
        if "still building" in line:
            gate.touch()

    program = await find_temporal(environment, announce, download=Downloads())

    assert any("still building" in line for line in lines)
    assert "built with Go" in program.origin


async def test_a_build_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    environment = environment_with(tmp_path, go="echo 'no such module' >&2; exit 3")

    with pytest.raises(ServerUnavailable) as missing:
        await find_temporal(environment, Announced(), download=Downloads())

    assert "ended with 3: no such module" in str(missing.value)
    assert "the SDK's own download" in str(missing.value)
    assert not user_cache(environment).built.exists()


async def test_without_go_and_download_every_way_is_named(
    tmp_path: Path, no_system_go: None
) -> None:
    with pytest.raises(ServerUnavailable) as missing:
        await find_temporal(environment_with(tmp_path), Announced(), download=Downloads())

    for way in ("TEMPORAL_ADDRESS", "temporal on PATH", "cache", "download", "no go on PATH"):
        assert way in str(missing.value)


async def test_given_addresses_are_used_and_said_and_nothing_is_started(tmp_path: Path) -> None:
    announced = Announced()
    environment = {
        "POINTSMAN_REDIS_URL": "redis://redis.test:6379/3",
        "POINTSMAN_DATABASE_URL": "postgresql://somebody@db.test/pointsman",
        "TEMPORAL_ADDRESS": "temporal.test:7233",
        "TEMPORAL_NAMESPACE": "orders",
    }

    async with embedded_servers(tmp_path, announce=announced, environment=environment) as servers:
        processes = dict(servers.processes)

    assert servers.redis_url == "redis://redis.test:6379/3"
    assert servers.database_url == "postgresql://somebody@db.test/pointsman"
    assert servers.temporal_address == "temporal.test:7233"
    assert servers.temporal_namespace == "orders"
    assert processes == {}
    assert sorted(announced) == [
        "Postgres: the address in POINTSMAN_DATABASE_URL",
        "Redis: the address in POINTSMAN_REDIS_URL",
        "Temporal: the address in TEMPORAL_ADDRESS",
    ]


async def test_all_missing_servers_are_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_server, "WHEEL", "no_such_wheel")
    environment = environment_with(tmp_path)
    environment["POINTSMAN_TEMPORAL_PATH"] = str(tmp_path / "typing-error")
    parts = [Part.REDIS, Part.TEMPORAL]
    block = embedded_servers(tmp_path, announce=Announced(), parts=parts, environment=environment)

    with pytest.raises(ServersUnavailable) as missing:
        await block.__aenter__()

    assert [failure.part for failure in missing.value.failures] == parts
    assert "no redis server" in str(missing.value)
    assert "no temporal server" in str(missing.value)
