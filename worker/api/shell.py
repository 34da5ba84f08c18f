"""What surrounds every request: its id, its size, its answer's headers, its line in the log."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.api.gates.admission import Admission
from worker.api.gates.body import Body, BodyLimits, too_large
from worker.api.gates.shares import Shares
from worker.api.problems import Shown, response_of, shown_of
from worker.http_settings import is_loopback

log = structlog.get_logger(__name__)

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Given where a route sets none of its own: pages for people need another content policy."""


class Shell:
    """The outermost layer: nothing below it can make an answer without these."""

    def __init__(
        self, app: ASGIApp, *, body: BodyLimits, shares: Shares, loopback_only: bool
    ) -> None:
        self._app = app
        self._limits = body
        self._shares = shares
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; an unexpected exception is logged here and becomes a plain 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        body = Body(receive, self._limits)
        admission = Admission(body, self._shares)
        scope.setdefault("state", {}).update(request_id=request_id, admission=admission)
        answer = _Answer(send, request_id, body.end)
        began = time.perf_counter()
        try:
            if (refusal := self._refusal(scope)) is not None:
                await response_of(refusal, request_id)(scope, receive, answer.send)
            else:
                await self._app(scope, body, answer.send)
        except ClientDisconnect:
            log.info("request.abandoned", request_id=request_id)
        except Exception:
            log.exception("request.failed", request_id=request_id)
            if answer.status is not None:
                raise  # the answer has begun: only cutting it off says that it is not whole
            await response_of(_unexpected(), request_id)(scope, receive, answer.send)
        finally:
            admission.leave()
            log.info(
                "request.answered",
                method=scope["method"],
                route=_route(scope),
                status=answer.status,
                request_id=request_id,
                seconds=round(time.perf_counter() - began, 4),
            )

    def _refusal(self, scope: Scope) -> Shown | None:
        headers = scope["headers"]
        if self._loopback_only and not is_loopback(_host(headers)):
            # A web page may point a name of its own at this machine; its requests say that name.
            return Shown(
                HTTPStatus.FORBIDDEN,
                "without tokens the API answers only to the names of this machine",
                "address it as 127.0.0.1 or localhost",
            )
        length = _header(headers, b"content-length")
        if length.isdigit() and int(length) > self._limits.size:
            return shown_of(too_large(self._limits.size))
        return None


class _Answer:
    def __init__(self, send: Send, request_id: str, begins: Callable[[], None]) -> None:
        self._send = send
        self._begins = begins
        self._request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begins()
            self.status = int(message["status"])
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers["X-Request-ID"] = self._request_id
        await self._send(message)


def _unexpected() -> Shown:
    return Shown(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "something went wrong that was not foreseen",
        "try again; if it stays, give the request_id to whoever runs Pointsman: its log says more",
    )


def _route(scope: Scope) -> str:
    """The route's template: a path may hold ids, and whatever else a caller puts there."""
    return str(getattr(scope.get("route"), "path", "(none)"))


def _host(headers: Sequence[tuple[bytes, bytes]]) -> str:
    host = _header(headers, b"host").decode("latin-1")
    return host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host


def _header(headers: Sequence[tuple[bytes, bytes]], wanted: bytes) -> bytes:
    return next((value for name, value in headers if name.lower() == wanted), b"")
