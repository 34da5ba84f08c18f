"""Metrics, liveness and readiness of a service that runs on real servers."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from redis import Redis
from temporalio.client import Client
from temporalio.worker import Worker

from routing.triggers import apply_triggers
from routing.waits import Waits
from tests.builders import a_wait
from tests.conftest import TemporalTarget
from tests.integration.launches import a_trigger
from tests.waiting import wait_until
from tests.workflows import Collector
from worker.composition import Service, compose
from worker.observe.heartbeat import Heartbeat
from worker.running import run_roles
from worker.settings import Settings

CANARY = "canary-7f3a"
BLOCK = timedelta(milliseconds=100)


@dataclass(frozen=True)
class Shown:
    """A running service, and what it shows."""

    service: Service
    address: str

    async def get(self, path: str) -> tuple[int, str]:
        async with httpx.AsyncClient(base_url=self.address) as client:
            answer = await client.get(path)
        return answer.status_code, answer.text

    async def json(self, path: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((await self.get(path))[1])
        return content

    async def samples(self) -> Mapping[tuple[str, frozenset[tuple[str, str]]], float]:
        _, text = await self.get("/metrics")
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def value(self, name: str, **labels: str) -> float:
        return (await self.samples()).get((name, frozenset(labels.items())), 0.0)


@pytest.fixture
def settings(
    redis_url: str, database_url: str, temporal: TemporalTarget, stream_name: str
) -> Settings:
    return Settings.model_validate(
        {
            "redis_url": redis_url,
            "database_url": database_url,
            "stream": stream_name,
            "block": BLOCK,
            "temporal_address": temporal.address,
            "temporal_namespaces": (temporal.namespace,),
            "task_queue": temporal.task_queue,
            "metrics_port": 0,
            "http_port": 0,
            "observe_period": timedelta(milliseconds=200),
            "backoff_maximum": timedelta(milliseconds=500),
        }
    )


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Shown]:
    stopping = asyncio.Event()
    async with compose(settings) as service, service.observation.shown(stopping) as address:
        assert address is not None
        roles = asyncio.create_task(run_roles(service, stopping))
        try:
            yield Shown(service, address)
        finally:
            stopping.set()
            await roles


@pytest.fixture
async def shown(settings: Settings) -> AsyncIterator[Shown]:
    async with running(settings) as shown:
        yield shown


def publish(settings: Settings, **fields: str) -> None:
    given = {"tenant": "acme", "event_id": str(uuid.uuid4()), "event_type": "INVOICE_PAID"}
    with Redis.from_url(settings.redis_url.get_secret_value()) as redis:
        redis.xadd(settings.stream[0], {**given, **fields})


STAGES = ("read", "resolve", "record", "ack", "hand_over", "signal", "settle", "claim")


def of_stage(stage: str) -> frozenset[tuple[str, str]]:
    return frozenset({"stage": stage}.items())


@asynccontextmanager
async def a_collector(settings: Settings) -> AsyncIterator[str]:
    client = await Client.connect(settings.temporal_address, namespace=settings.temporal_namespace)
    queue = f"{settings.task_queue}-workflows"
    async with Worker(client, task_queue=queue, workflows=[Collector]):
        handle = await client.start_workflow(
            Collector.run, [], id=f"collector-{uuid.uuid4()}", task_queue=queue
        )
        yield handle.id
        await handle.terminate()


async def test_an_event_on_its_way_to_a_workflow_is_counted_at_every_stage(
    settings: Settings, shown: Shown
) -> None:
    async def all_is_counted() -> bool:
        samples = await shown.samples()
        entries = [n for (name, _), n in samples.items() if name == "pointsman_events_total"]
        stages = [
            samples.get(("pointsman_stage_seconds_count", one), 0) for one in map(of_stage, STAGES)
        ]
        looked_at = samples.get(("pointsman_open_waits", frozenset()), 0) > 0
        outbox = samples.get(("pointsman_outbox_deliveries", frozenset()), 1)
        return sum(entries) == 3 and all(stages) and looked_at and outbox == 0

    async with a_collector(settings) as workflow_id:
        await Waits(shown.service.database).register([a_wait(key="7", workflow_id=workflow_id)])
        publish(settings, workflow_correlation_key="7")
        publish(settings, workflow_correlation_key="8")
        publish(settings, event_type="")
        await wait_until(
            lambda: shown.value("pointsman_deliveries_total", state="delivered", reason=""),
            description="the delivery is counted",
        )
        # The entries may come in several readings, and the outbox is looked at now and then.
        await wait_until(all_is_counted, description="every entry and every stage is counted")
        samples = await shown.samples()

    def value(name: str, **labels: str) -> float:
        return samples[name, frozenset(labels.items())]

    assert value("pointsman_events_total", outcome="matched", reason="") == 1
    assert value("pointsman_events_total", outcome="no_wait", reason="no_open_wait") == 1
    assert value("pointsman_events_total", outcome="malformed", reason="missing_event_name") == 1
    assert value("pointsman_matches_total", by="event") == 1
    assert value("pointsman_delivery_age_seconds_count") == 1
    for stage in STAGES:
        assert value("pointsman_stage_seconds_count", stage=stage) > 0, stage
    assert value("pointsman_dependency_up", dependency="postgres") == 1
    assert value("pointsman_outbox_deliveries") == 0


async def test_a_launch_is_counted_and_measured_from_the_event_to_the_start(
    settings: Settings, shown: Shown
) -> None:
    await apply_triggers(shown.service.database, [a_trigger()], actor="test")
    publish(settings, event_type="CLIENT_CREATED")

    await wait_until(
        lambda: shown.value("pointsman_launches_total", state="launched", reason=""),
        description="the launch is counted",
    )
    samples = await shown.samples()

    assert samples["pointsman_launch_age_seconds_count", frozenset()] == 1
    assert samples["pointsman_stage_seconds_count", of_stage("start")] == 1


async def test_launches_that_do_not_get_through_show_as_a_backlog_with_its_age(
    settings: Settings,
) -> None:
    away = settings.model_copy(update={"temporal_namespaces": (f"missing-{uuid.uuid4().hex}",)})

    async with running(away) as shown:
        await apply_triggers(shown.service.database, [a_trigger()], actor="test")
        publish(settings, event_type="CLIENT_CREATED")

        for name in ("pointsman_outbox_launches", "pointsman_outbox_launches_oldest_seconds"):
            await wait_until(partial(shown.value, name), description=name)
        retried = await shown.value(
            "pointsman_launches_total", state="retried", reason="namespace_not_found"
        )

    assert retried > 0


async def test_no_label_and_no_health_page_shows_what_came_from_outside(
    settings: Settings, shown: Shown
) -> None:
    publish(settings, tenant=CANARY, event_type=CANARY, workflow_correlation_key=CANARY)
    publish(settings, tenant=CANARY, event_type=CANARY, event_id="", user_id=CANARY)

    await wait_until(
        lambda: shown.value(
            "pointsman_events_total", outcome="malformed", reason="missing_event_id"
        ),
        description="both are counted",
    )
    pages = [await shown.get(path) for path in ("/metrics", "/healthz", "/readyz")]

    assert CANARY not in "".join(text for _, text in pages)


async def test_a_repeated_event_is_counted_as_redelivered_and_not_again(
    settings: Settings, shown: Shown
) -> None:
    for _ in range(3):
        publish(settings, event_id="one", workflow_correlation_key="7")

    await wait_until(
        lambda: shown.value("pointsman_events_redelivered_total"), description="a repetition"
    )
    await wait_until(
        lambda: _is(shown.value("pointsman_events_redelivered_total"), 2), description="both"
    )
    counted = await shown.value("pointsman_events_total", outcome="no_wait", reason="no_open_wait")

    assert counted == 1


async def test_a_service_with_all_its_servers_is_ready_and_turning(shown: Shown) -> None:
    await wait_until(lambda: _has_status(shown, "/readyz", 200), description="it is ready")
    ready = await shown.json("/readyz")
    health = await shown.json("/healthz")

    assert ready["status"] == "serving"
    assert set(ready["dependencies"]) == {"redis", "postgres", "temporal", "deliveries"}
    assert all(each["ready"] for each in ready["dependencies"].values())
    assert health["status"] == "turning"
    assert set(health["loops"]) == {
        "api",
        "consumer",
        "delivery",
        "launcher",
        "leader",
        "observer",
        "reconciler",
        "retention",
        "sweeper",
        "wakeups",
        "worker",
    }


async def test_a_missing_server_is_named_by_readiness_and_makes_no_loop_stuck(
    settings: Settings,
) -> None:
    away = settings.model_copy(update={"temporal_namespaces": (f"missing-{uuid.uuid4().hex}",)})

    async with running(away) as shown:
        await wait_until(
            lambda: _misses(shown, ["temporal"]),
            description="Temporal is said to be missing, alone",
        )
        status, _ = await shown.get("/readyz")
        ready = await shown.json("/readyz")
        health, _ = await shown.get("/healthz")
        up = await shown.value("pointsman_dependency_up", dependency="temporal")

    assert (status, ready["status"], ready["missing"]) == (503, "waiting", ["temporal"])
    assert "is not found" in ready["dependencies"]["temporal"]["detail"]
    assert (health, up) == (200, 0)


async def test_a_consumer_whose_redis_is_away_goes_on_turning(settings: Settings) -> None:
    away = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1")})

    async with running(away) as shown:
        beat = shown.service.observation._consumer
        for _ in range(3):
            await wait_until(partial(_later, beat, beat._last), description="the next try")

        await wait_until(
            lambda: _misses(shown, ["redis"]), description="Redis is said to be missing, alone"
        )
        health, _ = await shown.get("/healthz")

    assert health == 200


async def test_a_loop_that_stands_still_is_named(shown: Shown) -> None:
    shown.service.observation.heartbeats.watch("broken", timedelta())

    status, text = await shown.get("/healthz")

    assert status == 503
    assert json.loads(text)["stuck"] == ["broken"]
    assert await shown.value("pointsman_loop_silent_seconds", loop="broken") > 0


async def test_a_service_that_was_told_to_stop_is_not_ready(settings: Settings) -> None:
    stopping = asyncio.Event()
    async with compose(settings) as service, service.observation.shown(stopping) as address:
        shown = Shown(service, address or "")
        starting = await shown.json("/readyz")
        stopping.set()
        status, _ = await shown.get("/readyz")
        stopped = await shown.json("/readyz")

    assert (starting["status"], status, stopped["status"]) == ("starting", 503, "stopping")


async def test_other_paths_and_methods_are_refused(shown: Shown) -> None:
    missing, _ = await shown.get("/admin")
    async with httpx.AsyncClient() as client:
        posted = await client.post(f"{shown.address}/metrics", content=b"x")

    assert (missing, posted.status_code) == (404, 405)
    assert posted.headers["allow"] == "GET, HEAD"


async def _is(value: Any, wanted: float) -> bool:
    return bool(await value == wanted)


async def _comes_by(beat: Heartbeat) -> None:
    last = beat._last
    await wait_until(lambda: beat._last > last, description="the loop's next try")


async def _misses(shown: Shown, wanted: list[str]) -> bool:
    return bool((await shown.json("/readyz"))["missing"] == wanted)


async def _has_status(shown: Shown, path: str, wanted: int) -> bool:
    return (await shown.get(path))[0] == wanted


def _later(beat: Heartbeat, last: float) -> bool:
    return beat._last > last
