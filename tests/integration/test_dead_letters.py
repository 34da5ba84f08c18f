"""Dead letters on a real Redis, and the program that writes them: poison, and what is none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

from correlation.reason import Reason
from ingress.dead_letter_desk import DeadLetterDesk, LettersUnavailable, LetterUnusable
from ingress.dead_letters import RedisDeadLetters
from ingress.entry import EntryId, StreamName, entry_of
from ingress.letter import DeadLetter
from tests.acceptance.program import Pointsman
from tests.builders import a_wait
from tests.chaos.proxy import Proxy, proxy_to
from tests.conftest import TemporalTarget
from tests.rows import execute, one_row
from tests.waiting import wait_until

REFUSE_ONE = """
CREATE FUNCTION refuse_one() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.event_id = 'poison' THEN
        RAISE EXCEPTION 'poison is refused' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse_one BEFORE INSERT ON workflow_runtime_events
    FOR EACH ROW EXECUTE FUNCTION refuse_one();
"""
STRANGE = {
    b"event_id": b"strange",
    b"\xff\x00name": b"\xfe\x00\r\nvalue",
    b"dlq_reason": b"a field of the publisher's own",
    b"dlq_original:x": b"and one that looks escaped",
    b"": b"",
}


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url, protocol=2)
    yield client
    await client.aclose()


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
            "POINTSMAN_ROLES": "consumer,delivery,sweeper",
            "POINTSMAN_BLOCK": "100ms",
            "POINTSMAN_BACKOFF_INITIAL": "50ms",
            "POINTSMAN_BACKOFF_MAXIMUM": "200ms",
            "POINTSMAN_MAX_DELIVERIES": "2",
            "POINTSMAN_RUN_NOT_FOUND_GRACE": "0s",
            "TEMPORAL_ADDRESS": temporal.address,
            "TEMPORAL_NAMESPACE": temporal.namespace,
        }
    )


async def set_aside(redis_url: str, stream: str, fields: dict[bytes, bytes]) -> None:
    letters = RedisDeadLetters(lambda: Redis.from_url(redis_url, protocol=2))
    entry = entry_of(StreamName(stream), EntryId("7-0"), fields)
    await letters.set_aside(entry, Reason.POISON, "CheckViolation 23514: no")
    await letters.aclose()


async def all_letters(redis: Redis, stream: str) -> list[DeadLetter]:
    desk = DeadLetterDesk(lambda: redis)
    return [letter async for letter in desk.walk(StreamName(stream))]


async def add_events(redis: Redis, stream: str, *event_ids: str) -> None:
    for event_id in event_ids:
        fields: dict[Any, Any] = {
            "tenant": "acme",
            "event_id": event_id,
            "event_type": "INVOICE_PAID",
            "workflow_correlation_key": "7",
            b"unknown": b"\xff\x00 no text",
        }
        await redis.xadd(stream, fields)


def recorded(database_url: str) -> int:
    [count] = one_row(database_url, "SELECT count(*) FROM workflow_runtime_events")
    assert isinstance(count, int)
    return count


async def test_a_dead_letter_is_requeued_byte_for_byte(
    redis: Redis, redis_url: str, stream_name: str
) -> None:
    await set_aside(redis_url, stream_name, STRANGE)
    desk = DeadLetterDesk(lambda: redis)
    [letter] = await all_letters(redis, stream_name)

    entry_id = await desk.requeue(StreamName(stream_name), letter.letter_id)

    assert dict(letter.fields) == STRANGE
    assert (letter.entry_id, letter.reason) == ("7-0", "poison")
    entries: Any = await redis.xrange(stream_name)
    assert entries == [((entry_id or "").encode(), STRANGE)]
    assert await all_letters(redis, stream_name) == []


async def test_of_two_operators_only_one_requeues_a_letter(
    redis: Redis, redis_url: str, stream_name: str
) -> None:
    await set_aside(redis_url, stream_name, {b"a": b"b"})
    desk, stream = DeadLetterDesk(lambda: redis), StreamName(stream_name)
    [letter] = await all_letters(redis, stream_name)

    answers = [await desk.requeue(stream, letter.letter_id) for _ in range(2)]

    assert answers[0] is not None
    assert answers[1] is None
    assert await redis.xlen(stream_name) == 1


async def test_a_letter_stays_when_its_entry_cannot_be_put_back(
    redis: Redis, redis_url: str, stream_name: str
) -> None:
    await set_aside(redis_url, stream_name, {b"a": b"b"})
    await redis.set(stream_name, "no stream any more")
    [letter] = await all_letters(redis, stream_name)

    with pytest.raises(LettersUnavailable, match="WRONGTYPE"):
        await DeadLetterDesk(lambda: redis).requeue(StreamName(stream_name), letter.letter_id)

    assert await all_letters(redis, stream_name) == [letter]


@pytest.mark.parametrize("count", [0, 3_901])
async def test_a_letter_whose_entry_cannot_be_put_back_says_so_and_stays(
    redis: Redis, redis_url: str, stream_name: str, count: int
) -> None:
    await set_aside(redis_url, stream_name, {b"f%d" % number: b"v" for number in range(count)})
    [letter] = await all_letters(redis, stream_name)

    with pytest.raises(LetterUnusable, match=rf"{letter.letter_id} has {count} fields"):
        await DeadLetterDesk(lambda: redis).requeue(StreamName(stream_name), letter.letter_id)

    assert await all_letters(redis, stream_name) == [letter]
    assert await redis.exists(stream_name) == 0


async def test_as_many_fields_as_are_promised_can_be_put_back(
    redis: Redis, redis_url: str, stream_name: str
) -> None:
    fields = {b"f%d" % number: b"v" for number in range(3_900)}
    await set_aside(redis_url, stream_name, fields)
    [letter] = await all_letters(redis, stream_name)

    await DeadLetterDesk(lambda: redis).requeue(StreamName(stream_name), letter.letter_id)

    entries: Any = await redis.xrange(stream_name)
    [(_, restored)] = entries
    assert restored == fields


async def test_poison_is_set_aside_and_neither_neighbours_nor_later_entries_wait_for_it(
    pointsman: Pointsman, redis: Redis, database_url: str, stream_name: str, tmp_path: Path
) -> None:
    execute(database_url, REFUSE_ONE)
    await add_events(redis, stream_name, *(f"e-{n}" for n in range(15)), "poison", "e-15")
    patient = pointsman.with_settings(
        POINTSMAN_BACKOFF_INITIAL="600s", POINTSMAN_BACKOFF_MAXIMUM="600s"
    )

    with patient.running("run", log=tmp_path / "patient.log"):
        await wait_until(
            lambda: recorded(database_url) == 16, description="neighbours in", timeout=60
        )
        group = "workflow-runtime-v2"
        await wait_until(
            lambda: _pending(redis, stream_name, group, 1),
            description="poison alone is pending",
            timeout=60,
        )
        await add_events(redis, stream_name, "later")
        await wait_until(
            lambda: recorded(database_url) == 17, description="a later one in", timeout=60
        )
        await wait_until(
            lambda: _pending(redis, stream_name, group, 1),
            description="poison alone is pending still",
            timeout=60,
        )
        letters_meanwhile = await all_letters(redis, stream_name)
    settings = {"POINTSMAN_CLAIM_IDLE": "100ms", "POINTSMAN_CLAIM_PERIOD": "100ms"}
    with pointsman.with_settings(**settings).running("run", log=tmp_path / "quick.log"):
        await wait_until(
            lambda: _pending(redis, stream_name, group, 0),
            description="poison is set aside",
            timeout=60,
        )

    assert letters_meanwhile == []
    [letter] = await all_letters(redis, stream_name)
    assert letter.fields[b"event_id"] == b"poison"
    assert letter.fields[b"unknown"] == b"\xff\x00 no text"
    assert (letter.reason, letter.stream) == ("poison", stream_name)
    row = one_row(database_url, "SELECT outcome, reason, entry_id FROM workflow_rejected_entries")
    assert row == ("rejected", "poison", letter.entry_id)


async def test_an_operator_requeues_what_was_poison_and_it_is_recorded(
    pointsman: Pointsman, redis: Redis, database_url: str, stream_name: str, tmp_path: Path
) -> None:
    execute(database_url, REFUSE_ONE)
    await add_events(redis, stream_name, "poison")
    with pointsman.running("run", log=tmp_path / "service.log"):
        await wait_until(
            lambda: all_letters(redis, stream_name), description="it is set aside", timeout=60
        )
        [listed] = pointsman("dlq", "list", "--json").records
        [shown] = pointsman("dlq", "show", listed["letter"], "--json").records
        execute(database_url, "DROP TRIGGER refuse_one ON workflow_runtime_events")
        [requeued] = pointsman("dlq", "requeue", listed["letter"], "--json").records
        await wait_until(
            lambda: recorded(database_url) == 1, description="it is recorded", timeout=60
        )

    assert (listed["event_id"], listed["reason"]) == ("poison", "poison")
    assert "poison is refused" in listed["detail"]
    assert ["unknown", {"base64": "/wAgbm8gdGV4dA=="}] in shown["fields"]
    row = one_row(database_url, "SELECT outcome, entry_id FROM workflow_runtime_events")
    assert row == ("no_wait", requeued["entry_id"])
    audit = "SELECT action, tenant_id, target_id, detail ->> 'entry_id'"
    on_letter = f"{audit} FROM workflow_operator_actions WHERE target_kind = 'dead_letter'"
    assert one_row(database_url, on_letter) == (
        "requeue",
        listed["tenant"],
        listed["letter"],
        requeued["entry_id"],
    )
    assert pointsman("dlq", "list", "--json").records == []


async def test_letters_are_purged_only_when_named_or_with_yes(
    pointsman: Pointsman, redis: Redis, redis_url: str, database_url: str, stream_name: str
) -> None:
    for _ in range(3):
        await set_aside(redis_url, stream_name, {b"a": b"b"})
    first = (await all_letters(redis, stream_name))[0].letter_id

    unsaid = pointsman("dlq", "purge")
    named = pointsman("dlq", "purge", first)
    gone = pointsman("dlq", "purge", first)
    everything = pointsman("dlq", "purge", "--yes", "--json", "--reason", "tidied up")

    audit = "SELECT count(*), count(DISTINCT target_id), max(reason), max(detail ->> 'state')"
    row = one_row(database_url, f"{audit} FROM workflow_operator_actions WHERE action = 'purge'")
    assert row == (3, 3, "tidied up", None)
    assert unsaid.exit_code == 2
    assert named.output == "purged 1 dead letter\n"
    assert (gone.exit_code, gone.errors) == (1, "pointsman: 1 of them were not there\n")
    assert json.loads(everything.output) == {"purged": 2}
    assert await all_letters(redis, stream_name) == []


def test_what_is_no_letter_is_said_in_one_line(pointsman: Pointsman) -> None:
    unknown = pointsman("dlq", "requeue", "1-0")
    nonsense = pointsman("dlq", "show", "yesterday")

    assert (unknown.exit_code, unknown.errors) == (1, "pointsman: there is no dead letter 1-0\n")
    assert nonsense.exit_code == 2
    assert "'yesterday' is no id" in nonsense.errors


async def test_an_outage_of_postgres_is_no_poison(
    pointsman: Pointsman, redis: Redis, database_url: str, stream_name: str, tmp_path: Path
) -> None:
    log = tmp_path / "service.log"
    async with proxy_to(_port(database_url)) as proxy:
        settings = {"POINTSMAN_DATABASE_URL": _through(database_url, proxy)}
        with pointsman.with_settings(**settings).running("run", log=log):
            await add_events(redis, stream_name, "before")
            await wait_until(lambda: recorded(database_url) == 1, description="it runs", timeout=60)
            proxy.shut()
            await add_events(redis, stream_name, "e-1", "e-2")
            await wait_until(
                lambda: "postgres.lost" in log.read_text(), description="it is noticed", timeout=60
            )
            # Many more failures than an entry of poison has chances: two of them.
            attempts = proxy.refused
            await wait_until(
                lambda: proxy.refused >= attempts + 5, description="it is tried", timeout=60
            )
            assert await _pending(redis, stream_name, "workflow-runtime-v2", 2)
            proxy.heal()
            await wait_until(
                lambda: recorded(database_url) == 3, description="it goes on", timeout=60
            )

    assert await all_letters(redis, stream_name) == []
    [rejected] = one_row(database_url, "SELECT count(*) FROM workflow_rejected_entries")
    assert rejected == 0


async def test_an_outage_of_temporal_kills_no_delivery(
    pointsman: Pointsman,
    redis: Redis,
    database_url: str,
    waits: Any,
    temporal: TemporalTarget,
    stream_name: str,
    tmp_path: Path,
) -> None:
    await waits.register([a_wait(key="7", workflow_id="nobody")])
    query = "SELECT status, reason FROM workflow_event_deliveries"
    async with proxy_to(int(temporal.address.rpartition(":")[2])) as proxy:
        proxy.shut()
        settings = {"TEMPORAL_ADDRESS": f"127.0.0.1:{proxy.port}"}
        with pointsman.with_settings(**settings).running("run", log=tmp_path / "service.log"):
            await add_events(redis, stream_name, "e-1")
            await wait_until(
                lambda: (
                    recorded(database_url) == 1
                    and one_row(database_url, query) == ("pending", "temporal_unavailable")
                ),
                description="the delivery waits for Temporal",
                timeout=60,
            )
            proxy.heal()
            # Now it is known that there is no such run.
            await wait_until(
                lambda: one_row(database_url, query) == ("dead", "run_not_found"),
                description="Temporal has answered",
                timeout=60,
            )

    assert await all_letters(redis, stream_name) == []


async def test_a_process_ends_in_time_while_postgres_is_away(
    pointsman: Pointsman, redis: Redis, database_url: str, stream_name: str, tmp_path: Path
) -> None:
    log = tmp_path / "service.log"
    async with proxy_to(_port(database_url)) as proxy:
        settings = {
            "POINTSMAN_DATABASE_URL": _through(database_url, proxy),
            "POINTSMAN_SHUTDOWN_GRACE": "2s",
        }
        with pointsman.with_settings(**settings).running("run", log=log) as service:
            await add_events(redis, stream_name, "before")
            await wait_until(lambda: recorded(database_url) == 1, description="it runs", timeout=60)
            proxy.shut()
            await add_events(redis, stream_name, "e-1")
            await wait_until(
                lambda: "postgres.lost" in log.read_text(), description="noticed", timeout=60
            )
            service.terminate()
            await wait_until(
                lambda: service.poll() is not None, description="the process ends", timeout=10
            )

    assert service.returncode == 0
    assert await _pending(redis, stream_name, "workflow-runtime-v2", 1)


async def _pending(redis: Redis, stream: str, group: str, count: int) -> bool:
    summary: Any = await redis.xpending(stream, group)
    return bool(summary["pending"] == count)


def _port(database_url: str) -> int:
    port = urlsplit(database_url).port
    assert port is not None
    return port


def _through(url: str, proxy: Proxy) -> str:
    parts = urlsplit(url)
    credentials, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}127.0.0.1:{proxy.port}"))
