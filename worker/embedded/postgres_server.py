"""Postgres in a folder of its own, over loopback TCP alone, with a plain role that owns it."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from worker.embedded.postgres_program import PostgresProgram
from worker.embedded.processes import LOOPBACK, Account, Recipe, ServerFailed

SUPERUSER: Final = "postgres"
ROLE: Final = "pointsman"
DATABASE: Final = "pointsman"
MAX_CONNECTIONS: Final = 200
INITDB_TIMEOUT_SECONDS: Final = 120

# A lost machine loses data then, a killed server does not (it would with synchronous_commit off).
VOLATILE: Final = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresHome:
    """A folder with the data folder and the passwords of its two roles (readable by us alone)."""

    program: PostgresProgram
    folder: Path
    account: Account | None
    durable: bool

    @property
    def data(self) -> Path:
        """What `initdb` fills."""
        return data_of(self.folder)

    def password(self, role: str) -> str:
        """The role's password: made at the first call, the same ever after."""
        path = self.folder / f"{role}.password"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(16))
        return path.read_text()

    def url(self, role: str, port: int, database: str = DATABASE) -> str:
        """A connection address in libpq's form."""
        return f"postgresql://{role}:{self.password(role)}@{LOOPBACK}:{port}/{database}"


def data_of(folder: Path) -> Path:
    """Where in the folder of a Postgres its data are."""
    return folder / "data"


async def initialise(home: PostgresHome) -> None:
    """Fill the data folder once; raises ServerFailed with what `initdb` said."""
    if home.data.exists():
        return
    password_file = home.folder / "initdb.password"
    password_file.touch(mode=0o600)
    password_file.write_text(home.password(SUPERUSER))
    if home.account is not None:
        os.chown(password_file, home.account.uid, home.account.gid)
    try:
        await asyncio.to_thread(_run_initdb, home, password_file)
    finally:
        password_file.unlink()


def postgres_recipe(home: PostgresHome) -> Recipe:
    """Serve the data folder over loopback TCP; a Unix socket's path could be too long."""
    settings = {
        "listen_addresses": LOOPBACK,
        "unix_socket_directories": "",
        "max_connections": str(MAX_CONNECTIONS),
        "timezone": "UTC",
        "log_timezone": "UTC",
        **({} if home.durable else VOLATILE),
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def command(port: int) -> tuple[str, ...]:
        program = str(home.program.binaries / "postgres")
        return (program, "-D", str(home.data), "-p", str(port), *options)

    async def answers(port: int) -> bool:
        async with await _connect(home, port):
            return True

    return Recipe(
        name="Postgres",
        command=command,
        answers=answers,
        folder=home.folder,
        log=home.folder / "postgres.log",
        stop_signal=signal.SIGINT,  # "fast": roll back what is open, do not wait for clients
        account=home.account,
        environment=_environment(home.program),
    )


async def create_role_and_database(home: PostgresHome, port: int) -> None:
    """The role and the database of `home.url(ROLE, port)`, unless they are there already.

    The role is plain: a superuser would bypass row-level security. It may create roles and
    databases, because migrations create group roles and tests a database each.
    """
    role, database = sql.Identifier(ROLE), sql.Identifier(DATABASE)
    password = sql.Literal(home.password(ROLE))
    create_role = sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD {}")
    create_database = sql.SQL("CREATE DATABASE {} OWNER {}")
    async with await _connect(home, port) as connection:
        if not await _exists(connection, "SELECT FROM pg_roles WHERE rolname = %s", ROLE):
            await connection.execute(create_role.format(role, password))
        if not await _exists(connection, "SELECT FROM pg_database WHERE datname = %s", DATABASE):
            await connection.execute(create_database.format(database, role))


async def _connect(home: PostgresHome, port: int) -> psycopg.AsyncConnection[object]:
    url = home.url(SUPERUSER, port, database="postgres")
    return await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=5)


async def _exists(
    connection: psycopg.AsyncConnection[object], query: LiteralString, name: str
) -> bool:
    cursor = await connection.execute(query, (name,))
    return await cursor.fetchone() is not None


def _run_initdb(home: PostgresHome, password_file: Path) -> None:
    account = home.account
    program = str(home.program.binaries / "initdb")
    # Renamed when complete: a start that was broken off leaves nothing that looks like data.
    unfinished = home.folder / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    finished = subprocess.run(
        [
            *(program, "-D", str(unfinished), "-U", SUPERUSER, f"--pwfile={password_file}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"),
            *(() if home.durable else ("--no-sync",)),
        ],
        cwd=home.folder,
        env=dict(_environment(home.program)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INITDB_TIMEOUT_SECONDS,
        check=False,
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else (),
    )
    if finished.returncode != 0:
        raise ServerFailed(f"initdb failed: {finished.stdout}{finished.stderr}")
    unfinished.rename(home.data)


def _environment(program: PostgresProgram) -> Mapping[str, str]:
    # Not ours: PGDATA, PGPORT, PGOPTIONS and the like would change what is started.
    kept = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    if program.libraries is None:
        return kept
    name = "DYLD_LIBRARY_PATH" if os.uname().sysname == "Darwin" else "LD_LIBRARY_PATH"
    return {**kept, name: str(program.libraries)}
