"""Numbers that no float and no decimal holds, through every door of the API."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest

from correlation.exact_reading import read_bytes, read_stored
from correlation.rules import compile_rules
from routing.tokens import Scope
from tests.builders import a_task
from tests.integration.api.caller import Api
from tests.rows import one_row

JSON = {"Content-Type": "application/json"}
VALUES = {
    "vast": ("1e99999999999999999999", "10e99999999999999999998"),
    "vanishing": ("1e-99999999999999999999", "0.1e-99999999999999999998"),
    "beyond a float": ("1e400", "1E+400"),
    "long": ("9" * 5000, "9" * 5000 + ".0"),
    "half a pair": ('"\\ud800"', '"\\uD800"'),
}
EVERY_VALUE = pytest.mark.parametrize(("value", "same"), VALUES.values(), ids=VALUES)


def posted(payload: str, event_id: str = "e") -> str:
    return f'{{"event_id": "{event_id}", "event_type": "A", "payload": {payload}}}'


def read(answered: httpx.Response, status: int = 200) -> Any:
    assert answered.status_code == status, answered.text
    return read_bytes(answered.content)


@EVERY_VALUE
async def test_the_same_event_in_another_spelling_is_a_repetition(
    api: Api, value: str, same: str
) -> None:
    client = await api.caller(Scope.PUBLISH)

    first = await client.post("/v1/events", content=posted(f'{{"a":{value}}}'), headers=JSON)
    again = await client.post("/v1/events", content=posted(f'{{"a": {same}}}'), headers=JSON)
    other = await client.post("/v1/events", content=posted('{"a": 7}'), headers=JSON)

    assert read(first)["duplicate"] is False
    assert read(again)["duplicate"] is True
    assert read(other, 409)["reason"] == "conflicting_duplicate"


@EVERY_VALUE
async def test_the_event_is_shown_explained_exported_and_replayed(
    api: Api, value: str, same: str
) -> None:
    client = await api.caller(*Scope, tenants=["acme"])
    await client.post("/v1/events", content=posted(f'{{"a": {value}}}'), headers=JSON)
    api.rules[0] = compile_rules({"A": "a"})

    shown = read(await client.get("/v1/events/e"))
    explained = read(await client.post("/v1/explain/event", json={"event_id": "e"}))
    asked = await client.post(
        "/v1/explain/event", content=f'{{"event": {posted(f"""{{"a": {value}}}""")}}}', headers=JSON
    )
    lines = await client.get("/v1/events/export?format=jsonl&payload=true")
    table = await client.get("/v1/events/export?format=csv&payload=true")
    replayed = await client.post("/v1/events/e/replay", json={"reason": "again"})

    wanted = read_bytes(same.encode())
    assert shown["event"]["payload"]["a"] == wanted
    assert read_bytes(lines.content.splitlines()[0])["payload"]["a"] == wanted
    assert (explained["outcome"], read(asked)["hypothetical"]) == ("unresolved", True)
    assert (table.status_code, replayed.status_code) == (200, 200)
    assert not {"NaN", "Infinity"} & {*lines.text.split('"')}


@EVERY_VALUE
async def test_a_task_is_completed_with_the_number(api: Api, value: str, same: str) -> None:
    await api.register(a_task(wait_id="t", form=None))
    client = await api.caller(Scope.READ, Scope.OPERATE)
    body = f'{{"answer": {{"amount": {value}}}}}'

    done = await client.post("/v1/tasks/t/complete", content=body, headers=JSON)

    if value.startswith('"'):
        assert read(done, 422)["errors"][0]["field"] == "answer"
        return
    event_id = read(done)["event_id"]
    story = read(await client.get(f"/v1/events/{event_id}"))
    assert story["event"]["payload"]["answer"]["amount"] == read_bytes(same.encode())


@EVERY_VALUE
async def test_a_trigger_hands_the_number_on_as_it_was_written(
    api: Api, value: str, same: str, database_url: str
) -> None:
    client = await api.caller(Scope.OPERATE, Scope.PUBLISH)
    definition = {"event": "A", "workflow": "W", "task_queue": "q", "input": {"a": {"path": "a"}}}
    await client.put("/v1/triggers/t", json=definition)

    taken = await client.post("/v1/events", content=posted(f'{{"a": {value}}}'), headers=JSON)

    assert taken.status_code == 200
    [argument] = one_row(database_url, "SELECT input FROM workflow_event_launches")
    assert read_stored(str(argument)) == {"a": read_bytes(same.encode())}


async def test_a_triggers_condition_is_compared_exactly(api: Api) -> None:
    client = await api.caller(Scope.READ, Scope.OPERATE, Scope.PUBLISH)
    body = (
        '{"event": "A", "workflow": "W", "task_queue": "q", "where": {"a": 9007199254740993},'
        ' "input": {"fixed": {"value": 0.10000000000000000001}}}'
    )
    await client.put("/v1/triggers/t", content=body, headers=JSON)

    for event_id, number in (("e", "9007199254740993.0"), ("f", "9007199254740992")):
        content = posted(f'{{"a": {number}}}', event_id)
        await client.post("/v1/events", content=content, headers=JSON)

    shown = read(await client.get("/v1/triggers/t"))
    stories = [read(await client.get(f"/v1/events/{event_id}")) for event_id in ("e", "f")]
    assert shown["input"]["fixed"]["value"] == Decimal("0.10000000000000000001")
    launched = [[launch["status"] for launch in story["launches"]] for story in stories]
    assert launched == [["pending"], ["skipped"]]


@pytest.mark.parametrize("value", ["1e99999999999999999999", "1e-1001", "9" * 1001, "[1e1001]"])
async def test_a_number_too_long_for_a_definition_is_refused_by_name(api: Api, value: str) -> None:
    client = await api.caller(Scope.OPERATE)
    body = (
        '{"event": "A", "workflow": "W", "task_queue": "q",'
        f' "input": {{"fixed": {{"value": {value}}}}}}}'
    )

    put = await client.put("/v1/triggers/t", content=body, headers=JSON)

    assert "more than 1000 digits" in read(put, 422)["detail"]


@pytest.mark.parametrize("body", [b'{"answer": {"a": NaN}}', b"[" * 100_000, b'{"answer": \xff}'])
async def test_a_body_that_is_no_json_is_answered_and_says_so(api: Api, body: bytes) -> None:
    await api.register(a_task(wait_id="t", form=None))
    client = await api.caller(Scope.READ, Scope.OPERATE)

    answered = await client.post("/v1/tasks/t/complete", content=body, headers=JSON)

    assert read(answered, 422)["errors"][0]["field"] == "body"
