"""Health of the program itself, from its first moment on, whatever is missing."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.program import Pointsman, ask_to_stop
from tests.waiting import wait_until

CANARY = "canary-9d21"
NOWHERE = {
    "POINTSMAN_REDIS_URL": f"redis://:{CANARY}@127.0.0.1:1",
    "POINTSMAN_DATABASE_URL": f"postgresql://me:{CANARY}@127.0.0.1:1/none",
    "TEMPORAL_ADDRESS": "127.0.0.1:1",
    "POINTSMAN_METRICS_PORT": "0",
    "POINTSMAN_HTTP_PORT": "0",
    "POINTSMAN_OBSERVE_PERIOD": "200ms",
}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "service.log"


def text_of(log: Path) -> str:
    return log.read_text()


async def address_in(log: Path) -> str:
    def logged() -> list[str]:
        lines = [json.loads(line) for line in text_of(log).splitlines()]
        return [line["address"] for line in lines if line["event"] == "observation.served"]

    [address] = await wait_until(logged, description="it says where it listens", timeout=60)
    return address


async def test_before_any_server_is_there_the_program_lives_and_says_what_it_misses(
    log: Path,
) -> None:
    with Pointsman(NOWHERE).running("run", log=log) as service:
        async with httpx.AsyncClient(base_url=await address_in(log)) as client:

            async def asked() -> dict[str, Any] | None:
                found: dict[str, Any] = (await client.get("/readyz")).json()
                ages = [each["checked_seconds_ago"] for each in found["dependencies"].values()]
                return None if None in ages else found

            ready = await wait_until(asked, description="every server was asked for", timeout=60)
            status = (await client.get("/readyz")).status_code
            health = await client.get("/healthz")
            metrics = await client.get("/metrics")
        exit_code = ask_to_stop(service)

    assert (status, ready["status"]) == (503, "starting")
    assert set(ready["missing"]) == {"redis", "postgres", "temporal"}
    assert (health.status_code, health.json()["status"]) == (200, "turning")
    assert 'pointsman_dependency_up{dependency="postgres"} 0.0' in metrics.text
    assert exit_code == 0
    assert CANARY not in json.dumps(ready) + health.text + metrics.text + text_of(log)


def test_an_address_of_a_collector_that_is_none_is_refused() -> None:
    ended = Pointsman({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"})("run")

    assert ended.exit_code == 2
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in ended.errors


def test_a_chosen_port_that_is_taken_ends_the_program_with_one_sentence(log: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = Pointsman({**NOWHERE, "POINTSMAN_METRICS_PORT": port})("run")

    assert ended.exit_code == 1
    assert "set POINTSMAN_METRICS_PORT to a free port" in ended.errors
    assert "Traceback" not in ended.errors
