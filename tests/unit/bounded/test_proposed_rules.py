"""Rules that somebody proposes: compiled in a worker, refused by name."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from correlation.rules import RulesError, compile_rules
from worker.bounded.budgets import Budget, BudgetExceeded, WorkLimits
from worker.bounded.rules import proposed_rules
from worker.bounded.workers import Workers
from worker.rules_source import MAX_RULES_BYTES


@pytest.fixture
async def workers() -> AsyncGenerator[Workers]:
    workers = Workers(WorkLimits(workers=1, time=timedelta(seconds=5)))
    yield workers
    await workers.aclose()


@pytest.mark.parametrize(
    "text",
    [
        '{"INVOICE_PAID": ["invoice.id", "$.lines[*].id"], "*": "ticketId"}',
        'INVOICE_PAID = ["invoice.id", "$.lines[*].id"]\n"*" = "ticketId"',
    ],
    ids=["JSON", "TOML"],
)
async def test_rules_compiled_in_a_worker_are_those_compiled_here(
    workers: Workers, text: str
) -> None:
    expected = compile_rules({"INVOICE_PAID": ["invoice.id", "$.lines[*].id"], "*": "ticketId"})

    rules = await proposed_rules(workers, text)

    assert rules == expected
    assert rules.paths_for("INVOICE_PAID") == expected.paths_for("INVOICE_PAID")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"A": "$..b"}', r"A: '\$\.\.b'"),
        ("A = [", "end of document"),
        ("a." * 2000 + "b = 1", "a"),
        ("[" * 5000, "nested|Invalid|Expected"),
    ],
)
async def test_what_is_wrong_comes_back(workers: Workers, text: str, why: str) -> None:
    with pytest.raises(RulesError, match=why):
        await proposed_rules(workers, text)


async def test_rules_that_are_too_long_reach_no_worker(workers: Workers) -> None:
    with pytest.raises(RulesError, match="longer"):
        await proposed_rules(workers, "#" * MAX_RULES_BYTES + "ä")

    assert not workers.started


async def test_rules_that_take_too_long_are_refused_with_the_budget() -> None:
    hurried = Workers(WorkLimits(workers=1, time=timedelta(milliseconds=100)))
    paths = ", ".join(f'"$.a[*].b{number}"' for number in range(60))
    many = "".join(f"NAME_{number} = [{paths}]\n" for number in range(60))

    with pytest.raises(BudgetExceeded) as exceeded:
        await proposed_rules(hurried, many)
    await hurried.aclose()

    assert exceeded.value.budget is Budget.TIME
