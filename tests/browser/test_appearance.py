"""Every page as an operator sees it: wide and narrow, light and dark."""

from __future__ import annotations

from typing import Any, Final

import pytest

from routing.tokens import Scope
from tests.browser.conftest import Console, keep

PAGES: Final = {
    "overview": ("/console", "Overview"),
    "events": ("/console/events", "Events"),
    "event-woke": ("/console/event?of=acme&id=evt-paid-1001", "INVOICE_PAID"),
    "event-near-miss": ("/console/event?of=acme&id=evt-paid-1002-lower", "INVOICE_PAID"),
    "event-unresolved": ("/console/event?of=acme&id=evt-no-key", "TICKET_COMMENT_ADDED"),
    "event-malformed": ("/console/event?of=acme&id=1763722800000-7", "No event"),
    "waits": ("/console/waits?closed=true", "Waits"),
    "wait": ("/console/wait?of=acme&id=w-paid-1002", "INVOICE_PAID INV-1002"),
    "run": ("/console/run?of=acme&id=ticket-0042", "ticket-0042"),
    "explain": ("/console/explain", "Dry run"),
    "dead-letters": ("/console/dead-letters", "Dead letters"),
    "rules": ("/console/rules", "Rules"),
}
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}


@pytest.mark.parametrize("look", LOOKS)
async def test_every_page_fits_its_window_and_hides_secrets(console: Console, look: str) -> None:
    page = await console.visitor(Scope.ADMIN, tenants=("*",), **LOOKS[look])

    for name, (path, heading) in PAGES.items():
        await page.goto(path)
        await keep(page, f"{name}-{look}")
        assert await page.get_by_role("heading", level=1).inner_text() == heading, name
        assert "canary-hidden" not in await page.content(), name
        wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{name} is {wide} pixels too wide"


async def test_logging_in_and_a_problem_have_pages_of_their_own(console: Console) -> None:
    page = await console.page(**LOOKS["light"])
    await page.goto("/console/events?outcome=no_wait")
    await keep(page, "login-light")

    await page.get_by_label("Token").fill("pmt_wrong")
    await page.get_by_role("button", name="Log in").click()
    refused = await page.get_by_role("alert").inner_text()
    visitor = await console.visitor(Scope.READ, **LOOKS["light"])
    answered = await visitor.goto("/console/event?of=globex&id=globex-paid-1")
    await keep(visitor, "problem-light")

    assert refused == "This token is unknown, revoked or expired."
    assert answered is not None
    assert answered.status == 404
