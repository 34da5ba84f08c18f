"""The console's pages as routes of the application that also serves the API."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, FastAPI, Response

from worker.api.problems import Problem
from worker.console import (
    dead_letters,
    events,
    explaining,
    launches,
    login,
    overview,
    replaying,
    rules,
    run_controls,
    run_list,
    runs,
    searching,
    tasks,
    waits,
)
from worker.console.routes import console_router, go_to

ROUTERS: Final[tuple[APIRouter, ...]] = (
    login.router,
    overview.router,
    searching.router,
    events.router,
    waits.router,
    tasks.router,
    runs.router,
    run_list.router,
    launches.router,
    run_controls.router,
    explaining.router,
    replaying.router,
    dead_letters.router,
    rules.router,
)
_elsewhere = console_router()


@_elsewhere.get("/")
async def _with_slash() -> Response:
    return go_to("")


@_elsewhere.get("/{path:path}")
async def _no_page() -> Response:
    raise Problem(
        HTTPStatus.NOT_FOUND,
        "the console has no such page",
        fix="begin at the overview",
    )


def mount_console(app: FastAPI) -> None:
    """Add the pages at `/console`, and lead there from the bare address."""
    for router in (*ROUTERS, _elsewhere):
        app.include_router(router)
    app.add_api_route("/", lambda: go_to(""), methods=["GET"], include_in_schema=False)
