"""Bodies of requests, read as exactly as events are: no number passes through a float."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from correlation.exact_reading import NotJson, read_bytes
from routing.tokens import Scope
from worker.api.authentication import BEARER, Needs, admitted
from worker.api.problems import Problem

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def api_router(tag: str) -> APIRouter:
    """A router of the API, whose bodies are read exactly."""
    return APIRouter(tags=[tag], route_class=_ExactRoute)


class _ExactRequest(Request):
    _decoded: Any = None

    async def read(self) -> None:
        """Decode a body of JSON, if there is one; raises Problem."""
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await self.body()
        subtype = media_type.partition("/")[2]
        if not body or not (subtype == "json" or subtype.endswith("+json")):
            return
        try:
            self._decoded = read_bytes(body)
        except NotJson as error:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"the body is no JSON: {error.detail}",
                field="body",
                fix="send valid JSON",
            ) from None

    async def json(self) -> Any:
        """What was read; FastAPI asks for it."""
        return self._decoded


class _ExactRoute(APIRoute):
    """Reads the body once it is known who sends it, and before FastAPI does.

    FastAPI reads it before any dependency, takes NaN, and answers 400 for the rest.
    """

    def get_route_handler(self) -> Handler:
        """The handler, given a request that reads exactly."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle
        scopes = _scopes_of(self.dependant)

        async def handle_exactly(request: Request) -> Response:
            for scope in scopes:
                await admitted(request, scope, await BEARER(request))
            exact = _ExactRequest(request.scope, request.receive)
            await exact.read()
            return await handle(exact)

        return handle_exactly


def _scopes_of(dependant: Dependant) -> Sequence[Scope]:
    """What the route asks of its caller."""
    own = [dependant.call.scope] if isinstance(dependant.call, Needs) else []
    return own + [scope for inner in dependant.dependencies for scope in _scopes_of(inner)]
