"""Lists, stories, exports: nothing twice, nothing missing, no secret."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from correlation.reason import Outcome, Reason
from routing.database import Database
from routing.incoming import Origin, RejectedEntry
from routing.matching import Matcher, Matching
from routing.tokens import Scope
from tests.builders import a_wait, incoming
from tests.integration.api.caller import Api, FakeDeadLetters, open_api

CANARY = "canary-7f3a"


async def pages(client: httpx.AsyncClient, path: str, member: str) -> list[list[dict[str, Any]]]:
    found, cursor = [], ""
    while True:
        answered = await client.get(f"{path}{cursor}")
        assert answered.status_code == 200, answered.text
        found.append(answered.json()[member])
        if answered.json()["next"] is None:
            return found
        cursor = f"&cursor={answered.json()['next']}"


async def reject(database: Database, tenant: str, entry_id: str, stream: str = "s") -> None:
    entry = RejectedEntry(
        Origin(stream, entry_id),
        Outcome.MALFORMED,
        Reason.INVALID_JSON,
        "no JSON",
        b"[]",
        tenant,
    )
    await Matcher(database, Matching(owner="me")).record([], [entry])


async def test_paging_brings_every_event_once_while_others_come_in(api: Api) -> None:
    matcher = Matcher(api.database, Matching(owner="me"))
    await matcher.record([incoming(tenant="acme", event_id=f"a-{n}", key=1) for n in range(7)])
    await matcher.record([incoming(tenant="globex", event_id=f"g-{n}") for n in range(6)])
    for n in range(5):
        await reject(api.database, "acme", f"{n}-0")
        await reject(api.database, "globex", f"{n}-0", stream="t")
    # The same moment for all of them: the order within it is what keeps the pages apart.
    async with api.database.transaction() as connection:
        await connection.execute("UPDATE workflow_runtime_events SET received_at = now()")
        await connection.execute("UPDATE workflow_rejected_entries SET received_at = now()")
    client = await api.admin()

    seen, cursor = [], ""
    while True:
        answered = (await client.get(f"/v1/events?limit=3{cursor}")).json()
        seen += [(e["tenant"], e["event_id"] or e["entry_id"]) for e in answered["events"]]
        await matcher.record([incoming(tenant="acme"), incoming(tenant="initech")])
        if answered["next"] is None:
            break
        cursor = f"&cursor={answered['next']}"

    expected = {("acme", f"a-{n}") for n in range(7)} | {("globex", f"g-{n}") for n in range(6)}
    expected |= {(tenant, f"{n}-0") for tenant in ("acme", "globex") for n in range(5)}
    assert len(seen) == len(set(seen))
    assert set(seen) == expected


@pytest.mark.parametrize("closed", ["false", "true"])
async def test_waits_and_deliveries_are_paged_alike(api: Api, closed: str) -> None:
    await api.register(*[a_wait(key=n % 3, tenant=f"t{n % 2}") for n in range(11)])
    for tenant in ("t0", "t1"):
        await api.record(key=0, tenant=tenant, event_id="e")
    client = await api.admin()

    waits = await pages(client, f"/v1/waits?limit=2&closed={closed}", "waits")
    deliveries = await pages(client, "/v1/deliveries?limit=1", "deliveries")

    assert [len(page) for page in waits] == [2, 2, 2, 2, 2, 1]
    assert len({wait["wait_id"] for page in waits for wait in page}) == 11
    assert sorted(d["tenant"] for page in deliveries for d in page) == ["t0", "t0", "t1", "t1"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name=A", {"a1", "a2"}),
        ("key=7", {"a1"}),
        ("outcome=matched", {"a1"}),
        ("outcome=malformed", {None}),
        ("reason=no_rule", {"a2", "b1"}),
        ("reason=run_closed", set()),
        ("state=matched", {"a1"}),
        ("state=pending", {"a1"}),
        ("state=dead", set()),
        ("state=nobody", {"a2", "b1", None}),
        ("workflow_id=order-7", {"a1"}),
        ("workflow_id=nobody", set()),
        ("run_id=run-7", {"a1"}),
        ("q=2", {"a2"}),
        ("q=123456789-5", {None}),
        ("until=2020-01-01T00:00:00Z", set()),
        ("since=2020-01-01T00:00:00Z&name=B", {"b1"}),
    ],
)
async def test_filters_narrow_the_list(api: Api, query: str, expected: set[str]) -> None:
    await api.register(a_wait(key=7, event_name="A", workflow_id="order-7", run_id="run-7"))
    await api.record(name="A", key=7, event_id="a1")
    await api.record(name="A", event_id="a2")
    await api.record(name="B", event_id="b1")
    await reject(api.database, "acme", "123456789-5")
    client = await api.caller(Scope.READ)

    answered = await client.get(f"/v1/events?{query}")
    exported = await client.get(f"/v1/events/export?{query}")

    assert {event["event_id"] for event in answered.json()["events"]} >= expected
    if not query.startswith("q=2"):
        assert {event["event_id"] for event in answered.json()["events"]} == expected
    assert [json.loads(line)["entry_id"] for line in exported.text.splitlines()] == [
        event["entry_id"] for event in answered.json()["events"]
    ]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=WzFd", "cursor"),
        ("since=yesterday", "since"),
        ("since=2020-01-01T00:00:00", "since"),
        ("until=9999-12-31T23:59:59-23:59", "until"),
        ("since=0001-01-01T00:00:00%2B14:00", "since"),
        ("outcome=nice", "outcome"),
        ("key=%20", "key"),
        ("q=%00", "q"),
        ("nmae=A", "nmae"),
    ],
)
async def test_a_wrong_parameter_is_named_with_its_fix(api: Api, query: str, field: str) -> None:
    client = await api.caller(Scope.READ)

    answered = await client.get(f"/v1/events?{query}")

    assert answered.status_code == 422
    [fault] = answered.json()["errors"]
    assert fault["field"] == field
    assert fault["fix"]


async def test_of_very_many_wrong_parameters_the_first_are_named_and_the_rest_counted(
    api: Api,
) -> None:
    client = await api.admin()
    wrong = "&".join(f"x{number}=1" for number in range(1_000))

    answered = await client.get(f"/v1/events?{wrong}&{'y' * 3_000}=1")

    assert answered.status_code == 422
    assert len(answered.json()["errors"]) == 21
    assert answered.json()["errors"][-1]["problem"] == "981 more are wrong"
    assert len(answered.content) < 8_192


async def test_a_story_tells_everything_but_secrets(api: Api) -> None:
    await api.register(a_wait(key=7, wait_id="w"))
    payload = {
        "amount": 12.5,
        "card": {"apiKey": CANARY, "items": [{"Access-Token": CANARY}]},
        "url": f"https://user:{CANARY}@host/",
    }
    await api.record(key=7, event_id="/shop|a b", payload=payload)
    client = await api.caller(Scope.READ)

    answered = await client.get("/v1/events/%2Fshop%7Ca%20b")

    story = answered.json()
    assert answered.status_code == 200
    assert story["event"]["payload"]["amount"] == 12.5
    assert story["event"]["rules_version"]
    assert [delivery["wait_id"] for delivery in story["deliveries"]] == ["w"]
    assert [stage["name"] for stage in story["stages"]] == ["matched"]
    assert CANARY not in answered.text


async def test_a_rejected_entry_is_shown_without_its_secrets(api: Api) -> None:
    publisher = await api.caller(Scope.PUBLISH)
    reader = await api.caller(Scope.READ)
    payload = f'{{"password": "{CANARY}", '
    text = json.dumps({"event_id": "e", "event_type": "A", "payload_json": payload})
    headers = {"Content-Type": "application/json"}
    refused = await publisher.post("/v1/events", content=text, headers=headers)
    broken = await publisher.post(
        "/v1/events", content=f'{{"token": ["{CANARY}", ', headers=headers
    )

    stories = [
        await reader.get(f"/v1/events/{refused.json()['entry_id']}"),
        await reader.get(f"/v1/events/{broken.json()['entry_id']}"),
    ]

    assert [story.status_code for story in stories] == [200, 200]
    assert all(story.json()["rejected"][0]["reason"] == "invalid_json" for story in stories)
    for answered in (refused, broken, *stories):
        assert CANARY not in answered.text


async def test_an_export_has_no_limit_no_secret_and_no_formula(api: Api) -> None:
    matcher = Matcher(api.database, Matching(owner="me"))
    for part in range(3):
        await matcher.record(
            [
                incoming(event_id=f"=cmd|{part}-{n}", payload={"secret": CANARY, "n": n})
                for n in range(1000)
            ]
        )
    client = await api.caller(Scope.READ)

    as_csv = await client.get("/v1/events/export?format=csv&payload=true")
    as_lines = await client.get("/v1/events/export?format=jsonl&payload=true")

    rows = list(csv.DictReader(io.StringIO(as_csv.text, newline="")))
    lines = [json.loads(line) for line in as_lines.text.splitlines()]
    assert len({row["event_id"] for row in rows}) == len(rows) == len(lines) == 3000
    assert all(row["event_id"].startswith("'=cmd") for row in rows)
    assert [row["event_id"][1:] for row in rows] == [line["event_id"] for line in lines]
    assert lines[0]["payload"] == {"secret": "***", "n": lines[0]["payload"]["n"]}
    assert CANARY not in as_csv.text + as_lines.text


async def test_a_summary_counts_by_span_name_outcome_and_reason(api: Api) -> None:
    await api.record(name="A", key=1, count=2)
    await api.record(name="A")
    await reject(api.database, "acme", "1-0")
    client = await api.caller(Scope.READ)
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat().replace("+", "%2B")

    counted = (await client.get(f"/v1/events/summary?since={since}&bucket=1d")).json()["counts"]
    too_fine = await client.get("/v1/events/summary?since=2000-01-01T00:00:00Z&bucket=1m")

    totals: dict[tuple[str | None, str, str | None], int] = {}
    for line in counted:
        key = line["name"], line["outcome"], line["reason"]
        totals[key] = totals.get(key, 0) + line["count"]
    assert totals == {
        ("A", "no_wait", "no_open_wait"): 2,
        ("A", "unresolved", "no_rule"): 1,
        (None, "malformed", "invalid_json"): 1,
    }
    assert too_fine.status_code == 422


async def test_a_wait_is_registered_over_http_as_by_the_activity(api: Api) -> None:
    await api.record(name="A", key="7", event_id="before")
    for workflow_id in ("order", "another"):
        await api.register(a_wait(workflow_id=workflow_id, run_id=f"run-of-{workflow_id}"))
    operator = await api.caller(Scope.OPERATE)
    body = {
        "tenant": "acme",
        "wait_id": "w",
        "event_name": "A",
        "correlation_key": 7.0,
        "workflow_id": "order",
        "lookback_seconds": 60,
    }

    first = await operator.post("/v1/waits", json=body)
    again = await operator.post("/v1/waits", json=body)
    other = await operator.post("/v1/waits", json={**body, "workflow_id": "another"})
    shown = await operator.get("/v1/waits/w")

    expected = {"wait_id": "w", "correlation_key": "7", "status": "waiting", "matched_events": 1}
    assert (first.json(), again.json()) == (expected, expected)
    assert other.status_code == 409
    assert [delivery["event_id"] for delivery in shown.json()["deliveries"]] == ["before"]
    assert api.sink.woken


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"correlation_key": " "}, "correlation_key"),
        ({"correlation_key": [1]}, "correlation_key"),
        ({"lookback_seconds": 1e300}, "lookback_seconds"),
        ({"filter": "\0"}, "filter"),
        ({"run_id": "\ud800"}, "run_id"),
        ({"wait_id": ""}, "wait_id"),
        ({"surprise": 1}, "surprise"),
        ({"expires_at": "2026-01-01"}, "expires_at"),
    ],
)
async def test_a_wrong_wait_names_the_field(api: Api, change: dict[str, Any], field: str) -> None:
    operator = await api.caller(Scope.OPERATE)
    body = {
        "tenant": "acme",
        "wait_id": "w",
        "event_name": "A",
        "correlation_key": 7,
        "workflow_id": "order",
    }

    answered = await operator.post(
        "/v1/waits",
        content=json.dumps({**body, **change}),
        headers={"Content-Type": "application/json"},
    )

    assert answered.status_code == 422, answered.text
    assert answered.json()["errors"][0]["field"] == field


async def test_answers_carry_the_headers_that_browsers_obey(api: Api) -> None:
    client = await api.caller(Scope.READ)

    answers = [await client.get("/v1/events"), await client.get("/v1/nothing")]

    for answered in answers:
        assert answered.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answered.headers["content-security-policy"]
        assert answered.headers["cache-control"] == "no-store"
        assert answered.headers["x-request-id"]
    assert answers[1].json()["fix"]


async def test_too_many_requests_are_told_when_to_go_on(database: Database) -> None:
    async with open_api(database, FakeDeadLetters(), http_rate=1, http_burst=2) as api:
        client, other = await api.caller(Scope.READ), await api.caller(Scope.READ)

        codes = [(await client.get("/v1/events")).status_code for _ in range(3)]
        last = await client.get("/v1/events")
        of_another = await other.get("/v1/events")

    assert codes == [200, 200, 429]
    assert int(last.headers["retry-after"]) >= 1
    assert of_another.status_code == 200


async def test_the_development_switch_answers_to_this_machines_names_alone(
    database: Database,
) -> None:
    async with open_api(database, FakeDeadLetters(), insecure_dev=True) as api:
        client = api.with_token(None)

        here = await client.get("/v1/events")
        rebound = await client.get("/v1/events", headers={"Host": "evil.example:8088"})

    assert (here.status_code, rebound.status_code) == (200, 403)


async def test_an_unforeseen_failure_says_nothing_of_the_inside(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    from dataclasses import replace

    def broken() -> Any:
        raise RuntimeError("SELECT secret FROM inside")

    async with open_api(
        database, FakeDeadLetters(), lambda parts: replace(parts, rules=broken)
    ) as api:
        client = await api.caller(Scope.PUBLISH)

        answered = await client.post("/v1/events", json={"event_id": "e", "event_type": "A"})

    assert answered.status_code == 500
    assert "SELECT" not in answered.text
    assert answered.json()["request_id"] == answered.headers["x-request-id"]


async def test_an_outage_is_answered_with_503_and_when_to_come_again(database_url: str) -> None:
    from routing.database import DatabaseLimits, open_database

    limits = DatabaseLimits(connect_timeout=timedelta(seconds=1))
    address = "postgresql://127.0.0.1:1/none"
    async with (
        open_database(address, limits) as database,
        open_api(database, FakeDeadLetters()) as api,
    ):
        answered = await api.with_token(f"pmt_{'0' * 12}_{'A' * 43}").get("/v1/events")

    assert answered.status_code == 503
    assert answered.headers["retry-after"]
