"""Settings for the command line: the run's servers, each test's own stream and database."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from tests.acceptance.program import Pointsman
from tests.conftest import TemporalTarget
from tests.databases import drop_database


@pytest.fixture
def pointsman(
    redis_url: str, database_url: str, temporal: TemporalTarget, stream_name: str
) -> Pointsman:
    return Pointsman(
        {
            "POINTSMAN_REDIS_URL": redis_url,
            "POINTSMAN_DATABASE_URL": database_url,
            "POINTSMAN_STREAM": stream_name,
            "POINTSMAN_TASK_QUEUE": temporal.task_queue,
            "POINTSMAN_BLOCK": "100ms",
            "TEMPORAL_ADDRESS": temporal.address,
            "TEMPORAL_NAMESPACE": temporal.namespace,
        }
    )


@pytest.fixture
def empty_database_url(database_url: str) -> Iterator[str]:
    """A database in which nothing was ever migrated."""
    name = f"pointsman_empty_{secrets.token_hex(6)}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = urlunsplit(urlsplit(database_url)._replace(path=f"/{name}"))
    yield url
    drop_database(url, database_url)
