"""What every console page shares as a route: errors become pages, too."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from ingress.dead_letter_desk import LettersUnavailable
from routing.faults import ChainUnknown, DatabaseUnavailable, RecordRefused
from routing.paging import InvalidCursor
from worker.api.problems import Problem, Shown, faults_of, shown_of, too_costly, unprocessable
from worker.bounded.budgets import BudgetExceeded
from worker.console.rendering import HEADERS, ROOT, bare_page, local_link
from worker.console.visits import NotLoggedIn

log = structlog.get_logger(__name__)

EXPECTED: Final = (
    NotLoggedIn,
    Problem,
    BudgetExceeded,
    RequestValidationError,
    ValidationError,
    InvalidCursor,
    DatabaseUnavailable,
    ChainUnknown,
    LettersUnavailable,
    RecordRefused,
)
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ConsoleRoute(APIRoute):
    """A route whose expected failures are shown to a person rather than to a program."""

    def get_route_handler(self) -> Handler:
        """The handler with its failures caught."""
        handle = super().get_route_handler()

        async def handle_for_people(request: Request) -> Response:
            try:
                return await handle(request)
            except EXPECTED as failure:
                return _answer_to(request, failure)

        return handle_for_people


def console_router() -> APIRouter:
    """A router of pages; none of them stands in the OpenAPI document."""
    return APIRouter(prefix=ROOT, route_class=ConsoleRoute, include_in_schema=False)


def go_to(path: str, **parameters: Any) -> Response:
    """Send the browser to another page, by GET."""
    return RedirectResponse(
        local_link(path, parameters), HTTPStatus.SEE_OTHER, headers=dict(HEADERS)
    )


def _answer_to(request: Request, failure: Exception) -> Response:
    if isinstance(failure, NotLoggedIn):
        after = request.url.path.removeprefix(ROOT)
        if request.method == "GET" and request.url.query:
            after = f"{after}?{request.url.query}"
        return go_to("/login", after=after if request.method == "GET" else "")
    shown = _shown(failure)
    response = bare_page(
        "problem.html",
        status=shown.status,
        phrase=HTTPStatus(shown.status).phrase,
        shown=shown,
        request_id=str(request.state.request_id),
    )
    response.headers.update(shown.headers)
    return response


_SERVERS: Final[dict[type[Exception], str]] = {
    LettersUnavailable: "Redis",
    ChainUnknown: "Temporal",
}


def _shown(failure: Exception) -> Shown:
    match failure:
        case Problem():
            return shown_of(failure)
        case BudgetExceeded():
            return shown_of(too_costly(failure))
        case RequestValidationError():
            return unprocessable(faults_of(failure.errors()))
        case ValidationError():
            errors = failure.errors(include_url=False, include_input=False)
            return unprocessable(faults_of([dict(error) for error in errors]))
        case InvalidCursor():
            return Shown(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "this page of the list is not known",
                "begin with the first page again",
            )
        case RecordRefused():
            return Shown(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "the request holds a value that cannot be looked for",
                "leave out NUL characters, and times beyond the calendar",
            )
        case _:
            log.warning("page.postponed", error=type(failure).__name__)
            server = _SERVERS.get(type(failure), "Postgres")
            return Shown(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{server} cannot be reached just now; nothing is lost",
                "load the page again in a few seconds",
                headers={"Retry-After": "2"},
            )
