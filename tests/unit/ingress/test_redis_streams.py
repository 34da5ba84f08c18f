"""How the Redis source bears outages: told once, tried again with pauses, healed in silence."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import fakeredis
import pytest
from redis.exceptions import ResponseError
from structlog.testing import capture_logs
from structlog.typing import EventDict

from ingress.reconnection import BackOff
from ingress.redis_streams import EARLY_PAUSE, FIRST_COUNT
from tests.streams import add, client, drained, pending_ids, source, values

PAUSES = BackOff(first=timedelta(seconds=1), longest=timedelta(seconds=4))
STREAM = "events"


class Sleeper:
    """Stands in for sleeping: notes the pauses, and acts when so many have passed."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.then: dict[int, Any] = {}

    async def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if act := self.then.get(len(self.pauses)):
            act()


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def connect(server: fakeredis.FakeServer) -> partial[fakeredis.FakeAsyncRedis]:
    return partial(fakeredis.FakeAsyncRedis, server=server, protocol=2)


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


@pytest.fixture
def surroundings(sleeper: Sleeper) -> dict[str, Any]:
    return {"sleep": sleeper, "fraction": lambda: 0.0, "back_off": PAUSES}


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as captured:
        yield captured


def facts(logs: list[EventDict], prefix: str) -> list[str]:
    return [str(line["event"]) for line in logs if str(line["event"]).startswith(prefix)]


async def test_an_outage_is_told_once_and_waited_out(
    server: fakeredis.FakeServer,
    connect: partial[fakeredis.FakeAsyncRedis],
    sleeper: Sleeper,
    surroundings: dict[str, Any],
    logs: list[EventDict],
) -> None:
    async with source(connect, STREAM, surroundings=surroundings) as opened:
        await opened.read()
        sleeper.pauses.clear()
        server.connected = False
        sleeper.then[4] = partial(setattr, server, "connected", True)

        await opened.read()

        assert sleeper.pauses == [1, 2, 4, 4, EARLY_PAUSE.total_seconds()]
        assert facts(logs, "stream.") == ["stream.lost", "stream.recovered"]
        assert opened.status().connected


async def test_the_status_says_why_the_stream_cannot_be_read(
    server: fakeredis.FakeServer,
    connect: partial[fakeredis.FakeAsyncRedis],
    sleeper: Sleeper,
    surroundings: dict[str, Any],
) -> None:
    seen = []
    async with source(connect, STREAM, surroundings=surroundings) as opened:
        seen.append(opened.status())
        server.connected = False

        def come_back() -> None:
            seen.append(opened.status())
            server.connected = True

        sleeper.then[1] = come_back
        await opened.read()

        assert [status.connected for status in seen] == [False, False]
        assert "ConnectionError" in seen[1].detail


async def test_what_was_kept_is_handed_out_in_an_outage(
    server: fakeredis.FakeServer, connect: partial[fakeredis.FakeAsyncRedis]
) -> None:
    async with client(connect) as redis, source(connect, STREAM, max_bytes=3) as opened:
        await add(redis, STREAM, "a", "b")
        first = await opened.read()
        server.connected = False

        second = await opened.read()
        server.connected = True

        assert values([*first.entries, *second.entries]) == ["a", "b"]


@pytest.mark.parametrize(
    "complaint",
    [
        "READONLY You can't write against a read only replica.",
        "LOADING Redis is loading the dataset in memory",
        "MISCONF Redis is configured to save RDB snapshots",
        "WRONGTYPE Operation against a key holding the wrong kind of value",
    ],
)
async def test_a_server_that_refuses_to_work_is_an_outage(
    complaint: str,
    connect: partial[fakeredis.FakeAsyncRedis],
    sleeper: Sleeper,
    surroundings: dict[str, Any],
    logs: list[EventDict],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise ResponseError(complaint)

    async with source(connect, STREAM, surroundings=surroundings) as opened:
        await opened.read()
        with monkeypatch.context() as patch:
            patch.setattr(fakeredis.FakeAsyncRedis, "xreadgroup", refuse)
            sleeper.pauses.clear()
            sleeper.then[3] = patch.undo

            await opened.read()

        assert facts(logs, "stream.") == ["stream.lost", "stream.recovered"]
        assert complaint[:7] in next(
            str(line["error"]) for line in logs if line["event"] == "stream.lost"
        )


async def test_a_lost_group_is_made_again_without_a_pause(
    connect: partial[fakeredis.FakeAsyncRedis],
    sleeper: Sleeper,
    surroundings: dict[str, Any],
    logs: list[EventDict],
) -> None:
    async with (
        client(connect) as redis,
        source(connect, STREAM, surroundings=surroundings) as opened,
    ):
        await opened.read()
        sleeper.pauses.clear()
        await redis.flushall()
        await add(redis, STREAM, "a")

        entries = (await opened.read()).entries

        assert values(list(entries)) == ["a"]
        assert sleeper.pauses == []
        assert facts(logs, "group.") == ["group.created", "group.lost", "group.created"]
        assert facts(logs, "stream.") == []


async def test_an_acknowledgement_outlives_a_short_outage(
    server: fakeredis.FakeServer,
    connect: partial[fakeredis.FakeAsyncRedis],
    sleeper: Sleeper,
    surroundings: dict[str, Any],
) -> None:
    async with (
        client(connect) as redis,
        source(connect, STREAM, surroundings=surroundings) as opened,
    ):
        await add(redis, STREAM, "a")
        entries = (await opened.read()).entries
        server.connected = False
        sleeper.then[len(sleeper.pauses) + 2] = partial(setattr, server, "connected", True)

        await opened.acknowledge(entries)

        assert await pending_ids(redis, STREAM) == []


async def test_what_could_not_be_acknowledged_is_read_again(
    server: fakeredis.FakeServer,
    connect: partial[fakeredis.FakeAsyncRedis],
    monkeypatch: pytest.MonkeyPatch,
    logs: list[EventDict],
) -> None:
    monkeypatch.setattr("ingress.redis_streams.ACKNOWLEDGE_WITHIN", timedelta(milliseconds=20))
    async with (
        client(connect) as redis,
        source(connect, STREAM, claim_period=timedelta()) as opened,
    ):
        await add(redis, STREAM, "a")
        entries = await drained(opened)
        server.connected = False
        await opened.acknowledge(entries)
        server.connected = True

        again = await drained(opened)

        assert values(again) == ["a"]
        assert facts(logs, "acknowledgement.") == ["acknowledgement.given_up"]


async def test_a_server_that_does_not_block_is_not_asked_without_pause(
    connect: partial[fakeredis.FakeAsyncRedis], sleeper: Sleeper, surroundings: dict[str, Any]
) -> None:
    async with source(connect, STREAM, surroundings=surroundings) as opened:
        await opened.read()
        await opened.read()

        assert sleeper.pauses == [EARLY_PAUSE.total_seconds()] * 2


async def test_closing_in_an_outage_does_not_raise(
    server: fakeredis.FakeServer, connect: partial[fakeredis.FakeAsyncRedis]
) -> None:
    async with source(connect, STREAM) as opened:
        await opened.read()
        server.connected = False

    assert opened.status().connected


async def test_no_more_is_asked_for_than_is_handed_out_at_once(
    connect: partial[fakeredis.FakeAsyncRedis], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    read = fakeredis.FakeAsyncRedis.xreadgroup

    async def noting(*arguments: Any, **options: Any) -> object:
        asked.append(options["count"])
        return await read(*arguments, **options)

    monkeypatch.setattr(fakeredis.FakeAsyncRedis, "xreadgroup", noting)
    async with (
        client(connect) as redis,
        source(connect, STREAM, count=1000, max_bytes=10_000) as opened,
    ):
        for size in (10, 1000, 1000):
            await add(redis, STREAM, *["x" * size] * 300)
        await drained(opened)

    known = asked.index(200)
    assert asked[known - 1] == FIRST_COUNT
    assert asked[known : known + 3] == [200, 400, 9]
    assert set(asked[known + 3 :]) == {9}
