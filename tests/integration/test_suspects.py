"""Entries that end the process: tried alone, then set aside; what is innocent never is."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import IO, Any

import pytest
from redis.asyncio import Redis

from correlation.reason import Reason
from correlation.rules import NO_RULES
from ingress.dead_letter_desk import DeadLetterDesk
from ingress.entry import Reading, StreamName, TrimmedEntry
from ingress.redis_connection import connect_redis
from ingress.redis_streams import RedisStreamSource
from ingress.stream_group import StreamGroup
from routing.gate import Backoff
from tests.acceptance.program import environment
from tests.rows import one_row
from tests.streams import SHORTLY, Connect, add, client, drained, pending_ids, reading, values
from tests.unit.worker.fakes import FakeDeadLetters, FakeLedger, FakeSink
from tests.waiting import wait_until
from worker.consumer import Consumer
from worker.recording import Recorder

NOW = SHORTLY * 0
HERE = Path(__file__).parent
WATCHFUL: dict[str, Any] = {
    "claim_idle": NOW,
    "claim_period": SHORTLY,
    "alone_after": 2,
    "alone_tries": 2,
}


@pytest.fixture
def connect(redis_url: str) -> Connect:
    return partial(connect_redis, redis_url, block=SHORTLY)


@pytest.fixture
async def redis(connect: Connect) -> AsyncIterator[Redis]:
    async with client(connect) as opened:
        yield opened


class Life:
    """A source whose process dies at the end of the block: it says nothing to Redis any more."""

    def __init__(
        self, connect: Connect, stream: str, consumer: str = "one", **surroundings: Any
    ) -> None:
        self._connect = connect
        self._clients: list[Redis] = []
        watchful = reading(stream, consumer=consumer, **WATCHFUL)
        self.source = RedisStreamSource(watchful, self._open, **surroundings)

    def _open(self) -> Redis:
        self._clients.append(self._connect())
        return self._clients[-1]

    async def __aenter__(self) -> RedisStreamSource:
        return self.source

    async def __aexit__(self, *_: object) -> None:
        for each in self._clients:
            await each.aclose()


async def dies_of(connect: Connect, stream: str, *, lives: int, consumer: str) -> list[Reading]:
    """What is read first in each of several lives, in all of which nothing is acknowledged."""
    readings = []
    for number in range(lives):
        async with Life(connect, stream, consumer.format(number)) as source:
            readings.append(await _first(source))
    return readings


async def _first(source: RedisStreamSource) -> Reading:
    """The first reading that brings something."""
    while not (found := await source.read()):
        pass
    return found


async def noted(redis: Redis, stream: str) -> dict[Any, Any]:
    """The tries that are held against entries."""
    tries: Any = redis.hgetall(f"{stream}:alone:g")
    return dict(await tries)


@pytest.mark.parametrize("consumer", ["one", "life-{}"])
async def test_what_was_in_hand_in_many_deaths_is_handed_out_alone_behind_what_is_new_to_it(
    connect: Connect, redis: Redis, stream_name: str, consumer: str
) -> None:
    await add(redis, stream_name, "a", "b")
    together = await dies_of(connect, stream_name, lives=2, consumer=consumer)
    await add(redis, stream_name, "c")

    async with Life(connect, stream_name, consumer.format(2)) as source:
        first, second, new = [await source.read() for _ in range(3)]

    assert [values(list(each.entries)) for each in together] == [["a", "b"]] * 2
    assert [each.alone for each in together] == [False, False]
    assert [values(list(each.entries)) for each in (first, second, new)] == [["a"], ["b"], ["c"]]
    assert [each.alone for each in (first, second, new)] == [True, True, False]


@pytest.mark.parametrize("consumer", ["one", "life-{}"])
async def test_an_entry_that_ends_the_process_alone_is_set_aside_unread_and_whole(
    connect: Connect, redis: Redis, stream_name: str, consumer: str
) -> None:
    fields: dict[Any, Any] = {b"v": b"\xff\x00", b"dlq_reason": b"the publisher's own", b"": b""}
    entry_id: Any = await redis.xadd(stream_name, fields)

    *tries, last = await dies_of(connect, stream_name, lives=5, consumer=consumer)
    async with Life(connect, stream_name, consumer.format(5)) as source:
        await source.acknowledge(last.pending)

    assert [each.alone for each in tries] == [False, False, True, True]
    [deadly] = last.deadly
    assert (deadly.entry_id, last.entries) == (entry_id.decode(), ())
    [letter] = [each async for each in DeadLetterDesk(lambda: redis).walk(StreamName(stream_name))]
    assert (dict(letter.fields), letter.reason) == (fields, Reason.KILLS_PROCESS)
    assert "2 times" in letter.detail
    assert await pending_ids(redis, stream_name) == []
    assert await noted(redis, stream_name) == {}


async def test_an_entry_of_more_fields_than_a_script_can_add_is_set_aside_too(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    fields: dict[Any, Any] = {b"f%d" % number: b"v" for number in range(3_901)}
    await redis.xadd(stream_name, fields)

    *_, last = await dies_of(connect, stream_name, lives=5, consumer="one")

    [letter] = [each async for each in DeadLetterDesk(lambda: redis).walk(StreamName(stream_name))]
    assert (len(last.deadly), dict(letter.fields)) == (1, fields)


async def test_who_ended_a_process_alone_lets_its_neighbours_go_first(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    await add(redis, stream_name, "deadly", "b", "c")
    await dies_of(connect, stream_name, lives=3, consumer="one")

    now = [0.0]
    async with Life(connect, stream_name, clock=lambda: now[0]) as source:
        alone = [await source.read() for _ in range(3)]
        now[0] += WATCHFUL["claim_period"].total_seconds()
        alone.append(await source.read())

    assert [values(list(each.entries)) for each in alone] == [["b"], ["c"], [], ["deadly"]]


async def test_a_process_that_survives_holds_nothing_against_the_entry(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    await add(redis, stream_name, "a")

    last = Reading()
    for _ in range(8):
        async with Life(connect, stream_name) as source:
            last = await _first(source)
            if last.alone:
                await source.survived(last.entries[0])

    assert (last.alone, last.deadly) == (True, ())


async def test_an_orderly_end_in_the_midst_of_a_try_holds_nothing_against_the_entry(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    await add(redis, stream_name, "a")
    await dies_of(connect, stream_name, lives=2, consumer="one")
    async with Life(connect, stream_name) as source:
        tried = await source.read()
        meanwhile = await noted(redis, stream_name)
        await source.aclose()

    assert (tried.alone, len(meanwhile)) == (True, 1)
    assert await noted(redis, stream_name) == {}


@pytest.mark.parametrize("consumer", ["one", "life-{}"])
async def test_a_suspect_that_was_trimmed_is_reported_as_trimmed(
    connect: Connect, redis: Redis, stream_name: str, consumer: str
) -> None:
    [entry_id] = await add(redis, stream_name, "a")
    await dies_of(connect, stream_name, lives=2, consumer=consumer)
    await redis.xdel(stream_name, entry_id)

    async with Life(connect, stream_name, consumer.format(2)) as source:
        found = await source.read()

    assert [each.entry_id for each in found.trimmed] == [entry_id]
    assert all(isinstance(each, TrimmedEntry) for each in found.pending)
    assert await noted(redis, stream_name) == {}


async def test_a_suspect_that_another_consumer_has_taken_is_left_to_it(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    ids = await add(redis, stream_name, "a", "b")
    await dies_of(connect, stream_name, lives=2, consumer="one")
    async with Life(connect, stream_name) as source:
        first = await source.read()
        other = StreamGroup(redis, StreamName(stream_name), "g", "other")
        await other.claim("0-0", 10, NOW)

        second = await source.read()

    assert [each.entry_id for each in first.entries] == ids[:1]
    assert not second
    assert list(await noted(redis, stream_name)) == [ids[0].encode()]


async def test_deaths_while_postgres_is_away_set_nothing_aside(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    fields: Any = {"tenant": "acme", "event_id": "1", "event_type": "PAID"}
    await redis.xadd(stream_name, fields)
    letters, ledger = FakeDeadLetters(), FakeLedger()
    for number in range(8):
        ledger.outages = 1_000_000
        async with Life(connect, stream_name, f"life-{number}") as source:
            tried = len(ledger.batches)
            task = asyncio.create_task(_consumer(source, ledger, letters).run(asyncio.Event()))
            await wait_until(
                lambda: len(ledger.batches) > tried + 2,  # noqa: B023  asked before it changes
                description="the outage is waited for",
            )
            # Whoever kills the process now, the entry has nothing to do with it.
            assert await noted(redis, stream_name) == {}
            task.cancel()
            await asyncio.wait({task})
    ledger.outages = 0

    async with Life(connect, stream_name, "healthy") as source:
        await _consumer(source, ledger, letters).run_until_idle()

    assert ledger.events == ["1"]
    assert (letters.letters, ledger.rejected) == ([], [])
    assert await redis.exists(f"{stream_name}:dlq") == 0


def _consumer(source: RedisStreamSource, ledger: FakeLedger, letters: FakeDeadLetters) -> Consumer:
    recorder = Recorder(ledger, letters, max_deliveries=2, backoff=Backoff(), sleep=_no_pause)
    return Consumer(source, recorder, FakeSink([]), lambda: NO_RULES, max_entry_bytes=10_000)


async def _no_pause(_seconds: float) -> None:
    await asyncio.sleep(0)


async def test_a_long_outage_in_which_nobody_dies_hands_nothing_out_again(
    connect: Connect, redis: Redis, stream_name: str
) -> None:
    await add(redis, stream_name, "a", "b")
    async with Life(connect, stream_name) as source:
        await source.read()

        # Postgres is away meanwhile, so that what was read stays in hand.
        again = [await drained(source) for _ in range(5)]

    assert again == [[]] * 5


async def test_a_program_gets_rid_of_the_event_that_kills_it_and_records_its_neighbours(
    redis: Redis, redis_url: str, database_url: str, stream_name: str, tmp_path: Path
) -> None:
    names = [*(f"e-{number}" for number in range(5)), "deadly", *(f"e-{n}" for n in range(5, 9))]
    for name in names:
        fields: Any = {"tenant": "acme", "event_id": name, "event_type": "INVOICE_PAID"}
        await redis.xadd(stream_name, fields)
    settings = {
        "POINTSMAN_REDIS_URL": redis_url,
        "POINTSMAN_DATABASE_URL": database_url,
        "POINTSMAN_STREAM": stream_name,
        "POINTSMAN_ROLES": "consumer",
        "POINTSMAN_CLAIM_IDLE": "1ms",
        "POINTSMAN_CLAIM_PERIOD": "100ms",
        "POINTSMAN_ALONE_AFTER": "1",
        "POINTSMAN_ALONE_TRIES": "2",
    }

    ends = [await _lived(settings, tmp_path, redis, database_url, stream_name) for _ in range(4)]

    killed = -signal.SIGKILL
    assert ends == [(killed, 0), (killed, 5), (killed, 9), (None, 9)]
    [letter] = [each async for each in DeadLetterDesk(lambda: redis).walk(StreamName(stream_name))]
    assert (letter.fields[b"event_id"], letter.reason) == (b"deadly", "kills_process")
    row = one_row(database_url, "SELECT outcome, reason, entry_id FROM workflow_rejected_entries")
    assert row == ("rejected", "kills_process", letter.entry_id)


def _program(settings: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, HERE / "deadly_program.py", "run"],
        env=environment(settings) | {"PYTHONPATH": str(HERE.parents[1])},
        stdout=log,
        stderr=log,
    )


async def _lived(
    settings: dict[str, str], folder: Path, redis: Redis, database_url: str, stream: str
) -> tuple[int | None, Any]:
    """How the program ended (None: it has nothing to do any more), and what is recorded by then."""
    with (folder / "service.log").open("ab") as log:
        process = _program(settings, log)
    try:
        await wait_until(
            lambda: _over(process, redis, stream), description="it dies, or is done", timeout=120
        )
        [recorded] = one_row(database_url, "SELECT count(*) FROM workflow_runtime_events")
        return process.poll(), recorded
    finally:
        process.kill()
        process.wait()


async def _over(process: subprocess.Popen[bytes], redis: Redis, stream: str) -> bool:
    if process.poll() is not None:
        return True
    if not await redis.exists(f"{stream}:dlq"):
        return False
    pending: Any = await redis.xpending(stream, "workflow-runtime-v2")
    return int(pending["pending"]) == 0
