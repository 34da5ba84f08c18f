"""Bodies that come compressed."""

from __future__ import annotations

import gzip
import json

import pytest

from routing.tokens import Scope
from tests.integration.api.caller import Api

BODY = json.dumps({"event_id": "e", "event_type": "A", "payload": {"a": "ü"}}).encode()
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(BODY)),
        ("X-GZIP", gzip.compress(BODY)),
        ("gzip", gzip.compress(BODY[:20]) + gzip.compress(BODY[20:])),
        ("identity", BODY),
    ],
    ids=["gzip", "in capitals", "two members", "as it is"],
)
async def test_a_packed_event_is_taken_as_it_was_before(
    api: Api, encoding: str, body: bytes
) -> None:
    publisher = await api.caller(Scope.PUBLISH)

    plain = await publisher.post("/v1/events", content=BODY, headers=JSON)
    packed = await publisher.post(
        "/v1/events", content=body, headers={**JSON, "Content-Encoding": encoding}
    )

    assert (plain.status_code, packed.status_code) == (200, 200)
    assert packed.json()["duplicate"]


@pytest.mark.parametrize(
    ("encoding", "body", "status", "field"),
    [
        ("br", BODY, 415, "Content-Encoding"),
        ("gzip, gzip", BODY, 415, "Content-Encoding"),
        ("gzip", BODY, 422, "body"),
        ("gzip", gzip.compress(BODY)[:-9], 422, "body"),
        ("gzip", gzip.compress(BODY) + b"more", 422, "body"),
        ("gzip", gzip.compress(b" " * 50_000_000), 413, "body"),
    ],
    ids=["brotli", "twice", "not packed", "cut off", "more behind", "a bomb"],
)
async def test_what_cannot_be_unpacked_is_refused_by_name(
    api: Api, encoding: str, body: bytes, status: int, field: str
) -> None:
    publisher = await api.caller(Scope.PUBLISH)

    answered = await publisher.post(
        "/v1/events", content=body, headers={**JSON, "Content-Encoding": encoding}
    )

    assert answered.status_code == status
    assert answered.json()["errors"][0]["field"] == field
    assert answered.json()["request_id"]
    assert (answered.headers.get("Accept-Encoding") == "gzip") is (status == 415)
