"""Bodies that come compressed: gzip is unpacked within bounds, the rest refused by name."""

from __future__ import annotations

import zlib
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.api.problems import Problem, response_of, shown_of

GZIP: Final = frozenset({b"gzip", b"x-gzip"})
_ENCODING: Final = b"content-encoding"
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


class Unpacking:
    """A layer below which every body is what its publisher wrote."""

    def __init__(self, app: ASGIApp, *, max_body: int) -> None:
        self._app = app
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Unpack the body of a request that says it is packed."""
        encoding = _encoding(scope) if scope["type"] == "http" else b""
        if encoding in (b"", b"identity"):
            await self._app(scope, receive, send)
            return
        try:
            if encoding not in GZIP:
                raise _unknown()
            body = _unpacked(await _whole(receive), self._max_body)
        except Problem as problem:
            request_id = str(scope.get("state", {}).get("request_id", ""))
            await response_of(shown_of(problem), request_id)(scope, receive, send)
            return
        await self._app(_with_body(scope, body), _Given(body, receive), send)


class _Given:
    """Hands out a body that is known, once."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _encoding(scope: Scope) -> bytes:
    found = [value for name, value in scope["headers"] if name.lower() == _ENCODING]
    return b",".join(found).strip().lower()


def _with_body(scope: Scope, body: bytes) -> Scope:
    kept = [
        (name, value)
        for name, value in scope["headers"]
        if name.lower() not in {_ENCODING, b"content-length", b"transfer-encoding"}
    ]
    return {**scope, "headers": [*kept, (b"content-length", str(len(body)).encode())]}


async def _whole(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _unpacked(packed: bytes, limit: int) -> bytes:
    """What was packed, in as many parts as there are; never more than `limit` in memory."""
    body = b""
    while packed:
        unpacker = zlib.decompressobj(wbits=_GZIP_WINDOW)
        try:
            body += unpacker.decompress(packed, limit + 1 - len(body))
        except zlib.error:
            raise _no_gzip() from None
        if len(body) > limit:
            raise _too_large(limit)
        if not unpacker.eof:
            raise _no_gzip()
        packed = unpacker.unused_data
    return body


def _unknown() -> Problem:
    return Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "the content encoding is none that is understood here",
        field="Content-Encoding",
        fix="send the body as it is, or packed once by gzip",
        headers={"Accept-Encoding": "gzip"},
    )


def _no_gzip() -> Problem:
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "the body is not what gzip writes, or not all of it",
        field="body",
        fix="pack the body by gzip, or leave Content-Encoding out",
    )


def _too_large(limit: int) -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body, unpacked, is larger than {limit} bytes",
        field="body",
        fix="post fewer events at once, or smaller ones",
    )
