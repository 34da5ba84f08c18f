"""The service as a process: started, fed through the stream, asked through its audit, stopped."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.acceptance.program import Ended, Pointsman, ask_to_stop
from tests.waiting import wait_until

RULES = json.dumps({"INVOICE_PAID": ["invoice.id"]})


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "service.log"


def lines_of(log: Path) -> list[dict[str, Any]]:
    """What the service logged; anything but JSON lines is a failure."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def facts(log: Path) -> list[str]:
    return [line["event"] for line in lines_of(log)]


async def audited(pointsman: Pointsman, count: int) -> list[dict[str, Any]]:
    def listed() -> list[dict[str, Any]]:
        records = pointsman("events", "list", "--limit", "100000", "--json").records
        return records if len(records) >= count else []

    return await wait_until(listed, description=f"{count} rows in the audit", timeout=60)


async def counted(pointsman: Pointsman, count: int) -> int:
    def total() -> int:
        rows = sum(record["count"] for record in pointsman("events", "count", "--json").records)
        return rows if rows >= count else 0

    return await wait_until(total, description=f"{count} rows in the audit", timeout=90)


def publish_many(redis_url: str, stream: str, count: int) -> None:
    with Redis.from_url(redis_url) as redis, redis.pipeline(transaction=False) as pipeline:
        for number in range(count):
            fields = {"tenant": "acme", "event_id": f"e-{number}", "event_type": "INVOICE_PAID"}
            pipeline.xadd(stream, {**fields, "workflow_correlation_key": f"INV-{number}"})
        pipeline.execute()


def unsettled(redis_url: str, stream: str) -> tuple[int, int]:
    """Entries that are pending, and entries that were never read."""
    with Redis.from_url(redis_url) as redis:
        [group] = redis.xinfo_groups(stream)
    return group["pending"], group["lag"]


async def test_a_published_event_is_found_in_the_audit_with_its_story(
    pointsman: Pointsman, log: Path
) -> None:
    command = pointsman.with_settings(WORKFLOW_RUNTIME_V2_EVENT_CORRELATION_PATHS_JSON=RULES)
    payload = '{"invoice": {"id": 90071992547409931234}}'
    arguments = ("--tenant", "acme", "--event-id", "paid-7", "--payload", payload)
    [published] = command("publish", "INVOICE_PAID", *arguments).records

    with command.running("run", log=log):
        [line] = await audited(command, 1)
        [story] = command("events", "show", "paid-7", "--json").records
        shown: Ended = command("events", "show", "paid-7")

    assert line["entry_id"] == published["entry_id"]
    assert (line["outcome"], line["key"]) == ("no_wait", "90071992547409931234")
    assert story["event"]["payload"] == payload.replace(" ", "")
    assert shown.output.startswith("It woke nobody: no run of tenant acme waited")


async def test_a_malformed_entry_is_audited_and_its_neighbours_go_on(
    pointsman: Pointsman, redis_url: str, stream_name: str, log: Path
) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.xadd(stream_name, {"tenant": "acme", "event_id": "x", "payload_json": b"\xff\x00"})
        entry_id = redis.xadd(stream_name, {"hello": "world"}).decode()
    pointsman("publish", "INVOICE_PAID", "--tenant", "acme", "--key", "7")

    with pointsman.running("run", log=log):
        lines = await audited(pointsman, 3)
        shown = pointsman("events", "show", entry_id)

    assert Counter(line["outcome"] for line in lines) == {"malformed": 2, "no_wait": 1}
    assert "missing_tenant" in shown.output
    assert unsettled(redis_url, stream_name) == (0, 0)


async def test_sigterm_under_load_leaves_nothing_half_done(
    pointsman: Pointsman, redis_url: str, stream_name: str, log: Path
) -> None:
    count = 20_000
    publish_many(redis_url, stream_name, count)

    with pointsman.with_settings(POINTSMAN_BATCH_COUNT="5").running("run", log=log) as service:
        await counted(pointsman, 1)
        exit_code = ask_to_stop(service)
    pending, unread = unsettled(redis_url, stream_name)
    recorded = await counted(pointsman, 1)
    with pointsman.running("run", log=log):
        in_the_end = await counted(pointsman, count)

    assert exit_code == 0
    assert 0 < unread < count, "the service was to be stopped in the middle"
    assert pending == 0, "what was read was to be acknowledged"
    assert recorded == count - unread
    assert in_the_end == count
    assert facts(log).count("service.stopped") == 1


async def test_missing_servers_are_waited_for_and_sigterm_works_meanwhile(
    pointsman: Pointsman, log: Path
) -> None:
    command = pointsman.with_settings(
        POINTSMAN_REDIS_URL="redis://127.0.0.1:1",
        POINTSMAN_DATABASE_URL="postgresql://127.0.0.1:1/none",
        TEMPORAL_ADDRESS="127.0.0.1:1",
    )

    with command.running("run", log=log) as service:
        await wait_until(lambda: "postgres.awaited" in facts(log), description="it says it waits")
        exit_code = ask_to_stop(service)

    assert exit_code == 0
    assert "exception" not in {name for line in lines_of(log) for name in line}


async def test_each_role_can_run_in_a_process_of_its_own(
    pointsman: Pointsman, log: Path, tmp_path: Path
) -> None:
    with (
        pointsman.running("run", "--roles", "consumer", log=log),
        pointsman.running("run", "--roles", "delivery,worker,sweeper", log=tmp_path / "rest.log"),
    ):
        pointsman("publish", "INVOICE_PAID", "--tenant", "acme", "--key", "7")
        [line] = await audited(pointsman, 1)

    assert line["outcome"] == "no_wait"
    assert "activities.served" not in facts(log)


def test_a_role_that_does_not_exist_is_refused(pointsman: Pointsman) -> None:
    ended = pointsman("run", "--roles", "king")

    assert ended.exit_code == 2
    assert "POINTSMAN_ROLES" in ended.errors


async def test_a_misspelt_setting_is_logged_at_the_start(pointsman: Pointsman, log: Path) -> None:
    command = pointsman.with_settings(POINTSMAN_STREMA="x")

    with command.running("run", log=log) as service:
        await wait_until(lambda: "service.started" in facts(log), description="it has started")
        ask_to_stop(service)

    [line] = [line for line in lines_of(log) if line["event"] == "setting.ignored"]
    assert line["nearest"] == "POINTSMAN_STREAM"
