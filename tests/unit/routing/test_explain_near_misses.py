"""Which keys resemble one another, and that the places told are the places read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlation.key import canonical_key
from correlation.places import places_of, scalars_of
from correlation.reason import Reason
from correlation.resemblance import Resemblance, closest, likeness, spellings
from correlation.resolution import Resolved, resolve
from correlation.rules import compile_rules
from routing.explain_advice import ADVICE
from tests.builders import a_key, an_event


@pytest.mark.parametrize(
    ("one", "other", "resemblance"),
    [
        ("INV-7", "inv-7", Resemblance.CASE),
        ("0042", "42", Resemblance.ZERO_PADDING),
        ("INV-007", "inv-7", Resemblance.ZERO_PADDING),
        ("42.0", "42", Resemblance.NUMBER_FORMAT),
        ("1e3", "1000", Resemblance.NUMBER_FORMAT),
        ("4,5", "4.5", Resemblance.NUMBER_FORMAT),
        ("\uff29\uff2e\uff36-7", "INV-7", Resemblance.UNICODE_FORM),
        ("INV 7", "INV-7", Resemblance.PUNCTUATION),
        ("INV-7O", "INV-70", Resemblance.LOOK_ALIKE),
        ("INV-70-B", "INV-70", Resemblance.AFFIX),
        ("XINV-70", "INV-70", Resemblance.AFFIX),
        ("INV-700", "INV-70", Resemblance.AFFIX),
    ],
)
def test_keys_resemble_one_another_both_ways(
    one: str, other: str, resemblance: Resemblance
) -> None:
    there, back = likeness(one, other), likeness(other, one)

    assert there == back
    assert there is not None
    assert there.resemblance is resemblance


@pytest.mark.parametrize(
    ("one", "other"),
    [("INV-7", "INV-7"), ("INV-7001", "INV-7002"), ("INV-70", "INV-7001"), ("7", "78"), ("a", "b")],
)
def test_other_keys_do_not(one: str, other: str) -> None:
    assert likeness(one, other) is None


def test_a_key_that_is_merely_longer_is_left_out_where_another_is_more_alike() -> None:
    found = closest("inv-70", ["INV-70", "INV-701", "INV-9"], 10)

    assert list(found) == [("INV-70", Resemblance.CASE)]


@given(st.text(max_size=40))
def test_spellings_are_other_keys_in_canonical_form(text: str) -> None:
    found = spellings(text)

    assert all(a_key(spelling) == spelling != text for spelling in found)
    assert len(found) <= 12


@given(st.text(max_size=20), st.text(max_size=20))
def test_likeness_never_fails_and_is_symmetric(one: str, other: str) -> None:
    assert likeness(one, other) == likeness(other, one)


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=10)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "workflowCorrelationKey": VALUES,
            "correlationKey": VALUES,
            "id": VALUES,
            "lines": st.lists(st.fixed_dictionaries({"id": VALUES}), max_size=3),
        },
    ),
    st.none() | st.text(max_size=10),
)
def test_the_places_told_hold_the_keys_that_are_resolved(
    payload: dict[str, Any], key: str | None
) -> None:
    rules = compile_rules({"INVOICE_PAID": ["id", "$.lines[*].id"], "*": "correlationKey"})
    event = an_event(key=key, payload=payload)

    places = places_of(event, rules)

    resolution = resolve(event, rules)
    told = list(dict.fromkeys(found for place in places for found in place.keys))
    assert told == (list(resolution.keys) if isinstance(resolution, Resolved) else [])


@given(VALUES)
def test_every_scalar_of_a_payload_is_told_as_a_key_in_canonical_form(value: Any) -> None:
    found = list(scalars_of({"value": value}))

    assert all(canonical_key(scalar.key) == canonical_key(str(scalar.key)) for scalar in found)
    assert json.dumps([scalar.path for scalar in found])


def test_there_is_advice_for_every_reason() -> None:
    assert set(ADVICE) == set(Reason)
    assert all(sentence.endswith(".") for sentence in ADVICE.values())
