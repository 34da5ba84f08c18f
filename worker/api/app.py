"""The application: its routes, and what every error looks like."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from ingress.dead_letter_desk import LettersUnavailable
from routing.faults import ChainUnknown, DatabaseUnavailable, QuotaReached, RecordRefused
from routing.paging import InvalidCursor
from worker.api import (
    dead_letters,
    deliveries,
    events,
    explaining,
    exports,
    launches,
    publishing,
    replaying,
    run_exports,
    runs,
    tasks,
    triggers,
    waits,
)
from worker.api.answers import ProblemShown
from worker.api.cursors import damaged_cursor
from worker.api.gates.body import BodyLimits
from worker.api.parts import Parts
from worker.api.problems import (
    Problem,
    Shown,
    faults_of,
    quota_reached,
    response_of,
    shown_of,
    too_costly,
    unprocessable,
)
from worker.api.request_bodies import schemas
from worker.api.shell import Shell
from worker.api.signed_tokens import KeysUnavailable
from worker.api.unpacking import Unpacking
from worker.bounded.budgets import BudgetExceeded
from worker.console.mounting import mount_console

log = structlog.get_logger(__name__)

VERSION_PATH: Final = "/v1"
DESCRIPTION: Final = """\
Publish events, and ask whom they woke and, where nobody, why not.

Every error is `application/problem+json` and names the field and the fix. Lists are paged: `next`
of a page is the `cursor` of the following one.
"""
# The more telling route first: an event's id may itself look like `export`.
ROUTERS: Final[tuple[APIRouter, ...]] = (
    publishing.router,
    exports.router,
    explaining.router,
    replaying.router,
    events.router,
    waits.router,
    deliveries.router,
    dead_letters.router,
    triggers.router,
    launches.router,
    run_exports.router,
    runs.router,
    tasks.router,
)
Handler = Callable[[Request, Any], Awaitable[Response]]


def create_app(parts: Parts, *further: APIRouter) -> FastAPI:
    """The API on these parts; `further` routers stand under `/v1`, too, before its own."""
    app = bare_app(*further)
    app.state.parts = parts
    mount_console(app)
    app.add_middleware(Unpacking, max_body=parts.settings.http_max_body)
    app.add_middleware(
        Shell,
        body=BodyLimits(
            parts.settings.http_max_body,
            first=parts.settings.http_body_timeout.total_seconds(),
            rate=parts.settings.http_body_rate,
        ),
        shares=parts.shares,
        loopback_only=parts.settings.insecure_dev,
    )
    return app


def bare_app(*further: APIRouter) -> FastAPI:
    """The routes without any parts: enough to write the OpenAPI document."""
    # No documentation pages: theirs would load scripts from elsewhere.
    app = FastAPI(
        title="Pointsman",
        version=version("pointsman-service"),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for router in (*further, *ROUTERS):
        app.include_router(router, prefix=VERSION_PATH)
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            openapi_version="3.1.0",
        )
        components = document.setdefault("components", {}).setdefault("schemas", {})
        problem = ProblemShown.model_json_schema(ref_template="#/components/schemas/{model}")
        components |= problem.pop("$defs", {}) | {"ProblemShown": problem} | schemas()
        for unused in ("HTTPValidationError", "ValidationError"):
            components.pop(unused, None)
        app.openapi_schema = document
    return app.openapi_schema


def _said(request: Request, shown: Shown) -> Response:
    return response_of(shown, str(request.state.request_id))


async def _problem(request: Request, error: Problem) -> Response:
    return _said(request, shown_of(error))


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    return _said(request, unprocessable(faults_of(error.errors())))


async def _no_route(request: Request, error: HTTPException) -> Response:
    fix = {
        HTTPStatus.NOT_FOUND: "check the address; /openapi.json lists them all",
        HTTPStatus.METHOD_NOT_ALLOWED: "use a method that /openapi.json lists for this address",
    }.get(HTTPStatus(error.status_code), "see /openapi.json")
    shown = Shown(error.status_code, str(error.detail), fix, headers=error.headers or {})
    return _said(request, shown)


async def _cursor(request: Request, _error: InvalidCursor) -> Response:
    return _said(request, shown_of(damaged_cursor()))


async def _unavailable(request: Request, error: Exception) -> Response:
    log.warning("request.postponed", error=type(error).__name__)
    shown = Shown(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "a server that Pointsman needs is away; nothing is lost by asking again",
        "try again in a few seconds; repeating a request is harmless",
        headers={"Retry-After": "2"},
    )
    return _said(request, shown)


async def _too_costly(request: Request, error: BudgetExceeded) -> Response:
    return _said(request, shown_of(too_costly(error)))


async def _quota_reached(request: Request, error: QuotaReached) -> Response:
    return _said(request, shown_of(quota_reached(error)))


async def _refused(request: Request, error: RecordRefused) -> Response:
    log.warning("request.refused", error=str(error))
    shown = Shown(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "the request holds a value that cannot be stored or looked for",
        "leave out NUL characters, and times and spans beyond the calendar",
    )
    return _said(request, shown)


_HANDLERS: Final[dict[type[Exception], Handler]] = {
    Problem: _problem,
    RequestValidationError: _invalid,
    HTTPException: _no_route,
    InvalidCursor: _cursor,
    DatabaseUnavailable: _unavailable,
    BudgetExceeded: _too_costly,
    QuotaReached: _quota_reached,
    ChainUnknown: _unavailable,
    KeysUnavailable: _unavailable,
    LettersUnavailable: _unavailable,
    RecordRefused: _refused,
}
