"""The API has an event loop of its own: what stalls it delays nothing else, and is named."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from redis import Redis
from structlog.testing import capture_logs

from tests.rows import one_row
from tests.waiting import wait_until
from worker.api.app import create_app
from worker.api.parts import Parts
from worker.composition import compose
from worker.running import run_roles
from worker.settings import Settings


@pytest.fixture
def settings(redis_url: str, database_url: str, stream_name: str) -> Settings:
    return Settings.model_validate(
        {
            "redis_url": redis_url,
            "database_url": database_url,
            "stream": stream_name,
            "roles": "consumer,api",
            "block": timedelta(milliseconds=50),
            "metrics_port": 0,
            "http_port": 0,
            "insecure_dev": True,
            "observe_period": timedelta(milliseconds=200),
            "shutdown_grace": timedelta(seconds=2),
        }
    )


@dataclass
class Stall:
    """A route that blocks its event loop, as no route may."""

    began: threading.Event
    over: threading.Event


@pytest.fixture
def stall(monkeypatch: pytest.MonkeyPatch) -> Stall:
    stall, router = Stall(threading.Event(), threading.Event()), APIRouter()

    @router.get("/stall")
    async def block() -> None:
        stall.began.set()
        stall.over.wait(60)

    def with_stall(parts: Parts) -> FastAPI:
        return create_app(parts, router)

    monkeypatch.setattr("worker.api.opening.create_app", with_stall)
    return stall


@dataclass
class Running:
    """A service, where it is reached, and its end."""

    api: str
    pages: str
    stopping: asyncio.Event
    roles: asyncio.Task[None]


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    stopping = asyncio.Event()
    with capture_logs() as logs:
        async with compose(settings) as service, service.observation.shown(stopping) as address:
            roles = asyncio.create_task(run_roles(service, stopping))
            served = await wait_until(
                lambda: [entry for entry in logs if entry["event"] == "api.served"],
                description="the API listens",
            )
            api = f"http://127.0.0.1:{served[0]['port']}"
            try:
                yield Running(api, address or "", stopping, roles)
            finally:
                stopping.set()
                await roles


def stalled_at(pages: str) -> dict[str, Any]:
    """What readiness says while it names a loop; empty while it names none."""
    found = ready(pages)
    return found if found["stalled"] else {}


def ready(pages: str) -> dict[str, Any]:
    """What readiness says; asked without any event loop."""
    try:
        with urllib.request.urlopen(f"{pages}/readyz") as answer:  # noqa: S310
            content: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as refused:
        content = json.load(refused)
    return content


async def test_a_stalled_request_delays_no_matching_and_readiness_names_the_loop(
    settings: Settings, stall: Stall, database_url: str
) -> None:
    async with running(settings) as service:
        async with httpx.AsyncClient(base_url=service.api, timeout=60) as client:
            blocked = asyncio.create_task(client.get("/v1/stall"))
            await asyncio.to_thread(stall.began.wait, 60)

            with Redis.from_url(settings.redis_url.get_secret_value()) as redis:
                redis.xadd(
                    settings.stream[0], {"tenant": "acme", "event_id": "e", "event_type": "A"}
                )
            await wait_until(
                lambda: (
                    one_row(database_url, "SELECT count(*) FROM workflow_runtime_events") == (1,)
                ),
                description="the event is recorded meanwhile",
            )
            said = await wait_until(
                lambda: stalled_at(service.pages),
                description="readiness says so",
            )
            stall.over.set()
            answered = await blocked
        again = await wait_until(
            lambda: {} if stalled_at(service.pages) else ready(service.pages),
            description="it turns again",
        )

    assert (said["status"], said["stalled"]) == ("stalled", ["api"])
    assert said["event_loops"]["main"]["turning"]
    assert answered.status_code == 200
    assert again["status"] == "serving"


async def test_a_stalled_loop_of_the_other_roles_is_named_too(settings: Settings) -> None:
    async with running(settings) as service:
        named = threading.Event()

        def watch() -> list[str]:
            while not (stalled := ready(service.pages)["stalled"]):
                pass
            named.set()
            return list(stalled)

        watching = asyncio.get_running_loop().run_in_executor(None, watch)
        named.wait(60)  # in the loop of the roles
        stalled = await watching

    assert stalled == ["main"]


async def test_a_process_ends_although_a_request_stalls(settings: Settings, stall: Stall) -> None:
    async with running(settings) as service, httpx.AsyncClient(base_url=service.api) as client:
        blocked = asyncio.create_task(client.get("/v1/stall", timeout=60))
        await asyncio.to_thread(stall.began.wait, 60)

        with capture_logs() as logs:
            service.stopping.set()
            await service.roles
        stall.over.set()
        await asyncio.wait({blocked})

    assert {"event": "thread.abandoned", "thread": "api", "log_level": "error"} in logs
