"""Routing on a real, migrated database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from routing.database import Database, DatabaseLimits, open_database
from routing.delivery_store import DeliveryStore
from routing.matching import Matcher, Matching
from routing.waits import Waits

LEASE = timedelta(seconds=60)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url, DatabaseLimits()) as database:
        yield database


@pytest.fixture
def matcher(database: Database) -> Matcher:
    return Matcher(database, Matching(owner="me"))


@pytest.fixture
def waits(database: Database) -> Waits:
    return Waits(database)


@pytest.fixture
def store(database: Database) -> DeliveryStore:
    return DeliveryStore(database, "me", LEASE)
