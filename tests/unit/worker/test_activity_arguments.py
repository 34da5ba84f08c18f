"""Arguments of the activities: taken, or refused for good with the field named."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from correlation.closing import Closing
from routing.payload_codec import CLEAR, REFUSED
from routing.waits import Registration, Wait
from tests.codecs import a_json_payload
from worker.activities import EARLIEST, LATEST, WaitActivities
from worker.activity_arguments import RawArguments

SOUND: dict[str, Any] = {
    "tenant": "acme",
    "wait_id": "w-1",
    "event_name": "INVOICE_PAID",
    "correlation_key": "I-1",
    "workflow_id": "order-1",
}
CLOSING: dict[str, Any] = {"tenant": "acme", "wait_id": "w-1", "disposition": "cancelled"}


class Book:
    """Takes whatever it is given."""

    def __init__(self) -> None:
        self.waits: list[Wait] = []

    async def register(self, waits: Sequence[Wait]) -> Sequence[Registration]:
        self.waits += waits
        return [Registration(wait.wait_id, "waiting", 0) for wait in waits]

    async def close(self, closings: Sequence[Closing]) -> Sequence[str]:
        return ["closed" for _ in closings]


async def registered(payload: Payload) -> Wait:
    book = Book()
    await WaitActivities(book, lambda: None).register_wait(RawValue(payload))
    [wait] = book.waits
    return wait


async def refusal(payload: Payload) -> str:
    with pytest.raises(ApplicationError) as refused:
        await registered(payload)
    assert refused.value.type == "InvalidWait"
    assert refused.value.non_retryable
    return refused.value.message


def text_payload(text: str | bytes, encoding: str = "json/plain") -> Payload:
    data = text.encode() if isinstance(text, str) else text
    return Payload(metadata={"encoding": encoding.encode()}, data=data)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tenant", ""),
        ("tenant", 7),
        ("tenant", "\ud800"),
        ("wait_id", "w" * 513),
        ("event_name", "A\u0000B"),
        ("correlation_key", None),
        ("correlation_key", " "),
        ("correlation_key", {"id": 7}),
        ("correlation_key", "k" * 513),
        ("correlation_key", 10**64),
        ("workflow_id", "f" * 1001),
        ("run_id", 7),
        ("run_id", "\u0000"),
        ("run_id", "\ud800"),
        ("filter", "x" * 2001),
        ("filter", "a\u0000b"),
        ("signal_name", ""),
        ("kind", "other"),
        ("cardinality", "some"),
        ("lookback_seconds", -1),
        ("lookback_seconds", "soon"),
        ("lookback_seconds", timedelta.max.total_seconds()),
        ("lookback_seconds", 10**400),
        ("expires_at", "tomorrow"),
        ("expires_at", "2026-11-30T12:00:00"),
        ("expires_at", 1e300),
        ("expires_at", 10**400),
        ("task", {"title": "Approve"}),
        ("namespace_", "other"),
        ("expires", "2026-11-30T12:00:00Z"),
    ],
)
async def test_a_field_that_cannot_be_taken_is_named(field: str, value: Any) -> None:
    said = await refusal(a_json_payload({**SOUND, field: value}))

    assert field in said or "a wait of kind human" in said


@pytest.mark.parametrize(
    "text",
    [
        '{"lookback_seconds": NaN}',
        '{"lookback_seconds": 1e999999999999999999999}',
        '{"correlation_key": -Infinity}',
        '{"correlation_key": 1e400}',
        '{"a": ' + "9" * 5000 + "}",
        "[" * 100_000,
        "",
        "null",
        "[]",
        '"text"',
        "{",
        b"\xff\xfe",
    ],
    ids=lambda text: repr(text[:30]),
)
async def test_what_is_no_usable_json_is_refused_at_once(text: str | bytes) -> None:
    assert await refusal(text_payload(text))


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_moment_at_the_end_of_the_calendar_is_the_last_that_can_be_kept(
    moment: str,
) -> None:
    wait = await registered(a_json_payload({**SOUND, "expires_at": moment}))

    assert wait.expires_at in {EARLIEST, LATEST}


async def test_an_argument_that_nobody_could_decode_says_its_encoding_and_the_page() -> None:
    said = await refusal(text_payload(b"\x00\x01", "binary/encrypted"))

    assert "'binary/encrypted'" in said
    assert "docs/encryption.md" in said


async def test_what_stands_against_decoding_is_passed_on() -> None:
    payload = text_payload(b"\x00", "binary/encrypted")
    payload.metadata[REFUSED] = b"a key is missing"

    assert await refusal(payload) == "the argument of the activity: a key is missing"


async def test_a_wait_in_clear_is_refused_where_there_is_a_codec_and_a_closing_is_not() -> None:
    wait, closing = a_json_payload(SOUND), a_json_payload(CLOSING)
    for payload in (wait, closing):
        payload.metadata[CLEAR] = b"true"

    assert "without the codec" in await refusal(wait)
    answer = await WaitActivities(Book(), lambda: None).close_wait(RawValue(closing))
    assert answer["status"] == "closed"


def test_arguments_of_another_number_stay_as_they_came() -> None:
    payloads = [text_payload(b"\x00", "binary/encrypted"), a_json_payload(1)]

    [first, second] = RawArguments().from_payloads(payloads)

    assert (first.payload, second.payload) == tuple(payloads)


EXTREMES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(10**80), max_value=10**80),
    st.sampled_from([0, -1, 2**63, 10**400, -(10**400), 5e-324, 1.8e308]),
    st.floats(allow_nan=True),
    st.text(max_size=6),
    st.sampled_from(["\0", "\ud800", "x" * 2001, "1e400", "NaN", "PT1S", "all", "stream", "human"]),
    st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    st.sampled_from(
        [
            "0001-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59.999999-23:59",
            "99999-01-01T00:00:00Z",
            "-0001-01-01T00:00:00Z",
        ]
    ),
    st.lists(st.none(), max_size=2),
    st.dictionaries(st.sampled_from(["title", "form", "assignees", "due_at"]), st.text(max_size=3)),
)
FIELDS = (
    *SOUND,
    "run_id",
    "signal_name",
    "kind",
    "filter",
    "lookback_seconds",
    "expires_at",
    "cardinality",
    "task",
    "unknown",
)


@given(st.dictionaries(st.sampled_from(FIELDS), EXTREMES, max_size=3))
async def test_every_argument_is_taken_or_refused_for_good(changes: dict[str, Any]) -> None:
    payload = text_payload(json.dumps({**SOUND, **changes}))
    book = Book()

    end = await asyncio.gather(
        WaitActivities(book, lambda: None).register_wait(RawValue(payload)), return_exceptions=True
    )

    if isinstance(error := end[0], BaseException):
        assert isinstance(error, ApplicationError)
        assert (error.type, error.non_retryable) == ("InvalidWait", True)
    for wait in book.waits:
        assert timedelta(0) <= wait.lookback
        assert wait.expires_at is None or EARLIEST <= wait.expires_at <= LATEST
