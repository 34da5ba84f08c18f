"""What several commands begin with: the settings, and a look into the database."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from worker.settings import PREFIX, Settings, load_settings
from worker.settings_error import known_variables, unknown_variables

Answer = TypeVar("Answer")


def settings_with_warnings(**given: str | None) -> Settings:
    """The settings; variables that look misspelt are named on standard error."""
    settings = load_settings(**given)
    for stranger in unknown_variables(os.environ, known_variables(Settings, PREFIX), PREFIX):
        print(f"pointsman: warning: {stranger}", file=sys.stderr)
    return settings


def ask_database(question: Callable[..., Awaitable[Answer]]) -> Answer:
    """What `question(connection)` answers, within one transaction of a checked database."""
    settings = settings_with_warnings()
    # Imported on use: `--help` and `resolve` need no database driver.
    from routing.database import DatabaseLimits, open_database
    from routing.schema_version import check

    url = settings.database_url.get_secret_value()
    limits = DatabaseLimits(
        connections=1,
        statement_timeout=settings.statement_timeout,
        lock_timeout=settings.lock_timeout,
    )

    async def ask() -> Answer:
        await check(url)
        async with open_database(url, limits) as database, database.transaction() as connection:
            return await question(connection)

    return asyncio.run(ask())
