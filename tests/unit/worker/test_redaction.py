from __future__ import annotations

import base64
import json
import sys

import pytest

from correlation.exact_reading import MAX_DEPTH
from correlation.exact_writing import exact_json
from worker.redaction import HIDDEN, SECRET_NAMES, Redaction, redact_urls

CANARY = "canary-7f3a"
REDACTION = Redaction.of(SECRET_NAMES)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://api/x?access_token=canary-7f3a&a=1", "https://api/x?access_token=***&a=1"),
        ("client_secret=canary-7f3a", "client_secret=***"),
        ("X-Api-Key = canary-7f3a", "X-Api-Key = ***"),
        ("pass%77ord=canary-7f3a", "pass%77ord=***"),
        ("host=a password='canary-7f3a b' user=u", "host=a password='***' user=u"),
        ("postgresql://u@h/db?password=a%20canary-7f3a", "postgresql://u@h/db?password=***"),
        ("redis://:canary-7f3a@h:6379/0", "redis://:***@h:6379/0"),
        ("https://canary-7f3a@host/path", "https://***@host/path"),
        ("see http://h/?to=redis://u:canary-7f3a@h2", "see http://h/?to=redis://u:***@h2"),
        ("Authorization: Bearer canary-7f3a.b_c", "Authorization: Bearer ***"),
        ("postgresql://user@host/db", "postgresql://user@host/db"),
        ("page=2&sort=name", "page=2&sort=name"),
    ],
)
def test_a_secret_in_plain_text_is_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert redact_urls(text) == shown


@pytest.mark.parametrize(
    "payload",
    [
        {"headers": [{"name": "Authorization", "value": CANARY}]},
        {"headers": [{"Key": "X-Api-Key", "Value": {"deep": CANARY}}]},
        {"body": json.dumps({"a": {"password": CANARY}})},
        {"body": json.dumps({"a": json.dumps([{"token": CANARY}])})},
        {"body": f'{{"password": "{CANARY}", broken'},
        {"data_base64": base64.b64encode(json.dumps({"secret": CANARY}).encode()).decode()},
        {"url": f"https://h/?client_secret={CANARY}"},
    ],
    ids=["pair", "other-pair", "json-in-text", "twice", "broken-json", "base64", "query"],
)
def test_a_secret_is_hidden_in_every_form_of_a_payload(payload: object) -> None:
    shown = json.dumps(REDACTION.value(payload))

    assert HIDDEN in shown or base64.b64encode(HIDDEN.encode()).decode()[:2] in shown
    assert CANARY not in shown
    assert base64.b64encode(CANARY.encode()).decode()[:8] not in shown


def test_a_secret_of_a_well_formed_cloudevent_in_base64_is_hidden_and_the_rest_stays() -> None:
    data = base64.b64encode(b'{"apiKey": "canary-7f3a", "amount": 1.50}').decode()

    shown = REDACTION.value({"specversion": "1.0", "data_base64": data})

    decoded = base64.b64decode(shown["data_base64"]).decode()
    assert decoded == '{"apiKey": "***", "amount": 1.50}'


def test_an_escaped_name_is_read_before_it_is_judged() -> None:
    broken = '{"pass\\u0077ord": "canary-7f3a", '

    assert CANARY not in REDACTION.text(broken)
    assert CANARY not in json.dumps(REDACTION.payload('{"pass\\u0077ord": "canary-7f3a"}'))


def test_json_that_is_nested_in_text_too_often_is_hidden_whole() -> None:
    text = json.dumps({"token": CANARY})
    for _ in range(6):
        text = json.dumps({"inner": text})

    assert CANARY not in json.dumps(REDACTION.value({"body": text}))


def test_text_that_holds_json_without_a_secret_stays_to_the_letter() -> None:
    payload = {"body": '{ "amount" : 1.50 }', "list": "[1,2]", "data_base64": "e30="}

    assert REDACTION.value(payload) == payload


@pytest.mark.parametrize(
    "text",
    [
        "a-" * 10_000 + "://",
        "a://" * 5_000,
        "a://b:" * 4_000 + "@",
        "token" * 4_000,
        "x=" * 10_000,
        "'=" * 10_000,
        "a='\\" * 5_000,
        "bearer " * 3_000,
        "bearer " + "\t" * 20_000,
        '"a\\' * 7_000,
    ],
)
def test_costly_text_is_read_in_a_number_of_steps_linear_in_its_length(text: str) -> None:
    half, whole = _searches(text[: len(text) // 2]), _searches(text)

    assert whole <= 3 * half + 50


def _searches(text: str) -> int:
    """How many lines of the redaction run for a text: its own work, without the regexes'."""
    count = 0

    def trace(frame: object, event: str, argument: object) -> object:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]  # what it is called with differs by event
    try:
        redact_urls(text)
    finally:
        sys.settrace(before)
    return count


def test_payloads_as_deep_as_the_way_in_takes_are_shown_at_every_level_of_text() -> None:
    deepest = '{"a":' * (MAX_DEPTH - 2) + "%s" + "}" * (MAX_DEPTH - 2)
    text = deepest % "1"
    for _ in range(3):
        text = deepest % exact_json(text)

    shown = REDACTION.payload(text)

    assert HIDDEN in exact_json(shown)


def test_numbers_stay_exact_beside_a_secret() -> None:
    shown = REDACTION.payload('{"token": "x", "a": 1e99999999999999999999, "b": 1.0}')

    assert exact_json(shown) == '{"token": "***", "a": 1e99999999999999999999, "b": 1.0}'
