"""The API on a real database, spoken to in memory; each test names the callers it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from routing.database import DatabaseLimits, open_database
from tests.integration.api.caller import Api, FakeDeadLetters, open_api


@pytest.fixture
def letters() -> FakeDeadLetters:
    return FakeDeadLetters()


@pytest.fixture
async def api(database_url: str, letters: FakeDeadLetters) -> AsyncIterator[Api]:
    async with (
        open_database(database_url, DatabaseLimits()) as database,
        open_api(database, letters) as api,
    ):
        yield api
