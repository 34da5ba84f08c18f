"""How the commands that explain and act begin: settings, a checked database, who is asking."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from worker.cli.reading import settings_with_warnings
from worker.settings import Settings

if TYPE_CHECKING:  # imported on use: `--help` needs no database driver
    from routing.database import Database

Answer = TypeVar("Answer")


def with_database(work: Callable[[Database, Settings], Awaitable[Answer]]) -> Answer:
    """What `work(database, settings)` answers; raises SchemaMismatch before it, if need be."""
    return asyncio.run(with_open_database(work))


async def with_open_database(
    work: Callable[[Database, Settings], Awaitable[Answer]],
) -> Answer:
    """As `with_database`, within a loop that runs already."""
    settings = settings_with_warnings()
    from routing.database import DatabaseLimits, open_database
    from routing.schema_version import check

    url = settings.database_url.get_secret_value()
    await check(url)
    limits = DatabaseLimits(
        connections=2,
        statement_timeout=settings.statement_timeout,
        lock_timeout=settings.lock_timeout,
    )
    async with open_database(url, limits) as database:
        return await work(database, settings)


def actor() -> str:
    """Who types the command, for the operators' audit."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):  # no such user on this machine
        return "cli"
