"""What every matcher promises: the one on Postgres, and the twin that users test with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from pointsman.contract import Disposition
from tests.contract.matching_sides import Asked, Said, Side, an_hour_ago

HOUR: Final = timedelta(hours=1)
ACCEPTED, FILTERED, LATE = Disposition.ACCEPTED, Disposition.FILTERED, Disposition.LATE
TIMED_OUT, CANCELLED = Disposition.TIMED_OUT, Disposition.CANCELLED


async def test_an_event_meets_the_wait_of_its_key(side: Side) -> None:
    registered = await side.register(Asked(wait_id="w"))

    ended = await side.publish("paid", key="7")

    assert registered == [("waiting", 0, False)]
    assert ended == ("matched", None, False)
    assert side.handed("w") == ["paid"]


@pytest.mark.parametrize(
    "wait",
    [
        Asked(wait_id="w", key="70"),
        Asked(wait_id="w", name="INVOICE_SENT"),
        Asked(wait_id="w", tenant="globex"),
    ],
    ids=["another key", "another name", "another tenant"],
)
async def test_an_event_passes_by_a_wait_for(side: Side, wait: Asked) -> None:
    await side.register(wait)

    ended = await side.publish("paid", key="7")

    assert ended == ("no_wait", "no_open_wait", False)
    assert side.handed("w", wait.tenant) == []


@pytest.mark.parametrize("key", [42, "42", " 42 "])
async def test_a_number_equals_its_text(side: Side, key: object) -> None:
    await side.register(Asked(wait_id="w", key=42.0))

    await side.publish("paid", key=key)

    assert side.handed("w") == ["paid"]


async def test_every_wait_of_the_key_gets_the_event(side: Side) -> None:
    await side.register(Asked(wait_id="one"), Asked(wait_id="two", workflow="ticket"))

    await side.publish("paid", key="7")

    assert (side.handed("one"), side.handed("two")) == (["paid"], ["paid"])


async def test_an_event_with_several_keys_meets_the_waits_of_each(side: Side) -> None:
    await side.register(*(Asked(wait_id=key, key=key) for key in ("1", "2", "3")))

    ended = await side.publish("paid", payload={"invoice": {"id": 1}, "lines": [{"id": "2"}]})

    assert ended == ("matched", None, False)
    assert [side.handed(key) for key in ("1", "2", "3")] == [["paid"], ["paid"], []]


async def test_the_key_that_the_publisher_names_excludes_those_of_the_rules(side: Side) -> None:
    await side.register(Asked(wait_id="named", key="7"), Asked(wait_id="derived", key="8"))

    await side.publish("paid", key="7", payload={"invoice": {"id": "8"}})

    assert (side.handed("named"), side.handed("derived")) == (["paid"], [])


@pytest.mark.parametrize(
    ("name", "payload", "reason"),
    [
        ("INVOICE_PAID", {}, "no_value"),
        ("INVOICE_PAID", {"invoice": {"id": {"no": 7}}}, "not_scalar"),
        ("INVOICE_PAID", {"invoice": {"id": "7" * 600}}, "key_too_long"),
        ("INVOICE_PAID", {"correlationKey": "7\u0007"}, "control_characters"),
        ("INVOICE_PAID", {"invoice": {"id": 10**70}}, "number_unusable"),
        ("INVOICE_PAID", {"lines": [{"id": n} for n in range(70)]}, "too_many_keys"),
    ],
)
async def test_an_event_without_a_usable_key_wakes_nobody_and_says_why(
    side: Side, name: str, payload: dict[str, Any], reason: str
) -> None:
    await side.register(Asked(wait_id="w"))

    ended = await side.publish("paid", name=name, payload=payload)

    assert ended == ("unresolved", reason, False)
    assert side.handed("w") == []


async def test_the_events_id_is_never_its_key(side: Side) -> None:
    await side.register(Asked(wait_id="w", key="paid"))

    ended = await side.publish("paid")

    assert ended == ("unresolved", "no_value", False)


@pytest.mark.parametrize("payload", [{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1.0, "b": 2}])
async def test_an_event_published_twice_wakes_nobody_twice(
    side: Side, payload: dict[str, Any]
) -> None:
    await side.register(Asked(wait_id="w", stream=True))
    await side.publish("paid", key="7", payload={"a": 1, "b": 2})

    again = await side.publish("paid", key="7", payload=payload)

    assert again == ("matched", None, True)
    assert side.handed("w") == ["paid"]


async def test_a_wait_registered_between_two_publications_is_not_woken_by_the_second(
    side: Side,
) -> None:
    await side.publish("paid", key="7")
    await side.register(Asked(wait_id="w"))

    again = await side.publish("paid", key="7")

    assert again == ("no_wait", "no_open_wait", True)
    assert side.handed("w") == []


@pytest.mark.parametrize("other", [{"key": "8"}, {"key": "7", "payload": {"a": 1}}])
async def test_other_content_under_the_same_id_is_refused_and_the_first_stands(
    side: Side, other: dict[str, Any]
) -> None:
    await side.register(Asked(wait_id="w", stream=True), Asked(wait_id="other", key="8"))
    await side.publish("paid", key="7")

    ended = await side.publish("paid", **other)

    assert ended == ("rejected", "conflicting_duplicate", False)
    assert side.end_of("paid") == ("matched", None)
    assert (side.handed("w"), side.handed("other")) == (["paid"], [])


async def test_two_tenants_may_use_the_same_ids(side: Side) -> None:
    await side.register(Asked(wait_id="w"), Asked(wait_id="w", tenant="globex"))

    ends = [await side.publish("paid", key="7", tenant=each) for each in ("acme", "globex")]

    assert ends == [("matched", None, False)] * 2
    assert (side.handed("w"), side.handed("w", "globex")) == (["paid"], ["paid"])


async def test_a_look_back_takes_what_came_within_its_span_oldest_first(side: Side) -> None:
    for event_id in ("too old", "older", "younger"):
        await side.publish(event_id, key="7")
    side.age("too old", 2 * HOUR)

    registered = await side.register(Asked(wait_id="w", lookback=HOUR), Asked(wait_id="blind"))

    assert registered == [("waiting", 2, False), ("waiting", 0, False)]
    assert (side.handed("w"), side.handed("blind")) == (["older", "younger"], [])
    assert side.end_of("older") == ("matched", None)
    assert side.end_of("too old") == ("no_wait", "no_open_wait")


async def test_a_look_back_finds_an_event_under_each_of_its_keys(side: Side) -> None:
    await side.publish("paid", payload={"invoice": {"id": "1"}, "lines": [{"id": "2"}]})

    await side.register(*(Asked(wait_id=key, key=key, lookback=HOUR) for key in ("1", "2")))

    assert (side.handed("1"), side.handed("2")) == (["paid"], ["paid"])


async def test_a_look_back_never_hands_a_run_what_it_has_accepted(side: Side) -> None:
    await side.register(Asked(wait_id="first", run="run-1"))
    await side.publish("paid", key="7")
    await side.close(Said("first", ACCEPTED, "paid"))

    await side.register(
        Asked(wait_id="same run", run="run-1", lookback=HOUR),
        Asked(wait_id="run unknown", lookback=HOUR),
        Asked(wait_id="next run", run="run-2", lookback=HOUR),
        Asked(wait_id="another workflow", workflow="ticket", lookback=HOUR),
    )

    assert (side.handed("same run"), side.handed("run unknown")) == ([], [])
    assert (side.handed("next run"), side.handed("another workflow")) == (["paid"], ["paid"])


async def test_an_event_goes_to_the_oldest_exclusive_wait_and_to_all_others(side: Side) -> None:
    await side.register(Asked(wait_id="first", exclusive=True))
    await side.register(Asked(wait_id="second", exclusive=True), Asked(wait_id="beside"))

    await side.publish("paid", key="7")

    handed = [side.handed(wait_id) for wait_id in ("first", "second", "beside")]
    assert handed == [["paid"], [], ["paid"]]


async def test_no_look_back_takes_what_an_exclusive_wait_holds(side: Side) -> None:
    await side.register(Asked(wait_id="holder", exclusive=True))
    await side.publish("paid", key="7")

    await side.register(Asked(wait_id="w", workflow="ticket", lookback=HOUR))

    assert side.handed("w") == []


async def test_of_exclusive_waits_registered_together_the_first_looks_back(side: Side) -> None:
    await side.publish("paid", key="7")

    await side.register(
        Asked(wait_id="first", exclusive=True, lookback=HOUR),
        Asked(wait_id="second", exclusive=True, lookback=HOUR),
        Asked(wait_id="beside", lookback=HOUR),
    )

    handed = [side.handed(wait_id) for wait_id in ("first", "second", "beside")]
    assert handed == [["paid"], [], ["paid"]]


@pytest.mark.parametrize(
    "said",
    [
        Said("first", FILTERED, "paid"),
        Said("first", LATE, "paid"),
        Said("first", TIMED_OUT),
        Said("first", CANCELLED),
    ],
    ids=["filtered", "late", "timed out", "cancelled"],
)
async def test_what_an_exclusive_wait_does_not_take_goes_to_the_next_in_line(
    side: Side, said: Said
) -> None:
    for wait_id in ("first", "second", "third"):
        await side.register(Asked(wait_id=wait_id, exclusive=True))
    await side.publish("paid", key="7")

    await side.close(said)

    assert (side.handed("second"), side.handed("third")) == (["paid"], [])


async def test_what_is_given_back_passes_by_a_wait_that_began_after_it(side: Side) -> None:
    await side.register(Asked(wait_id="first", exclusive=True))
    await side.publish("paid", key="7")
    await side.register(Asked(wait_id="blind", exclusive=True))
    await side.register(Asked(wait_id="looking back", exclusive=True, lookback=HOUR))

    await side.close(Said("first", FILTERED, "paid"))

    assert (side.handed("blind"), side.handed("looking back")) == ([], ["paid"])


async def test_a_filter_leaves_the_wait_open_for_the_next_event(side: Side) -> None:
    await side.register(Asked(wait_id="w"))
    await side.publish("small", key="7")

    statuses = await side.close(Said("w", FILTERED, "small"))

    await side.publish("large", key="7")
    assert statuses == ["waiting"]
    assert side.handed("w") == ["small", "large"]
    assert side.disposition("small", "w") == "filtered"


async def test_an_accepted_event_closes_its_wait(side: Side) -> None:
    await side.register(Asked(wait_id="w"))
    await side.publish("paid", key="7")

    statuses = await side.close(Said("w", ACCEPTED, "paid"))

    ended = await side.publish("again", key="7")
    assert statuses == ["closed"]
    assert side.end_of_wait("w") == ("closed", "accepted", None)
    assert ended == ("no_wait", "no_open_wait", False)


async def test_an_accepted_event_leaves_a_stream_open_until_the_stream_is_closed(
    side: Side,
) -> None:
    await side.register(Asked(wait_id="w", stream=True))
    await side.publish("one", key="7")

    after_the_event = await side.close(Said("w", ACCEPTED, "one"))
    await side.publish("two", key="7")
    after_the_end = await side.close(Said("w", ACCEPTED))
    await side.publish("three", key="7")

    assert (after_the_event, after_the_end) == (["waiting"], ["closed"])
    assert [side.disposition(each, "w") for each in ("one", "two")] == ["accepted", None]
    assert side.handed("w") == ["one"], "the second was never signalled: it is withdrawn"


async def test_the_first_word_on_an_event_stands(side: Side) -> None:
    await side.register(Asked(wait_id="w"))
    await side.publish("paid", key="7")

    await side.close(Said("w", FILTERED, "paid"), Said("w", LATE, "paid"))
    await side.close(Said("w", ACCEPTED, "paid"))

    assert side.disposition("paid", "w") == "filtered"


async def test_closing_twice_is_harmless_and_an_unknown_wait_is_named_so(side: Side) -> None:
    await side.register(Asked(wait_id="w"))

    statuses = [await side.close(Said("w", each)) for each in (TIMED_OUT, CANCELLED)]
    unknown = await side.close(Said("nobody's", CANCELLED))

    assert (statuses, unknown) == ([["closed"], ["closed"]], ["unknown"])
    assert side.end_of_wait("w") == ("closed", "timed_out", None)


async def test_a_wait_whose_time_is_over_receives_nothing_and_is_swept(side: Side) -> None:
    await side.register(
        Asked(wait_id="over", expires_at=an_hour_ago()),
        Asked(wait_id="open", expires_at=datetime.now(UTC) + HOUR),
    )
    await side.publish("paid", key="7")

    await side.sweep()

    assert (side.handed("over"), side.handed("open")) == ([], ["paid"])
    assert side.end_of_wait("over") == ("closed", None, "wait_expired")
    assert side.end_of_wait("open") == ("waiting", None, None)


async def test_a_wait_whose_time_is_over_does_not_look_back(side: Side) -> None:
    await side.publish("paid", key="7")

    registered = await side.register(Asked(wait_id="over", expires_at=an_hour_ago(), lookback=HOUR))

    assert registered == [("waiting", 0, False)]


async def test_registering_again_changes_nothing(side: Side) -> None:
    await side.publish("paid", key="7")
    await side.register(Asked(wait_id="w", lookback=HOUR))

    again = await side.register(Asked(wait_id="w", lookback=HOUR))
    await side.close(Said("w", ACCEPTED, "paid"))
    after_its_end = await side.register(Asked(wait_id="w", lookback=HOUR))

    assert again == [("waiting", 1, False)]
    assert after_its_end == [("closed", 1, False)]
    assert side.handed("w") == ["paid"]


@pytest.mark.parametrize(
    "other",
    [
        Asked(wait_id="w", key="8"),
        Asked(wait_id="w", name="INVOICE_SENT"),
        Asked(wait_id="w", workflow="ticket"),
        Asked(wait_id="w", stream=True),
        Asked(wait_id="w", exclusive=True),
    ],
    ids=["key", "name", "workflow", "kind", "cardinality"],
)
async def test_another_wait_under_the_same_id_is_a_conflict(side: Side, other: Asked) -> None:
    await side.register(Asked(wait_id="w"))

    registered = await side.register(other)

    await side.publish("paid", key="7")
    assert registered == [("waiting", 0, True)]
    assert side.handed("w") == ["paid"]
