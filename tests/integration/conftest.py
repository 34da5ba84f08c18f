"""Routing on a database of the test's own, and the SDK's workflows on a real Temporal server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.client import Client

from routing.database import Database, DatabaseLimits, open_database
from routing.delivery_store import DeliveryStore
from routing.matching import Matcher, Matching
from routing.waits import Waits
from tests.conftest import TemporalTarget
from tests.integration.fake_service import FakeService, fake_service

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


@pytest.fixture(params=[100, 0], ids=["cached", "evicted"])
async def service(
    temporal: TemporalTarget, request: pytest.FixtureRequest
) -> AsyncIterator[FakeService]:
    """With a cache of 0 every workflow task replays the whole run: all must hold under replay."""
    client = await Client.connect(temporal.address, namespace=temporal.namespace)
    async with fake_service(
        client, temporal.task_queue, max_cached_workflows=request.param
    ) as service:
        yield service
