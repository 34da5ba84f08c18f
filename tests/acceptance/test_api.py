"""The API as a process: a token from the command line, an event over HTTP, its story back."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.program import Pointsman, ask_to_stop
from tests.waiting import wait_until


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "service.log"


@pytest.fixture
def command(pointsman: Pointsman) -> Pointsman:
    return pointsman.with_settings(POINTSMAN_HTTP_PORT="0")


def written(log: Path) -> str:
    return log.read_text()


async def address(log: Path, event: str = "api.served") -> dict[str, Any]:
    def found() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        return [line for line in lines if line["event"] == event]

    [first, *_] = await wait_until(found, description=f"{event} in the log", timeout=60)
    return first


async def base_url(log: Path) -> str:
    served = await address(log)
    return f"http://{served['host']}:{served['port']}"


async def test_an_event_is_posted_with_a_token_and_asked_about(
    command: Pointsman, log: Path
) -> None:
    made = command(
        "tokens",
        "create",
        "shop",
        "--scope",
        "publish",
        "--scope",
        "read",
        "--tenant",
        "acme",
        "--json",
    )
    [token] = made.records
    headers = {"Authorization": f"Bearer {token['token']}"}
    event = {"event_id": "paid-7", "event_type": "INVOICE_PAID", "workflow_correlation_key": 7}

    with command.running("run", "--roles", "api", log=log) as service:
        async with httpx.AsyncClient(base_url=await base_url(log), headers=headers) as client:
            posted = await client.post("/v1/events", json=event)
            story = await client.get("/v1/events/paid-7")
            revoked = command("tokens", "revoke", token["token_id"])

            async def refused() -> bool:
                return (await client.get("/v1/events")).status_code == 401

            # An answer about a token is remembered for POINTSMAN_TOKEN_AGE.
            await wait_until(refused, description="the revoked token is refused")
        exit_code = ask_to_stop(service)

    assert (posted.status_code, posted.json()["outcome"]) == (200, "no_wait")
    assert story.json()["sentences"][0].startswith("It woke nobody")
    assert (revoked.exit_code, exit_code) == (0, 0)
    assert token["token"] not in written(log)
    [listed] = command("tokens", "list", "--json").records
    assert listed["revoked_at"]
    assert token["token"] not in json.dumps(listed)


async def test_of_two_processes_with_one_address_the_second_waits_and_takes_over(
    pointsman: Pointsman, log: Path, tmp_path: Path
) -> None:
    with pointsman.with_settings(POINTSMAN_HTTP_PORT="0").running(
        "run", "--roles", "api", log=log
    ) as first:
        port = str((await address(log))["port"])
        second_log = tmp_path / "second.log"
        second = pointsman.with_settings(POINTSMAN_HTTP_PORT=port)
        with second.running("run", "--roles", "api,sweeper", log=second_log):
            await address(second_log, "api.address_awaited")
            first.send_signal(signal.SIGKILL)

            taken_over = await address(second_log)

    assert str(taken_over["port"]) == port


def test_the_development_switch_is_refused_where_others_could_reach_it(
    pointsman: Pointsman,
) -> None:
    command = pointsman.with_settings(POINTSMAN_INSECURE_DEV="true", POINTSMAN_HTTP_HOST="::")

    ended = command("run", "--roles", "api")

    assert ended.exit_code == 2
    assert "POINTSMAN_INSECURE_DEV" in ended.errors


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--scope", "read", "--tenant", "*"), "only a token with the scope admin"),
        (("--scope", "king", "--tenant", "acme"), "is no scope"),
        (("--scope", "read", "--tenant", " "), "none of them may be blank"),
    ],
)
def test_a_token_that_may_not_be_is_refused_with_the_reason(
    pointsman: Pointsman, arguments: tuple[str, ...], said: str
) -> None:
    ended = pointsman("tokens", "create", "x", *arguments)

    assert ended.exit_code != 0
    assert said in " ".join(ended.errors.replace("│", " ").split())
