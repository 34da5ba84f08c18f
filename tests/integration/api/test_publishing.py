"""Posting events: one, many, in every form, again, and wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from correlation.reason import Outcome
from correlation.rules import compile_rules
from routing.database import Database
from routing.matching import Matcher, Matching
from routing.tokens import Scope
from tests.builders import a_wait
from tests.integration.api.caller import Api, Counting, FakeDeadLetters, open_api
from tests.rows import one_row

EVENT = {"event_id": "e-1", "event_type": "INVOICE_PAID", "workflow_correlation_key": "7"}


async def test_a_posted_event_is_answered_with_the_waits_that_it_met(api: Api) -> None:
    publisher = await api.caller(Scope.PUBLISH)
    await api.register(
        a_wait(key=7, wait_id="w-1", workflow_id="order-7"),
        a_wait(key=7, tenant="globex"),
    )

    answered = await publisher.post("/v1/events", json=EVENT)

    assert answered.status_code == 200
    body = answered.json()
    assert (body["outcome"], body["keys"]) == ("matched", ["7"])
    assert body["waits"] == [{"wait_id": "w-1", "workflow_id": "order-7"}]
    assert [delivery.wait_id for delivery in api.sink.submitted] == ["w-1"]


async def test_the_payload_is_kept_as_it_was_written(api: Api, database_url: str) -> None:
    publisher = await api.caller(Scope.PUBLISH)
    api.rules[0] = compile_rules({"INVOICE_PAID": ["invoice.id"]})
    text = '{"event_id":"e","event_type":"INVOICE_PAID","payload":{"invoice": {"id": 1.00e2}}}'

    answered = await publisher.post(
        "/v1/events", content=text, headers={"Content-Type": "application/json"}
    )

    assert answered.json()["keys"] == ["100"]
    [payload] = one_row(database_url, "SELECT payload FROM workflow_runtime_events")
    assert payload == '{"invoice": {"id": 1.00e2}}'


@pytest.mark.parametrize("key", [7, 7.0, "7", " 7 "])
async def test_a_key_given_as_a_number_is_its_canonical_text(api: Api, key: object) -> None:
    publisher = await api.caller(Scope.PUBLISH)

    answered = await publisher.post("/v1/events", json={**EVENT, "workflow_correlation_key": key})

    assert answered.json()["keys"] == ["7"]


async def test_the_same_event_again_is_harmless_and_answered_alike(api: Api) -> None:
    publisher = await api.caller(Scope.PUBLISH)
    await api.register(a_wait(key=7))

    first = (await publisher.post("/v1/events", json=EVENT)).json()
    again = (await publisher.post("/v1/events", json=EVENT)).json()

    assert (first.pop("duplicate"), again.pop("duplicate")) == (False, True)
    assert first.pop("entry_id") != again.pop("entry_id")
    assert first == again
    assert len(api.sink.submitted) == 1


async def test_an_idempotency_key_gives_events_without_an_id_the_same_ids_again(api: Api) -> None:
    publisher = await api.caller(Scope.PUBLISH)
    other = await api.caller(Scope.PUBLISH, tenants=["globex"])
    batch = {"events": [{"event_type": "A"}, {"event_type": "A"}]}

    async def ids(client: httpx.AsyncClient, key: str) -> list[str]:
        answered = await client.post("/v1/events", json=batch, headers={"Idempotency-Key": key})
        return [result["event_id"] for result in answered.json()["results"]]

    first, again = await ids(publisher, "k"), await ids(publisher, "k")
    with_other_key, of_other_tenant = await ids(publisher, "l"), await ids(other, "k")

    assert first == again
    assert len({*first, *with_other_key, *of_other_tenant}) == 6


async def test_the_same_id_with_other_content_is_a_conflict(api: Api, database_url: str) -> None:
    publisher = await api.caller(Scope.PUBLISH)
    await publisher.post("/v1/events", json=EVENT)

    answered = await publisher.post("/v1/events", json={**EVENT, "payload": {"other": 1}})

    assert answered.status_code == 409
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.json()["errors"][0]["field"] == "event_id"
    row = one_row(database_url, "SELECT stream, reason FROM workflow_rejected_entries")
    assert row == ("http", "conflicting_duplicate")


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({"event_type": "A"}, "event_id", "missing_event_id"),
        ({"event_id": "e"}, "event_type", "missing_event_name"),
        ({"event_id": "e", "event_type": "A", "payload": [1]}, "payload", "payload_not_object"),
        ({"event_id": "e", "event_type": 7}, "event_type", "field_invalid"),
        ({"event_id": "e", "event_type": "A", "timestamp": "x"}, "timestamp", "invalid_timestamp"),
        ({"events": 7}, "events", "field_invalid"),
        ({}, "event_id", "missing_event_id"),
    ],
)
async def test_a_malformed_event_names_field_and_fix_and_is_audited(
    api: Api, database_url: str, body: dict[str, Any], field: str, reason: str
) -> None:
    publisher = await api.caller(Scope.PUBLISH)

    answered = await publisher.post("/v1/events", json=body)

    problem = answered.json()
    assert (answered.status_code, problem["reason"]) == (422, reason)
    assert problem["errors"][0]["field"] == field
    assert problem["errors"][0]["fix"]
    row = one_row(database_url, "SELECT tenant_id, stream, entry_id FROM workflow_rejected_entries")
    assert row == ("acme", "http", f"{answered.headers['x-request-id']}-0")


async def test_events_of_a_batch_are_answered_one_by_one(api: Api) -> None:
    publisher = await api.caller(Scope.PUBLISH)
    events = [EVENT, {"event_id": "e-2"}, "no object", {**EVENT, "tenant": "globex"}, EVENT]

    answered = await publisher.post("/v1/events", json={"events": events})

    results = answered.json()["results"]
    assert answered.status_code == 207
    assert [result["status"] for result in results] == [200, 422, 422, 403, 200]
    assert results[4]["duplicate"]
    assert answered.json()["outcomes"] == {"no_wait": 2, "malformed": 2, "forbidden": 1}


async def test_a_batch_of_a_thousand_is_one_transaction(database: Database) -> None:
    counting = Counting(database._pool, _limits())
    async with open_api(
        database,
        FakeDeadLetters(),
        lambda parts: replace(parts, ledger=Matcher(counting, Matching(owner="api"))),
    ) as api:
        publisher = await api.caller(Scope.PUBLISH)
        events = [
            {**EVENT, "event_id": f"e-{n}", "workflow_correlation_key": n} for n in range(1000)
        ]

        answered = await publisher.post("/v1/events", json={"events": events})

    assert answered.json()["outcomes"] == {"no_wait": 1000}
    assert counting.transactions == 1


def _limits() -> Any:
    from routing.database import DatabaseLimits

    return DatabaseLimits()


async def test_more_than_a_thousand_events_are_too_many(api: Api) -> None:
    publisher = await api.caller(Scope.PUBLISH)

    answered = await publisher.post("/v1/events", json={"events": [EVENT] * 1001})

    assert answered.status_code == 413


async def test_cloudevents_come_structured_binary_and_in_batches(api: Api) -> None:
    publisher = await api.caller(Scope.PUBLISH)
    event = {"specversion": "1.0", "source": "/s", "type": "A", "correlationkey": "7"}
    binary = {
        "ce-specversion": "1.0",
        "ce-source": "/s",
        "ce-type": "A",
        "ce-correlationkey": "7%C3%A4",
    }

    async def post(content: Any, content_type: str, **headers: str) -> Any:
        answered = await publisher.post(
            "/v1/events",
            content=json.dumps(content),
            headers={"Content-Type": content_type, **headers},
        )
        assert answered.status_code == 200, answered.text
        return answered.json()

    structured = await post({**event, "id": "1"}, "application/cloudevents+json; charset=utf-8")
    in_binary = await post({"a": 1}, "application/json", **binary, **{"ce-id": "2"})
    batch = await post(
        [{**event, "id": "3"}, {**event, "id": "4"}], "application/cloudevents-batch+json"
    )

    assert (structured["event_id"], structured["keys"]) == ("/s|1", ["7"])
    assert (in_binary["event_id"], in_binary["keys"]) == ("/s|2", ["7ä"])
    assert [result["event_id"] for result in batch["results"]] == ["/s|3", "/s|4"]
    assert structured["tenant"] == in_binary["tenant"] == "acme"


async def test_a_tenant_comes_from_the_token_and_never_from_the_body_alone(
    api: Api, database_url: str
) -> None:
    publisher = await api.caller(Scope.PUBLISH)

    foreign = await publisher.post("/v1/events", json={**EVENT, "tenant": "globex"})
    malformed = await publisher.post("/v1/events", json={"tenant": "globex"})

    assert (foreign.status_code, malformed.status_code) == (403, 403)
    counts = one_row(
        database_url,
        "SELECT (SELECT count(*) FROM workflow_runtime_events),"
        " (SELECT count(*) FROM workflow_rejected_entries)",
    )
    assert counts == (0, 0)


async def test_what_is_not_understood_or_too_large_is_refused(database: Database) -> None:
    async with open_api(database, FakeDeadLetters(), http_max_body=2048) as api:
        publisher = await api.caller(Scope.PUBLISH)

        async def chunks() -> Any:
            for _ in range(30):
                yield b" " * 100

        text = await publisher.post(
            "/v1/events", content="{}", headers={"Content-Type": "text/plain"}
        )
        large = await publisher.post("/v1/events", json={"x": "y" * 3000})
        endless = await publisher.post(
            "/v1/events", content=chunks(), headers={"Content-Type": "application/json"}
        )

    assert (text.status_code, large.status_code, endless.status_code) == (415, 413, 413)
    assert "application/cloudevents+json" in text.headers["accept-post"]
    assert large.json()["errors"][0]["fix"]


async def test_a_refused_event_does_not_hold_up_its_neighbours(api: Api, database_url: str) -> None:
    from tests.rows import execute

    execute(
        database_url,
        "ALTER TABLE workflow_runtime_events ADD CHECK (event_id <> 'poison')",
    )
    publisher = await api.caller(Scope.PUBLISH)
    events = [{**EVENT, "event_id": name} for name in ("a", "b", "poison", "c")]

    answered = await publisher.post("/v1/events", json={"events": events})

    results = answered.json()["results"]
    assert [result["status"] for result in results] == [200, 200, 422, 200]
    assert results[2]["reason"] == "poison"
    row = one_row(database_url, "SELECT event_id, outcome FROM workflow_rejected_entries")
    assert row == ("poison", Outcome.REJECTED)
