"""The command line and a watched service: the run's servers, a test's own stream and database."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

import worker.cli
from tests.acceptance.program import PREFIXES, Pointsman
from tests.acceptance.site import Site
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


@pytest.fixture
def site(
    pointsman: Pointsman, tmp_path: Path, redis_url: str, database_url: str, stream_name: str
) -> Site:
    rules = tmp_path / "rules.toml"
    rules.write_text('INVOICE_PAID = "invoice.id"\n')
    settings = {
        "POINTSMAN_HTTP_PORT": "0",
        "POINTSMAN_METRICS_PORT": "0",
        "POINTSMAN_LOG_LEVEL": "debug",
        "POINTSMAN_LOG_FORMAT": "json",
        "POINTSMAN_RULES_FILE": str(rules),
        "POINTSMAN_OBSERVE_PERIOD": "200ms",
    }
    passwords = {urlsplit(url).password for url in (redis_url, database_url)}
    return Site(
        pointsman.with_settings(**settings),
        tmp_path / "service.log",
        redis_url,
        stream_name,
        frozenset(filter(None, passwords)),
    )


@pytest.fixture
def command(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """A command of this very process, which spares each of many its start; all that it says."""
    for name in [name for name in os.environ if name.startswith(PREFIXES)]:
        monkeypatch.delenv(name)

    def run(*arguments: str, **settings: str) -> str:
        for name, text in {**site.pointsman.settings, **settings}.items():
            monkeypatch.setenv(name, text)
        monkeypatch.setattr(sys, "argv", ["pointsman", *arguments])
        # In a thread: the test has a running loop already.
        with ThreadPoolExecutor(1) as thread, contextlib.suppress(SystemExit):
            thread.submit(worker.cli.carry_out).result()
        said = capsys.readouterr()
        return said.out + said.err

    return run
