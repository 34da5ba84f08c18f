"""The rules in force, and what a proposed set would make of the events that have come already."""

from __future__ import annotations

import tomllib
from http import HTTPStatus
from typing import Any, Final

from fastapi import Response

from correlation.rules import EVERY_NAME, Rules, RulesError, compile_rules
from routing.audit_tenants import known_tenants
from routing.uncorrelatable import Uncorrelatable, uncorrelatable
from worker.console.rendering import page
from worker.console.routes import console_router
from worker.console.visits import Asking, Visit, Visiting, form_fields
from worker.rules_source import rules_from_text
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
async def try_rules(visit: Asking) -> Response:
    """The difference that proposed rules would make; nothing is changed."""
    given = await form_fields(visit.request)
    text = given.get("rules", "")
    last = next((one for one in LASTS if str(one) == given.get("last")), LASTS[1])
    try:
        proposed = _rules_of(text)
    except (RulesError, tomllib.TOMLDecodeError, RecursionError) as error:
        said = str(error) or "the rules are nested too deeply"
        return await _page(visit, text=text, last=last, problem=said)
    async with visit.parts.reading(visit.tenants) as connection:
        found = await shadow(connection, proposed, last=last, tenants=visit.tenants)
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


def _rules_of(text: str) -> Rules:
    """Rules as JSON or, when they do not begin with a brace, as TOML."""
    if text.lstrip().startswith("{"):
        return rules_from_text(text)
    return compile_rules(tomllib.loads(text))
