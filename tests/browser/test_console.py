"""What an operator does in the console, done with a browser."""

from __future__ import annotations

import json
import re
from typing import Final

import httpx
import pytest
from playwright.async_api import expect

from routing.tokens import Scope
from routing.waits import Waits
from tests.browser.conftest import Console, keep
from tests.builders import a_wait

RULES_TOML: Final = 'TICKET_COMMENT_ADDED = "comment.id"\nINVOICE_PAID = "invoice.id"\n'


async def test_search_leads_from_an_id_to_the_reason_why_nobody_woke(console: Console) -> None:
    page = await console.visitor(Scope.READ)

    await page.keyboard.press("/")
    await page.keyboard.type("evt-paid-1002-lower")
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("region", name="Why")).to_contain_text("It woke nobody")
    near = page.locator(".near")
    await expect(near).to_contain_text("differs in upper and lower case only")
    assert await near.locator("mark").all_inner_texts() == ["inv", "INV"]


@pytest.mark.parametrize(
    ("text", "heading"),
    [
        ("w-quote-7", "QUOTE_ACCEPTED Q-7"),
        ("ticket-0042", "ticket-0042"),
        ("1763722800000-7", "No event"),
        ("M-17", "Events"),
        ("Q-7", "Waits"),
    ],
)
async def test_search_knows_waits_workflows_entries_and_keys(
    console: Console, text: str, heading: str
) -> None:
    page = await console.visitor(Scope.READ)

    await page.get_by_role("searchbox").fill(text)
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("heading", level=1)).to_have_text(heading)


async def test_lists_are_walked_and_paged_by_keyboard(console: Console) -> None:
    page = await console.visitor(Scope.READ)
    await page.keyboard.press("g")
    await page.keyboard.press("e")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Events")
    third = await page.locator("[data-row] .id").nth(2).inner_text()

    for _ in range(3):
        await page.keyboard.press("j")
    await page.keyboard.press("Enter")

    await page.wait_for_url("**/console/event?*")
    await expect(page.locator(".idline code")).to_have_text(third)
    await page.keyboard.press("u")
    await page.wait_for_url(re.compile(r"/console/events$"))
    first_page = await page.locator("[data-row] .id").all_inner_texts()
    await page.keyboard.press("n")
    await page.wait_for_url("**cursor=**")
    second_page = await page.locator("[data-row] .id").all_inner_texts()
    assert len(first_page) == 50
    assert len(second_page) == 17
    assert set(first_page).isdisjoint(second_page)


async def test_filters_narrow_the_list_and_stand_in_the_address(console: Console) -> None:
    page = await console.visitor(Scope.READ)
    await page.goto("/console/events")

    await page.get_by_label("Outcome").select_option("unresolved")
    await page.get_by_role("button", name="Show").click()

    await page.wait_for_url("**/console/events?outcome=unresolved")
    assert await page.locator("[data-row] .id").all_inner_texts() == ["evt-no-key"]


async def test_an_open_page_shows_what_comes_later(console: Console) -> None:
    page = await console.visitor(Scope.READ)
    await page.goto("/console/waits?key=late-1")
    await expect(page.locator(".nothing")).to_be_visible()

    await Waits(console.parts.database).register([a_wait(key="late-1", workflow_id="late")])

    await expect(page.get_by_role("link", name="late", exact=True)).to_be_visible()


async def test_dry_run_tells_whom_an_event_would_wake_and_records_nothing(
    console: Console,
) -> None:
    page = await console.visitor(Scope.READ)
    await page.goto("/console/explain")
    event = {"event_type": "QUOTE_ACCEPTED", "payload": {"quote": {"id": "Q-7"}}, "event_id": "dry"}

    await page.get_by_label("Event, in JSON").fill(json.dumps(event))
    await page.get_by_role("button", name="Whom would it wake?").click()

    await expect(page.get_by_role("region", name="Why")).to_contain_text("It would wake quote-Q-7")
    await keep(page, "explain-answered-light")
    answered = await page.goto("/console/event?of=acme&id=dry")
    assert answered is not None
    assert answered.status == 404


async def test_dry_run_says_what_is_wrong_with_an_event_that_is_none(console: Console) -> None:
    page = await console.visitor(Scope.READ)
    await page.goto("/console/explain")

    await page.get_by_label("Event, in JSON").fill('{"event_type": ')
    await page.get_by_role("button", name="Whom would it wake?").click()

    await expect(page.get_by_role("alert")).to_contain_text("invalid_json")


async def test_replay_previews_then_hands_a_late_wait_its_event(console: Console) -> None:
    await Waits(console.parts.database).register(
        [a_wait(key="Q-8", event_name="QUOTE_ACCEPTED", workflow_id="quote-late", wait_id="w-late")]
    )
    page = await console.visitor(Scope.OPERATE)
    await page.goto("/console/event?of=acme&id=evt-quote-8")
    await page.get_by_role("link", name="Replay it under the rules of today").click()
    preview = page.get_by_role("region", name="Preview")
    await expect(preview).to_contain_text("1workflow would wake")
    await keep(page, "replay-light")

    await page.get_by_label("Reason").fill("it came too early")
    await page.get_by_role("button", name="Replay 1 event").click()

    await expect(page.get_by_role("status")).to_have_text(
        "1 event was routed again; 1 wait was newly met."
    )
    await expect(page.locator(".branch")).to_contain_text("quote-late")


async def test_an_event_is_handed_to_a_wait_whatever_its_key(console: Console) -> None:
    page = await console.visitor(Scope.OPERATE)
    await page.goto("/console/event?of=acme&id=evt-paid-1002-lower")

    await page.get_by_text("Hand it to a wait").click()
    await page.get_by_label("Wait id").fill("w-paid-1002")
    await page.get_by_label("Reason").fill("wrong case")
    await page.get_by_role("button", name="Hand it over").click()

    await expect(page.get_by_role("status")).to_contain_text("It is handed over")
    await expect(page.locator(".branch")).to_contain_text("invoice-INV-1002")


async def test_a_dead_letter_goes_back_into_its_stream(console: Console) -> None:
    page = await console.visitor(Scope.OPERATE)
    await page.goto("/console/dead-letters")

    await page.get_by_label("Reason").fill("the column is wider now")
    await page.get_by_role("button", name="Put it back").click()

    await expect(page.get_by_role("status")).to_contain_text("Back in the stream")
    await expect(page.get_by_role("heading", name="No dead letters")).to_be_visible()


async def test_a_wait_is_closed_by_hand(console: Console) -> None:
    page = await console.visitor(Scope.OPERATE)
    await page.goto("/console/wait?of=acme&id=w-quote-7")

    await page.get_by_text("Close this wait by hand").click()
    await page.get_by_label("Reason").fill("the quote was withdrawn")
    await page.get_by_role("button", name="Close the wait").click()

    await expect(page.locator(".title .badge")).to_have_text("closed")


async def test_proposed_rules_are_tried_on_what_has_come(console: Console) -> None:
    page = await console.visitor(Scope.OPERATE)
    await page.goto("/console/rules")

    await page.get_by_label("Proposed rules").fill(RULES_TOML)
    await page.get_by_role("button", name="Show the difference").click()

    said = page.get_by_role("status")
    await expect(said).to_contain_text("1 would gain a key")
    await expect(said).to_contain_text("lose theirs")
    await keep(page, "rules-tried-light")


async def test_proposed_rules_that_are_wrong_say_where(console: Console) -> None:
    page = await console.visitor(Scope.OPERATE)
    await page.goto("/console/rules")

    await page.get_by_label("Proposed rules").fill('INVOICE_PAID = "$..id"')
    await page.get_by_role("button", name="Show the difference").click()

    await expect(page.get_by_role("alert")).to_contain_text("INVOICE_PAID")


async def test_markup_within_events_stays_text(console: Console) -> None:
    page = await console.visitor(Scope.READ)

    await page.goto("/console/event?of=acme&id=evt-hostile")

    assert await page.title() == "PROJECT_APPROVED evt-hostile · Pointsman"
    await expect(page.locator(".track")).to_contain_text("<script>document.title")


async def test_a_reader_of_one_tenant_sees_nothing_of_another_and_cannot_act(
    console: Console,
) -> None:
    page = await console.visitor(Scope.READ)

    statuses = {}
    for path in (
        "/console/event?of=globex&id=globex-paid-1",
        "/console/event?id=globex-paid-1",
        "/console/wait?of=globex&id=w-globex-1",
        "/console/run?id=globex-invoice-1",
        "/console/events?tenant=globex",
    ):
        answered = await page.goto(path)
        assert answered is not None
        statuses[path] = answered.status
    await page.goto("/console/events?q=globex")
    listed = await page.locator("[data-row]").count()
    await page.goto("/console/event?of=acme&id=evt-quote-8")

    assert list(statuses.values()) == [404, 404, 404, 404, 403]
    assert listed == 0
    await expect(page.get_by_text("Replay it under")).to_have_count(0)


async def test_logging_out_ends_the_visit_and_the_link_asked_for_is_kept(
    console: Console,
) -> None:
    page = await console.page()
    await page.goto("/console/wait?of=acme&id=w-quote-7")
    await page.get_by_label("Token").fill(await console.token(Scope.READ))
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url("**/console/wait?of=acme&id=w-quote-7")
    cookies = await page.context.cookies()

    await page.get_by_role("button", name="Log out").click()
    await page.wait_for_url("**/console/login")
    await page.goto("/console/events")

    assert [(c["httpOnly"], c["sameSite"], c["path"]) for c in cookies] == [
        (True, "Strict", "/console")
    ]
    assert await page.context.cookies() == []
    await expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


async def test_forms_of_other_sites_and_forged_ones_are_refused(console: Console) -> None:
    token = await console.token(Scope.OPERATE)
    closing = {"id": "w-quote-7", "of": "acme", "reason": "forged"}
    async with httpx.AsyncClient(base_url=console.address) as client:
        await client.post("/console/login", data={"token": token})
        forged = await client.post("/console/wait/close", data=closing)
        foreign = await client.post(
            "/console/login", data={"token": token}, headers={"Origin": "https://evil.example"}
        )
        page = await client.get("/console/login")

    assert forged.status_code == 403
    assert foreign.status_code == 403
    assert "set-cookie" not in foreign.headers
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("after", ["//evil.example", "https://evil.example", "/\\evil.example"])
async def test_the_login_leads_nowhere_but_into_the_console(console: Console, after: str) -> None:
    token = await console.token(Scope.READ)

    async with httpx.AsyncClient(base_url=console.address) as client:
        answered = await client.post("/console/login", data={"token": token, "after": after})

    assert answered.status_code == 303
    assert answered.headers["location"] == "/console"
