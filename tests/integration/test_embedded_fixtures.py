from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest
from redis import Redis
from temporalio.client import Client

from tests.conftest import TemporalTarget


@pytest.mark.parametrize("attempt", [1, 2])
def test_each_test_gets_an_empty_redis(redis_url: str, stream_name: str, attempt: int) -> None:
    with Redis.from_url(redis_url) as client:
        keys_before = client.dbsize()

        client.xadd("left-behind", {"attempt": str(attempt)})
        client.xadd(stream_name, {"attempt": str(attempt)})

    assert keys_before == 0


@pytest.mark.parametrize("attempt", [1, 2])
def test_each_test_gets_a_migrated_database_of_its_own(database_url: str, attempt: int) -> None:
    with psycopg.connect(database_url) as connection:
        events = connection.execute("SELECT count(*) FROM workflow_runtime_events").fetchone()
        # Fails the second time if the first test's database were seen.
        connection.execute("CREATE TABLE left_behind AS SELECT %s::int AS attempt", (attempt,))

    assert events == (0,)


def test_the_database_role_is_no_superuser(database_url: str) -> None:
    query = (
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb,"
        " pg_get_userbyid(datdba) = current_user"
        " FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()"
    )

    with psycopg.connect(database_url) as connection:
        role = connection.execute(query).fetchone()

    assert role == (False, False, True, True, True)


async def test_the_temporal_namespace_answers(temporal: TemporalTarget) -> None:
    client = await Client.connect(temporal.address, namespace=temporal.namespace)

    workflows = [found async for found in client.list_workflows(f"WorkflowId = '{uuid4()}'")]

    assert workflows == []
