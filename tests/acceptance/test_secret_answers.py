"""What people answer stands in the event that carries it, and is said nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import httpx
import psycopg
import pytest
from psycopg import sql
from redis.asyncio import Redis

from pointsman.contract import HUMAN_TASK_COMPLETED
from tests.acceptance.site import CANARY, Site, addresses, logged
from tests.waiting import wait_until

FORM: Final = {
    "type": "object",
    "properties": {
        "verdict": {"type": "string", "maxLength": 60},
        "amount": {"type": "integer"},
        "level": {"enum": ["high", "low"]},
        "pin": {"pattern": "^[0-9]+$"},
        "password": {"type": "string"},
    },
    "required": ["verdict"],
    "additionalProperties": False,
}
ANSWER: Final = {"verdict": f"not with {CANARY}", "password": CANARY}
MISFIT: Final = {
    "verdict": [CANARY],
    "amount": CANARY,
    "level": CANARY,
    "pin": CANARY,
    "password": {"is": CANARY},
}
BY_API: Final = "by-api"
BY_EVENT: Final = "by-event"
BY_HAND: Final = "by-hand"
TASKS: Final = (BY_API, BY_EVENT, BY_HAND)
READ: Final = (
    "/v1/tasks?closed=true",
    *(f"/v1/tasks/{task}" for task in TASKS),
    *(f"/v1/waits/{task}" for task in TASKS),
    "/v1/waits?closed=true",
    "/v1/events",
    "/v1/events/summary",
    "/v1/events/export",
    "/v1/deliveries",
    "/v1/runs",
    "/console",
    "/console/tasks?show=all",
    *(f"/console/task?id={task}&of=acme" for task in TASKS),
    "/console/events",
    "/console/waits",
)
"""What is read of tasks, and of everything about them but the event itself."""

Said = dict[str, str]


@pytest.mark.timeout(300)
async def test_an_answer_is_said_by_its_event_alone(
    site: Site, command: Callable[..., str], database_url: str
) -> None:
    made = command("tokens", "create", "ada", "--scope", "admin", "--tenant", "*", "--json")
    token = json.loads(made)["token"]

    # Nobody asked for the tasks: what is said of deliveries that die is searched, too.
    service = site.pointsman.with_settings(POINTSMAN_RUN_NOT_FOUND_GRACE="0s")
    with service.running("run", log=site.log):
        api, shown = await addresses(site.log)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=api, headers=headers, timeout=60) as client:
            said = await _answered(client)
            await _sent(site, client)
            said |= _typed(command)
            await wait_until(
                lambda: logged(site.log, "delivery.dead_lettered"), description="a delivery's end"
            )
            event = (await client.get("/v1/events/of-event")).json()
            said |= await _read(client, token)
            said["metrics"] = (await client.get(f"{shown}/metrics")).text
    said["log"] = site.log.read_text()

    assert event["event"]["payload"]["answer"] == {"verdict": ANSWER["verdict"], "password": "***"}
    assert {name: site.leaks(text) for name, text in said.items() if site.leaks(text)} == {}
    assert _columns_holding(CANARY, database_url) == {
        "workflow_runtime_events.payload",
        "workflow_rejected_entries.raw",
    }


async def _answered(client: httpx.AsyncClient) -> Said:
    """Three tasks are asked, and one is answered: wrongly, rightly, and once more."""
    for task in TASKS:
        wait = {
            "tenant": "acme",
            "wait_id": task,
            "event_name": HUMAN_TASK_COMPLETED,
            "correlation_key": task,
            "workflow_id": "nobody",
            "kind": "human",
            "task": {"title": "Approve", "form": FORM},
        }
        (await client.post("/v1/waits", json=wait)).raise_for_status()
    said = {}
    for name, answer, status in [("misfit", MISFIT, 422), ("fit", ANSWER, 200), ("2", ANSWER, 409)]:
        answered = await client.post(f"/v1/tasks/{BY_API}/complete", json={"answer": answer})
        assert answered.status_code == status
        said[f"complete {name}"] = answered.text
    return said


async def _sent(site: Site, client: httpx.AsyncClient) -> None:
    """One is answered by events: wrongly, rightly, and once more."""
    redis = Redis.from_url(site.redis_url)
    answers: dict[str, Any] = {"misfit": MISFIT, "of-event": ANSWER, "second": ANSWER}
    for event_id, answer in answers.items():
        payload = {"taskId": BY_EVENT, "answer": answer, "completedBy": "crm"}
        entry: dict[Any, Any] = {
            "tenant": "acme",
            "event_id": event_id,
            "event_type": HUMAN_TASK_COMPLETED,
            "payload_json": json.dumps(payload),
        }
        await redis.xadd(site.stream, entry)
    await redis.aclose()

    async def refused() -> bool:
        return (await client.get("/v1/events/second")).status_code == 200

    await wait_until(refused, description="the second answer is refused")


def _typed(command: Callable[..., str]) -> Said:
    """One is answered by the command line: wrongly, no JSON, rightly, and once more."""
    answers = {"misfit": MISFIT, "fit": ANSWER, "second": ANSWER}
    said = {
        f"tasks complete {name}": command(
            "tasks", "complete", BY_HAND, "--answer", json.dumps(each)
        )
        for name, each in answers.items()
    }
    said["tasks complete broken"] = command(
        "tasks", "complete", BY_HAND, "--answer", f'{{"verdict": "{CANARY}'
    )
    assert "completed" in said["tasks complete fit"]
    said["tasks list"] = command("tasks", "list", "--all", "--json")
    for task in TASKS:
        said[f"tasks show {task}"] = command("tasks", "show", task, "--json")
    return said


async def _read(client: httpx.AsyncClient, token: str) -> Said:
    logged_in = await client.post("/console/login", data={"token": token})
    client.headers["Cookie"] = logged_in.headers["set-cookie"].partition(";")[0]
    answers = {path: await client.get(path) for path in READ}
    assert {path: each.status_code for path, each in answers.items() if each.is_error} == {}
    return {path: each.text for path, each in answers.items()}


def _columns_holding(word: str, database_url: str) -> set[str]:
    """Every column of every table in which the word stands, bytes included."""
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    found = set()
    with psycopg.connect(database_url) as connection:
        for (table,) in connection.execute(tables).fetchall():
            rows = sql.SQL("SELECT to_jsonb(t) FROM {} AS t").format(sql.Identifier(table))
            for (row,) in connection.execute(rows).fetchall():
                texts = {name: json.dumps(value) for name, value in row.items()}
                found |= {
                    f"{table}.{name}"
                    for name, text in texts.items()
                    if word in text or word.encode().hex() in text
                }
    return found
