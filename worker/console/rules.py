"""The rules in force, and what a proposed set would make of the events that have come already."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import Response

from correlation.rules import EVERY_NAME, Rules, RulesError
from routing.audit_tenants import known_tenants
from routing.uncorrelatable import Uncorrelatable, uncorrelatable
from worker.bounded.rules import proposed_rules
from worker.console.rendering import page
from worker.console.routes import console_router
from worker.console.visits import Operating, Visit, Visiting, form_fields
from worker.rules_source import MAX_RULES_BYTES
from worker.shadow import Difference, shadow

router = console_router()

LASTS: Final = (100, 1000, 5000)
SHOWN: Final = 100
MOST_TENANTS: Final = 20
"""Warned about on one page; choose a tenant to see the others'."""


@router.get("/rules")
async def show_rules(visit: Visiting) -> Response:
    """The rules by event name, and the form to try others."""
    return await _page(visit, text="", last=LASTS[1])


@router.post("/rules")
async def try_rules(visit: Operating) -> Response:
    """The difference that proposed rules would make; nothing is changed."""
    given = await form_fields(visit.request)
    text = given.get("rules", "")
    last = next((one for one in LASTS if str(one) == given.get("last")), LASTS[1])
    try:
        with visit.parts.workers.place(visit.principal.actor):
            proposed = await proposed_rules(visit.parts.workers, text)
    except RulesError as error:
        return await _page(visit, text=text[:MAX_RULES_BYTES], last=last, problem=str(error))
    found = await shadow(
        lambda: visit.parts.reading(visit.tenants), proposed, last=last, tenants=visit.tenants
    )
    return await _page(visit, text=text, last=last, found=found)


async def _page(
    visit: Visit,
    *,
    text: str,
    last: int,
    problem: str | None = None,
    found: Difference | None = None,
) -> Response:
    rules = visit.parts.rules()
    values: dict[str, Any] = {
        "rules": [(n, _paths(rules, n)) for n in sorted(rules.by_name) if n != EVERY_NAME],
        "general": _paths(rules, EVERY_NAME),
        "text": text,
        "last": last,
        "lasts": LASTS,
        "problem": problem,
        "found": found,
        "shown": SHOWN,
        "warnings": await _warnings(visit, rules),
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK
    return page("rules.html", visit, status=status, **values)


async def _warnings(visit: Visit, rules: Rules) -> list[Uncorrelatable]:
    """Of the tenants that the visitor looks at: awaited names in whose events no key is found."""
    tenants = visit.tenants
    async with visit.parts.reading(tenants) as connection:
        chosen = await known_tenants(connection) if tenants is None else tenants
        found = [await uncorrelatable(connection, t, rules) for t in chosen[:MOST_TENANTS]]
    return [warning for warnings in found for warning in warnings]


def _paths(rules: Rules, name: str) -> list[str]:
    return [path.text for path in rules.by_name.get(name, ())]
