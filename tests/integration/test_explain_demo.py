"""The explanation of every example event that woke nobody is right, near misses included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from correlation.reason import Outcome
from routing.audit import list_events
from routing.audit_pages import EventQuery
from routing.database import Database
from routing.explain import explain_stored
from routing.explain_records import EventExplanation
from routing.matching import Matcher
from routing.waits import Waits
from tests.examples import example_rules, play

Nearly = frozenset[tuple[str, str | None]]
SEVENTY: Final = "order-acme-INV-70"
ANOTHER_TENANTS: Final[Nearly] = frozenset({("other_tenant", None)})

# By tenant and key; what every other event that woke nobody must show is: no near miss at all.
BY_KEY: Final[Mapping[tuple[str, str], tuple[str | None, Nearly]]] = {
    ("acme", "inv-70"): ("case", frozenset({("other_key", SEVENTY)})),
    ("acme", "INV 70"): ("punctuation", frozenset({("other_key", SEVENTY)})),
    ("acme", "INV-7O"): ("look_alike", frozenset({("other_key", SEVENTY)})),
    ("acme", "INV-7"): ("affix", frozenset({("other_key", SEVENTY)})),
    ("acme", "INV-70-B"): ("affix", frozenset({("other_key", SEVENTY)})),
    ("acme", "XINV-70"): ("affix", frozenset({("other_key", SEVENTY)})),
    ("acme", "INV-700"): (
        "affix",
        frozenset(
            ("other_key", workflow)
            for workflow in (SEVENTY, "order-acme-INV-7001", "order-acme-INV-7002")
        ),
    ),
    ("acme", "4713.0"): ("number_format", frozenset({("other_key", "order-acme-4713")})),
    ("acme", "04713"): ("zero_padding", frozenset({("other_key", "order-acme-4713")})),
    ("acme", "INV-70"): (None, frozenset({("other_name", SEVENTY)})),
    ("acme", "INV-7024"): (None, ANOTHER_TENANTS),
    ("globex", "INV-7004"): (None, ANOTHER_TENANTS),
    ("globex", "INV-7018"): (None, ANOTHER_TENANTS),
    ("globex", "P-802"): (None, ANOTHER_TENANTS),
    ("ACME", "INV-7001"): (None, ANOTHER_TENANTS),
}
BY_EVENT: Final[Mapping[str, Nearly]] = {
    "paid-as-event-id": frozenset({("event_id_as_key", "order-acme-paid-as-event-id")}),
    # `{"invoice": ["INV-7001"]}`: the key stands in an array, where the rules do not look.
    "odd-0004": frozenset({("key_elsewhere", "order-acme-INV-7001")}),
}


def near_misses(explanation: EventExplanation) -> Nearly:
    return frozenset(
        (miss.kind.value, miss.wait.workflow_id if miss.wait else None)
        for miss in explanation.near_misses
    )


def expected(explanation: EventExplanation) -> Nearly:
    if explanation.event_id is not None and explanation.event_id in BY_EVENT:
        return BY_EVENT[explanation.event_id]
    if explanation.keys:
        return BY_KEY.get((explanation.tenant, explanation.keys[0]), (None, frozenset()))[1]
    return frozenset()


@pytest.mark.parametrize("then_close", [False, True], ids=["while waiting", "afterwards"])
async def test_every_example_that_woke_nobody_is_explained(
    database: Database, matcher: Matcher, waits: Waits, then_close: bool
) -> None:
    await play(matcher, waits, then_close=then_close)
    async with database.transaction() as connection:
        lines = await list_events(connection, EventQuery(), limit=10_000)
    silent = [line for line in lines if line.outcome is not Outcome.MATCHED]
    if not then_close:  # the everyday ones, which are many and alike, once only
        silent = [line for line in silent if "-day-" not in (line.event_id or "")]

    found = [
        explanation
        for line in silent
        for explanation in await explain_stored(
            database,
            example_rules(),
            line.event_id or line.entry_id,
            tenant=line.tenant,
            across_tenants=True,
        )
        if explanation.outcome != Outcome.MATCHED.value
    ]

    assert len(found) > (150 if then_close else 50)
    wrong = {
        (each.tenant, each.event_id): near_misses(each)
        for each in found
        if near_misses(each) != expected(each)
    }
    assert wrong == {}
    assert all(each.sentences and each.what_to_do for each in found)
    assert {("acme", key) for key in ("inv-70", "4713.0", "INV-70-B")} <= {
        (each.tenant, key) for each in found for key in each.keys
    }


async def test_the_way_in_which_keys_differ_is_named(
    database: Database, matcher: Matcher, waits: Waits
) -> None:
    await play(matcher, waits, then_close=True)
    async with database.transaction() as connection:
        lines = await list_events(connection, EventQuery(), tenant="acme", limit=10_000)
    wanted = {key: how for (tenant, key), (how, _) in BY_KEY.items() if how and tenant == "acme"}

    named = {}
    for line in lines:
        if line.outcome is Outcome.NO_WAIT and line.key in wanted and line.event_id:
            [explanation] = await explain_stored(
                database, example_rules(), line.event_id, tenant="acme"
            )
            named[line.key] = {miss.resemblance for miss in explanation.near_misses}

    assert named == {key: {how} for key, how in wanted.items()}


async def test_another_tenants_wait_is_mentioned_without_telling_whose(
    database: Database, matcher: Matcher, waits: Waits
) -> None:
    await play(matcher, waits, then_close=False)

    [explanation] = await explain_stored(
        database,
        example_rules(),
        "paid-acme-7024",
        tenant="acme",
        behind_wall=True,
        across_tenants=True,
    )

    [miss] = explanation.near_misses
    assert miss.sentence == "A wait of another tenant has, or had, this name and key."
    assert "globex" not in repr(explanation)
