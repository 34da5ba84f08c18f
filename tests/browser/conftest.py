"""The console on real servers, looked at with a real browser."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from ingress.backlog import StreamBacklogs
from ingress.dead_letter_desk import DeadLetterDesk
from ingress.dead_letters import RedisDeadLetters
from ingress.entry import StreamName
from ingress.redis_connection import connect_redis
from routing.database import DatabaseLimits, open_database
from routing.gate import Backoff
from routing.matching import Matcher, Matching
from routing.run_controls import NoTemporal, RunPort
from routing.tokens import Scope, create_token
from tests.browser.scene import RULES, set_scene
from tests.running import in_background
from tests.strictness import give_up
from worker.api.app import create_app
from worker.api.parts import Parts, make_parts
from worker.api.serving import listen_on, serve_api
from worker.settings import Settings

HERE: Final = Path(__file__).resolve().parent
SCREENSHOTS: Final = HERE.parents[1] / "build" / "screenshots"
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# A busy machine is slow; what never comes is found out all the same.
expect.set_options(timeout=20_000)


class NoSink:
    """The scene's deliveries are settled already; nothing is sent from here."""

    async def submit(self, deliveries: Any) -> None:
        pass

    def wake(self) -> None:
        pass


@dataclass
class Console:
    """A console that is being served, and a browser that nobody has logged in with."""

    address: str
    parts: Parts
    browser: Browser
    contexts: list[BrowserContext]
    tokens: int = 0

    async def page(self, **options: Any) -> Page:
        """A page of a new visitor, in which any fault of a script or of its policy is a failure."""
        context = await self.browser.new_context(base_url=self.address, **options)
        self.contexts.append(context)
        context.set_default_timeout(20_000)
        page = await context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", _note)
        return page

    async def token(self, *scopes: Scope, tenants: tuple[str, ...] = ("acme",)) -> str:
        """A new token's text: the first of Ada's, later ones of Ada 2, 3 and so on."""
        self.tokens += 1
        name = "Ada" if self.tokens == 1 else f"Ada {self.tokens}"
        async with self.parts.database.transaction() as connection:
            token = await create_token(connection, name=name, scopes=scopes, tenants=tenants)
        return token.text

    async def visitor(
        self, *scopes: Scope, tenants: tuple[str, ...] = ("acme",), **options: Any
    ) -> Page:
        """A page whose visitor has logged in by the form."""
        page = await self.page(**options)
        await page.goto("/console/login")
        await page.get_by_label("Token").fill(await self.token(*scopes, tenants=tenants))
        await page.get_by_role("button", name="Log in").click()
        await page.wait_for_url("**/console")
        return page


faults: list[str] = []


def _note(message: Any) -> None:
    # A refused request is what some tests are about, and is logged by the browser as an error.
    if message.type == "error" and "Failed to load resource" not in message.text:
        faults.append(message.text)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser belongs to the loop that it was started in: all its tests run there."""
    for item in items:
        if item.path.is_relative_to(HERE) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture
def further_settings() -> dict[str, Any]:
    """Settings of the console beside the usual ones; a module may have its own."""
    return {}


@pytest.fixture
def run_port() -> RunPort:
    """Who is asked to control runs; a module whose runs are real may have its own."""
    return NoTemporal()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One for all tests; each opens contexts of its own in it."""
    async with async_playwright() as playwright:
        yield await playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)


@pytest_asyncio.fixture(loop_scope="session")
async def console(
    browser: Browser,
    database_url: str,
    redis_url: str,
    further_settings: dict[str, Any],
    run_port: RunPort,
) -> AsyncIterator[Console]:
    async with AsyncExitStack() as stack:
        settings = Settings(
            http_port=0,
            http_rate=10_000,
            http_burst=10_000,
            temporal_ui_url="http://127.0.0.1:8233",
            **further_settings,
        )
        database = await stack.enter_async_context(open_database(database_url, DatabaseLimits()))
        connect = partial(connect_redis, redis_url, block=timedelta(seconds=1))
        letters, desk = RedisDeadLetters(connect), DeadLetterDesk(connect)
        stack.push_async_callback(letters.aclose)
        stack.push_async_callback(desk.aclose)
        streams = StreamBacklogs(connect, [StreamName(s) for s in settings.stream], settings.group)
        stack.push_async_callback(streams.aclose)
        matcher = Matcher(database, Matching(owner="api"))
        parts = make_parts(
            settings,
            database,
            matcher,
            NoSink(),
            lambda: RULES,
            desk,
            streams,
            runs=run_port,
        )
        await set_scene(database, letters)
        address = await _serve(stack, parts)
        opened = Console(address, parts, browser, [])
        faults.clear()
        yield opened
        for context in opened.contexts:
            await context.close()
        assert faults == []


async def _serve(stack: AsyncExitStack, parts: Parts) -> str:
    with listen_on("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    settings = parts.settings.model_copy(update={"http_port": port})
    stopping, backoff = asyncio.Event(), Backoff(timedelta(milliseconds=10), timedelta(seconds=1))
    serving = serve_api(create_app(parts), settings, stopping, backoff)
    await stack.enter_async_context(in_background(serving))
    return f"http://127.0.0.1:{port}"


def chromium() -> str:
    """The path of a Chromium; without one the test is skipped or, where all must run, fails."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        give_up("there is no Chromium on PATH; `apt-get install chromium` provides it")
    return program


async def keep(page: Page, name: str) -> None:
    """Keep what the page looks like, for people to see."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    await page.evaluate("scrollTo(0, 0)")
    await page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
