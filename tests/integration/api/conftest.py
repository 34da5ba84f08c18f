"""The API on a real database, spoken to in memory; each test names the callers it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest

from routing.database import DatabaseLimits, open_database
from tests.integration.api.caller import Api, FakeDeadLetters, open_api

LAUNCHES: Final = (
    '{"acme": [{"task_queue": "q"}, {"task_queue": "onboarding"}],'
    ' "globex": [{"task_queue": "onboarding"}]}'
)
"""What operators of these tenants may let triggers start."""


@pytest.fixture
def letters() -> FakeDeadLetters:
    return FakeDeadLetters()


@pytest.fixture
async def api(database_url: str, letters: FakeDeadLetters) -> AsyncIterator[Api]:
    async with (
        open_database(database_url, DatabaseLimits()) as database,
        open_api(database, letters, tenant_launches=LAUNCHES) as api,
    ):
        yield api
