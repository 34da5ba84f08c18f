from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from _pytest.outcomes import Failed, Skipped

from tests import conftest, keeper
from tests.keeper import KeeperFailed, PartMissing, ServerKeeper, ask
from worker.embedded import Part, Servers, ServerUnavailable

Provide = Callable[[Collection[Part]], Servers]


def one_server(parts: Collection[Part]) -> Servers:
    return Servers(dict.fromkeys(parts, "somewhere:1"), dict.fromkeys(parts, "found"))


def no_server(parts: Collection[Part]) -> Servers:
    raise ServerUnavailable(next(iter(parts)), tried=["everything"], remedy="install it")


def broken(parts: Collection[Part]) -> Servers:
    raise ZeroDivisionError


@pytest.fixture
def started() -> list[Part]:
    return []


@pytest.fixture
def keeper_of(
    monkeypatch: pytest.MonkeyPatch, started: list[Part]
) -> Iterator[Callable[[Provide], str]]:
    keepers: list[ServerKeeper] = []

    def start(provide: Provide) -> str:
        @asynccontextmanager
        async def servers(
            folder: Path, *, parts: Collection[Part], announce: Callable[[str], None]
        ) -> AsyncIterator[Servers]:
            started.extend(parts)
            yield provide(parts)

        monkeypatch.setattr(keeper, "embedded_servers", servers)
        keepers.append(ServerKeeper(announce=lambda line: None))
        keepers[-1].start()
        return keepers[-1].socket_path

    yield start
    for each in keepers:
        each.stop()


def config_with(socket_path: str) -> pytest.Config:
    return cast("pytest.Config", SimpleNamespace(stash={conftest.KEEPER_SOCKET: socket_path}))


def test_a_part_is_started_when_it_is_first_asked_for_and_once(
    keeper_of: Callable[[Provide], str], started: list[Part]
) -> None:
    socket_path = keeper_of(one_server)
    before = list(started)

    offers = [ask(socket_path, Part.REDIS) for _ in range(3)]

    assert before == []
    assert started == [Part.REDIS]
    assert {offer.address for offer in offers} == {"somewhere:1"}


def test_a_missing_server_is_told_with_its_remedy(keeper_of: Callable[[Provide], str]) -> None:
    socket_path = keeper_of(no_server)

    with pytest.raises(PartMissing, match="install it"):
        ask(socket_path, Part.TEMPORAL)


def test_an_error_of_the_keeper_is_no_missing_server(
    keeper_of: Callable[[Provide], str],
) -> None:
    socket_path = keeper_of(broken)

    with pytest.raises(KeeperFailed, match="ZeroDivisionError"):
        ask(socket_path, Part.POSTGRES)


@pytest.mark.parametrize(
    ("environment", "outcome"),
    [
        ({}, Skipped),
        ({"CI": "", "POINTSMAN_STRICT": "0"}, Skipped),
        ({"CI": "true"}, Failed),
        ({"POINTSMAN_STRICT": "1"}, Failed),
    ],
    ids=["locally", "blank", "under CI", "when told to be strict"],
)
def test_a_missing_server_skips_locally_and_fails_where_it_must_not(
    keeper_of: Callable[[Provide], str],
    monkeypatch: pytest.MonkeyPatch,
    environment: Mapping[str, str],
    outcome: type[BaseException],
) -> None:
    config = config_with(keeper_of(no_server))
    for name in ("CI", "POINTSMAN_STRICT"):
        monkeypatch.setenv(name, environment.get(name, ""))

    with pytest.raises(outcome, match="install it"):
        conftest.offered(config, Part.REDIS)
