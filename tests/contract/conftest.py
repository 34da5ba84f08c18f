"""Both sides of a contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from routing.database import DatabaseLimits, open_database
from tests.contract.matching_sides import InMemory, InPostgres, Side


@pytest.fixture(params=["in memory", "postgres"])
async def side(request: pytest.FixtureRequest) -> AsyncIterator[Side]:
    if request.param == "in memory":
        yield InMemory()
        return
    url = request.getfixturevalue("database_url")
    async with open_database(url, DatabaseLimits(connections=2)) as database:
        yield InPostgres(database, url)
