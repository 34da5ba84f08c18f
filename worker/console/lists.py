"""What the lists of the console share: what narrows them, and how a page of one is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Response

from routing.paging import Page
from worker.api.cursors import cursor_text
from worker.console.rendering import page
from worker.console.tenancy import tenant_choices
from worker.console.visits import Visit


def narrowing(visit: Visit) -> dict[str, str]:
    """The parameters of the list's address; a field of its form that was left blank is none."""
    return {name: text for name, text in visit.request.query_params.items() if text.strip()}


async def list_page(
    template: str,
    visit: Visit,
    found: Page[Any],
    *,
    first: bool,
    filters: Mapping[str, str],
    **values: Any,
) -> Response:
    """A page of a list with the way to the next; `filters` are what the form shows."""
    return page(
        template,
        visit,
        lines=found.lines,
        next=cursor_text(found.next),
        first=first,
        filters=filters,
        filtered=any(filters.values()),
        tenants=await tenant_choices(visit),
        **values,
    )
