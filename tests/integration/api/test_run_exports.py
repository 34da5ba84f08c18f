"""`GET /v1/runs/export`: the list of runs, whole, a line for each."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from routing.tokens import Scope
from tests.builders import a_wait
from tests.integration.api.caller import Api
from tests.rows import execute
from worker.api import run_exports


def exported(answered: httpx.Response) -> list[dict[str, Any]]:
    assert answered.status_code == 200, answered.text
    return [json.loads(line) for line in answered.text.splitlines()]


async def seven_runs(api: Api, tenant: str = "acme") -> None:
    await api.register(
        *(
            a_wait(tenant=tenant, key=f"{n}", workflow_id=f"order-{n}", run_id=f"run-{n}")
            for n in range(7)
        )
    )


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 7),
        ("status=completed", 1),
        ("key=3", 1),
        ("workflow_id=order-5", 1),
        ("until=2020-01-01T00:00:00Z", 0),
    ],
)
async def test_an_export_has_the_lines_of_the_list_through_all_its_pages(
    api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch, query: str, count: int
) -> None:
    await seven_runs(api)
    execute(database_url, "UPDATE workflow_runs SET status = 'completed' WHERE run_id = 'run-2'")
    monkeypatch.setattr(run_exports, "LINES_AT_ONCE", 3)
    client = await api.caller(Scope.READ)

    listed = (await client.get(f"/v1/runs?{query}")).json()["runs"]
    answered = await client.get(f"/v1/runs/export?{query}")

    assert exported(answered) == listed
    assert len(listed) == count
    assert answered.headers["content-type"] == "application/jsonl"
    assert "runs.jsonl" in answered.headers["content-disposition"]


async def test_an_export_holds_no_other_tenants_runs(api: Api) -> None:
    await seven_runs(api, "acme")
    stranger = await api.caller(Scope.ADMIN, tenants=["globex"])

    answered = await stranger.get("/v1/runs/export")
    asked_for = await stranger.get("/v1/runs/export?tenant=acme")

    assert exported(answered) == []
    assert asked_for.status_code == 403


@pytest.mark.parametrize("query", ["status=asleep", "limit=5", "since=yesterday"])
async def test_a_filter_that_is_none_is_refused_before_the_export_begins(
    api: Api, query: str
) -> None:
    client = await api.caller(Scope.READ)

    answered = await client.get(f"/v1/runs/export?{query}")

    assert answered.status_code == 422
    assert [fault["field"] for fault in answered.json()["errors"]] == [query.partition("=")[0]]
