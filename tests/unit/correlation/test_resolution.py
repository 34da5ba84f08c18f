from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlation.event import JsonScalar
from correlation.reason import Reason
from correlation.resolution import KeySource, Resolution, Resolved, Unresolved, resolve
from correlation.rules import compile_rules
from tests.unit.correlation.builders import (
    event,
    every_case,
    json_objects,
    json_values,
    resolved,
    scalars,
)

OVERLONG = "x" * 513


def keys_of(resolution: Resolution) -> tuple[str, ...]:
    assert isinstance(resolution, Resolved), resolution
    assert resolution.key == resolution.keys[0]
    return resolution.keys


def reason_of(resolution: Resolution) -> Reason:
    assert isinstance(resolution, Unresolved), resolution
    assert resolution.detail
    return resolution.reason


def test_an_explicit_key_wins_over_derived_ones() -> None:
    payload = {"correlationKey": "EXPLICIT", "invoice": {"id": "DERIVED"}}

    resolution = resolved(payload, {"INVOICE_PAID": ["invoice.id"]})

    assert keys_of(resolution) == ("EXPLICIT",)
    assert isinstance(resolution, Resolved)
    assert resolution.source is KeySource.EXPLICIT


@pytest.mark.parametrize(
    ("envelope", "payload", "key", "place"),
    [
        ("1st", {"workflowCorrelationKey": "2nd", "correlationKey": "3rd"}, "1st", "event"),
        (None, {"workflowCorrelationKey": "2nd", "correlationKey": "3rd"}, "2nd", "payload"),
        (None, {"correlationKey": "3rd"}, "3rd", "payload.correlationKey"),
    ],
)
def test_the_three_explicit_places_have_an_order(
    envelope: str | None, payload: dict[str, str], key: str, place: str
) -> None:
    resolution = resolved(payload, key=envelope)

    assert keys_of(resolution) == (key,)
    assert isinstance(resolution, Resolved)
    assert resolution.detail.startswith(place)


@pytest.mark.parametrize(
    ("payload", "key", "detail"),
    [
        ({}, "K", "event.workflow_correlation_key"),
        ({"workflowCorrelationKey": "K"}, None, "payload.workflowCorrelationKey"),
        ({"correlationKey": "K"}, None, "payload.correlationKey"),
        ({"invoice": {"id": "K"}}, None, "INVOICE_PAID: invoice.id"),
        ({"lines": [{"id": "K"}]}, None, "INVOICE_PAID: $.lines[*].id"),
        ({"ticketId": "K"}, None, "*: ticketId"),
    ],
)
def test_the_detail_says_where_the_primary_key_was_found(
    payload: dict[str, Any], key: str | None, detail: str
) -> None:
    rules = {"INVOICE_PAID": ["invoice.id", "$.lines[*].id"], "*": "ticketId"}

    resolution = resolved(payload, rules, key=key)

    assert isinstance(resolution, Resolved)
    assert (resolution.key, resolution.detail) == ("K", detail)


@pytest.mark.parametrize("blank", [None, "", "  ", "\u00a0\ufeff", {}, [], {"id": "X"}, ["X"]])
def test_a_blank_or_non_scalar_explicit_key_falls_through(blank: Any) -> None:
    payload = {"workflowCorrelationKey": blank, "correlationKey": blank, "id": "DERIVED"}

    assert keys_of(resolved(payload, {"INVOICE_PAID": "id"}, key=blank)) == ("DERIVED",)
    assert keys_of(resolved({"correlationKey": "NEXT"}, key=blank)) == ("NEXT",)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (OVERLONG, Reason.KEY_TOO_LONG),
        ("a\x00b", Reason.CONTROL_CHARACTERS),
        (10**64, Reason.NUMBER_UNUSABLE),
    ],
)
@pytest.mark.parametrize("place", ["envelope", "workflowCorrelationKey", "correlationKey"])
def test_an_unusable_explicit_key_is_never_replaced_by_another(
    place: str, value: JsonScalar, reason: Reason
) -> None:
    payload: dict[str, Any] = {"id": "DERIVED"}
    if place != "envelope":
        payload[place] = value

    resolution = resolved(
        payload, {"INVOICE_PAID": "id"}, key=value if place == "envelope" else None
    )

    assert reason_of(resolution) is reason


def test_a_good_explicit_key_hides_an_unusable_one_after_it() -> None:
    assert keys_of(resolved({"correlationKey": OVERLONG}, key="GOOD")) == ("GOOD",)


def test_the_event_id_is_never_a_key() -> None:
    unlucky = event({}, event_id="evt-1")

    resolution = resolve(unlucky, compile_rules({"*": ["event_id", "eventId", "id"]}))

    assert reason_of(resolution) is Reason.NO_VALUE


def test_a_key_is_derived_from_a_configured_path() -> None:
    resolution = resolved({"invoice": {"id": 42}}, {"INVOICE_PAID": ["invoice.id"]})

    assert keys_of(resolution) == ("42",)
    assert isinstance(resolution, Resolved)
    assert resolution.source is KeySource.DERIVED


def test_paths_of_another_name_are_not_read() -> None:
    resolution = resolved({"id": "X"}, {"foo": "id"}, name="foobar")

    assert reason_of(resolution) is Reason.NO_RULE


def test_wildcard_paths_are_read_after_the_events_own() -> None:
    rules = {"*": ["ticketId"], "INVOICE_PAID": ["invoice.id"]}
    payload = {"ticketId": "T-1", "invoice": {"id": "INV-1"}}

    assert keys_of(resolved(payload, rules)) == ("INV-1", "T-1")
    assert keys_of(resolved(payload, rules, name="OTHER")) == ("T-1",)


def test_a_key_found_twice_counts_as_found_where_it_was_read_first() -> None:
    resolution = resolved({"a": 7, "b": "7"}, {"INVOICE_PAID": ["a", "b"]})

    assert isinstance(resolution, Resolved)
    assert (resolution.keys, resolution.detail) == (("7",), "INVOICE_PAID: a")


def test_every_path_is_read_and_no_key_is_given_twice() -> None:
    rules = {"INVOICE_PAID": ["missing", "$.lines[*].invoiceId", "main", "clientId"]}
    payload = {
        "lines": [{"invoiceId": 7}, {"invoiceId": "8"}, {"invoiceId": 7.0}, {}],
        "main": " 8 ",
        "clientId": "C-1",
    }

    assert keys_of(resolved(payload, rules)) == ("7", "8", "C-1")


def test_good_derived_keys_win_and_refused_ones_are_noted() -> None:
    rules = {"INVOICE_PAID": ["a", "b", "c"]}

    resolution = resolved({"a": OVERLONG, "b": {"x": 1}, "c": "GOOD"}, rules)

    assert keys_of(resolution) == ("GOOD",)
    assert isinstance(resolution, Resolved)
    assert [note.rpartition(": ")[0] for note in resolution.notes] == [
        "INVOICE_PAID: a",
        "INVOICE_PAID: b",
    ]


def test_a_non_scalar_explicit_key_is_noted() -> None:
    resolution = resolved({"correlationKey": ["X"], "id": "GOOD"}, {"INVOICE_PAID": "id"})

    assert isinstance(resolution, Resolved)
    assert resolution.notes == ("payload.correlationKey: an array, which is no key",)


@pytest.mark.parametrize(
    ("payload", "rules", "reason"),
    [
        ({}, {}, Reason.NO_RULE),
        ({"id": "X"}, {"OTHER": "id"}, Reason.NO_RULE),
        ({"correlationKey": {}}, {}, Reason.NOT_SCALAR),
        ({}, {"INVOICE_PAID": "id"}, Reason.NO_VALUE),
        ({"id": None}, {"INVOICE_PAID": "id"}, Reason.NO_VALUE),
        ({"id": " "}, {"INVOICE_PAID": "id"}, Reason.NO_VALUE),
        ({"lines": []}, {"INVOICE_PAID": "$.lines[*].id"}, Reason.NO_VALUE),
        ({"lines": [{"id": "X"}]}, {"INVOICE_PAID": "lines.id"}, Reason.NO_VALUE),
        ({"id": {}}, {"INVOICE_PAID": "id"}, Reason.NOT_SCALAR),
        ({"a": None, "b": OVERLONG, "c": {}}, {"*": ["a", "b", "c"]}, Reason.KEY_TOO_LONG),
        ({"id": "a\nb"}, {"INVOICE_PAID": "id"}, Reason.CONTROL_CHARACTERS),
        ({"id": 10**64}, {"INVOICE_PAID": "id"}, Reason.NUMBER_UNUSABLE),
    ],
)
def test_an_event_without_a_key_is_unresolved_with_its_reason(
    payload: dict[str, Any], rules: dict[str, object], reason: Reason
) -> None:
    assert reason_of(resolved(payload, rules)) is reason


def test_the_detail_tells_which_paths_were_read_and_what_was_there() -> None:
    rules = {"INVOICE_PAID": ["a", "b", "c"], "*": "d"}

    resolution = resolved({"a": None, "b": " ", "d": ["secret"]}, rules)

    assert isinstance(resolution, Unresolved)
    assert resolution.detail == (
        "no usable explicit key; INVOICE_PAID: a: null; INVOICE_PAID: b: blank;"
        " INVOICE_PAID: c: nothing there; *: d: an array, which is no key"
    )


def test_64_keys_are_taken_and_one_more_makes_the_event_unresolved() -> None:
    rules = {"INVOICE_PAID": "$.ids[*]"}

    assert len(keys_of(resolved({"ids": list(range(64))}, rules))) == 64
    assert len(keys_of(resolved({"ids": [*range(64), *range(64)]}, rules))) == 64
    assert reason_of(resolved({"ids": list(range(65))}, rules)) is Reason.TOO_MANY_KEYS


def test_keys_of_several_paths_count_together() -> None:
    rules = {"INVOICE_PAID": "$.ids[*]", "*": "one"}

    assert reason_of(resolved({"ids": list(range(64)), "one": "X"}, rules)) is Reason.TOO_MANY_KEYS


def test_places_visited_by_all_paths_count_together() -> None:
    rules = {"INVOICE_PAID": ["$.a[*].id", "$.b[*].id"]}
    half: list[object] = [{}] * 4990

    assert reason_of(resolved({"a": half, "b": half}, rules)) is Reason.NO_VALUE
    assert reason_of(resolved({"a": half, "b": [{}] * 5010}, rules)) is Reason.TOO_MANY_KEYS


def test_a_detail_stays_short_however_much_was_refused() -> None:
    rules = {"INVOICE_PAID": [f"$.{'long' * 50}{number}[*]" for number in range(64)]}
    payload: dict[str, object] = {f"{'long' * 50}{number}": [{}] * 100 for number in range(64)}

    unresolved = resolved(payload, rules)
    good = resolved({**payload, "id": "X"}, {**rules, "*": "id"})

    assert isinstance(unresolved, Unresolved)
    assert len(unresolved.detail) <= 2000
    assert isinstance(good, Resolved)
    assert len(good.notes) == 11
    assert good.notes[-1] == "and 6390 more"


some_rules = st.fixed_dictionaries(
    {
        "INVOICE_PAID": st.lists(
            st.sampled_from(
                ["a", "a.b", "id", "$[*]", "$.a[*]", "$.*.*", "$['0'][0]", "$.b[1].id"]
            ),
            max_size=4,
        ),
        "*": st.sampled_from(["id", "$[*][*][*]", []]),
    }
)


@given(json_objects, some_rules, scalars | json_values)
@every_case
def test_any_json_is_resolved_or_given_a_reason(
    payload: dict[str, Any], rules: dict[str, object], key: Any
) -> None:
    resolution = resolved(payload, rules, key=key)

    if isinstance(resolution, Resolved):
        assert resolution.key == resolution.keys[0]
        assert len(set(resolution.keys)) == len(resolution.keys) <= 64
    else:
        assert resolution.reason in Reason
        assert resolution.detail
