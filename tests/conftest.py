"""Fixtures for servers, databases, streams and task queues; see `tests/keeper.py` for the why."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import pytest
from hypothesis import HealthCheck, settings

from tests.databases import database_from
from tests.keeper import TEMPLATE, KeeperFailed, Offer, PartMissing, ServerKeeper, ask
from tests.order import longest_first, scheduler
from tests.strictness import give_up
from worker.embedded import Part

# No test fails for the time it takes on a busy machine; pytest's time-out ends what hangs.
settings.register_profile("pointsman", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# For `./dev check`, which is to be over while one still looks: a fifth of the examples.
settings.register_profile("quick", settings.get_profile("pointsman"), max_examples=20)
settings.load_profile("pointsman")

KEEPER: Final = pytest.StashKey[ServerKeeper]()
KEEPER_SOCKET: Final = pytest.StashKey[str]()

NEEDED_BY_FIXTURE: Final[Mapping[str, tuple[str, ...]]] = {
    "redis_url": (Part.REDIS,),
    "new_database": (Part.POSTGRES, TEMPLATE),
    "temporal": (Part.TEMPORAL,),
}

# The embedded Redis has 1,024 logical databases; each worker process takes from its own share.
DATABASES_PER_WORKER: Final = 128
DATABASE_NUMBERS: Final = itertools.cycle(range(DATABASES_PER_WORKER))


NewDatabase: TypeAlias = Callable[[], AbstractContextManager[str]]


@dataclass(frozen=True, slots=True)
class TemporalTarget:
    """A Temporal server, and a task queue that no other test uses."""

    address: str
    namespace: str
    task_queue: str


def pytest_configure(config: pytest.Config) -> None:
    worker_input: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker_input is not None:
        config.stash[KEEPER_SOCKET] = worker_input["keeper_socket"]
        return
    keeper = ServerKeeper(announce=lambda line: _write_line(config, line))
    keeper.start()
    config.stash[KEEPER] = keeper
    config.stash[KEEPER_SOCKET] = keeper.socket_path


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker process of pytest-xdist where the keeper is."""
    node.workerinput["keeper_socket"] = node.config.stash[KEEPER_SOCKET]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Of pytest-xdist: what decides who runs what."""
    return scheduler(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items)


def pytest_unconfigure(config: pytest.Config) -> None:
    keeper = config.stash.get(KEEPER, None)
    if keeper is not None:
        keeper.stop()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start what the collected tests need before the first one's time-out begins to count."""
    if session.config.option.collectonly:
        return
    used = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    for fixture, needed in NEEDED_BY_FIXTURE.items():
        for part in needed if fixture in used else ():
            try:
                ask(session.config.stash[KEEPER_SOCKET], part)
            except (PartMissing, KeeperFailed):
                break  # said by the fixture of each test that needs it


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    keeper = config.stash.get(KEEPER, None)
    if keeper is not None and keeper.ways:
        terminalreporter.section("servers")
        for part, way in sorted(keeper.ways.items()):
            terminalreporter.write_line(f"{part}: {way}")


@pytest.fixture
def redis_url(pytestconfig: pytest.Config) -> str:
    """An empty logical database of the run's Redis; all of a given address's one."""
    offer = offered(pytestconfig, Part.REDIS)
    if not offer.own:
        return offer.address
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    number = worker * DATABASES_PER_WORKER + next(DATABASE_NUMBERS)
    url = urlunsplit(urlsplit(offer.address)._replace(path=f"/{number % 1024}"))
    _flush(url)
    return url


@pytest.fixture
def stream_name() -> str:
    """A stream that no other test uses."""
    return f"test:events:{uuid.uuid4().hex}"


@pytest.fixture
def database_url(new_database: NewDatabase) -> Iterator[str]:
    """A migrated, empty database of this test alone, for a plain role that owns it."""
    with new_database() as url:
        yield url


@pytest.fixture(scope="session")
def new_database(pytestconfig: pytest.Config) -> NewDatabase:
    """Makes such databases, for tests that fill one together and then only look at it."""
    server, template = offered(pytestconfig, Part.POSTGRES), offered(pytestconfig, TEMPLATE)
    return partial(database_from, template.address, server.address)


@pytest.fixture
def temporal(pytestconfig: pytest.Config) -> TemporalTarget:
    """The run's Temporal server; its namespace is shared, so take fresh workflow ids, too."""
    offer = offered(pytestconfig, Part.TEMPORAL)
    return TemporalTarget(offer.address, offer.namespace, f"test-{uuid.uuid4().hex}")


def offered(config: pytest.Config, wanted: str) -> Offer:
    """What the keeper offers; a missing server skips the test, and fails it where it must not."""
    try:
        return ask(config.stash[KEEPER_SOCKET], wanted)
    except PartMissing as missing:
        give_up(str(missing))
    except KeeperFailed as failure:
        pytest.fail(str(failure), pytrace=False)


def _flush(url: str) -> None:
    from redis import Redis  # imported late: unit tests need no client

    with Redis.from_url(url) as client:
        client.flushdb()


def _write_line(config: pytest.Config, line: str) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if isinstance(reporter, pytest.TerminalReporter):
        reporter.ensure_newline()
        reporter.write_line(line)
