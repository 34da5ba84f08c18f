"""Warnings about names that are waited for and in whose events nobody finds a key."""

from __future__ import annotations

import pytest

from correlation.rules import NO_RULES, Rules, compile_rules
from routing.database import Database
from routing.matching import Matcher
from routing.triggers import apply_triggers
from routing.uncorrelatable import Uncorrelatable, uncorrelatable
from routing.waits import Waits
from tests.builders import a_wait, incoming
from tests.integration.launches import a_trigger

RULES = compile_rules({"INVOICE_PAID": ["invoice.id", "invoiceId"]})


async def warnings(database: Database, rules: Rules = NO_RULES) -> list[Uncorrelatable]:
    async with database.transaction() as connection:
        return list(await uncorrelatable(connection, "acme", rules))


async def test_a_wait_without_a_rule_or_a_published_key_is_warned_of(
    database: Database, waits: Waits
) -> None:
    await waits.register([a_wait()])

    [warning] = await warnings(database)

    assert (warning.code, warning.event_name, warning.awaited_by, warning.paths) == (
        "EVENT_WAIT_UNCORRELATABLE",
        "INVOICE_PAID",
        "wait",
        (),
    )
    assert "no rule names a path" in warning.sentence


async def test_a_rule_or_a_published_key_is_enough(
    database: Database, waits: Waits, matcher: Matcher
) -> None:
    await waits.register([a_wait()])

    with_a_rule = await warnings(database, RULES)
    await matcher.record([incoming(key="7")])
    with_a_key = await warnings(database)

    assert (with_a_rule, with_a_key) == ([], [])


async def test_paths_that_find_nothing_are_named(
    database: Database, waits: Waits, matcher: Matcher
) -> None:
    await waits.register([a_wait()])
    await matcher.record([incoming(payload={"order": 7}, rules=RULES)])

    [warning] = await warnings(database, RULES)

    assert warning.paths == ("invoice.id", "invoiceId")
    assert "the rules read invoice.id, invoiceId" in warning.sentence


async def test_a_trigger_is_warned_of_and_closed_waits_are_not(
    database: Database, waits: Waits
) -> None:
    await apply_triggers(database, [a_trigger()], actor="test")
    await waits.register([a_wait(tenant="globex", event_name="OTHER")])

    [warning] = await warnings(database)

    assert (warning.event_name, warning.awaited_by) == ("CLIENT_CREATED", "trigger")
    assert "launches all the same" in warning.sentence


@pytest.mark.parametrize("kind", ["wait", "trigger"])
async def test_one_name_is_asked_about_before_anything_waits(database: Database, kind: str) -> None:
    async with database.transaction() as connection:
        [warning] = await uncorrelatable(connection, "acme", NO_RULES, names=[(kind, "NEW")])

    assert warning.awaited_by == kind
