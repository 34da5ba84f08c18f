"""Bodies that come compressed: gzip is unpacked within bounds, the rest refused by name."""

from __future__ import annotations

import zlib
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.api.problems import Problem, response_of, shown_of

MOST_PARTS: Final = 64
GZIP: Final = frozenset({b"gzip", b"x-gzip"})
_ENCODING: Final = b"content-encoding"
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


class Unpacking:
    """A layer below which every body is what its publisher wrote.

    Nothing is read before somebody below asks for the body: by then it is known who sends it.
    """

    def __init__(self, app: ASGIApp, *, max_body: int) -> None:
        self._app = app
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Unpack the body of a request that says it is packed."""
        encoding = _encoding(scope) if scope["type"] == "http" else b""
        if encoding in (b"", b"identity"):
            await self._app(scope, receive, send)
            return
        if encoding not in GZIP:
            request_id = str(scope.get("state", {}).get("request_id", ""))
            await response_of(shown_of(_unknown()), request_id)(scope, receive, send)
            return
        await self._app(_unpacked_scope(scope), _Unpacked(receive, self._max_body), send)


class _Unpacked:
    """Reads a packed body when it is first asked for, and hands it out whole."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._given = False

    async def __call__(self) -> Message:
        if self._given:
            return await self._receive()
        packed = await _whole(self._receive)
        self._given = True
        if packed is None:
            return {"type": "http.disconnect"}
        body = _unpacked(packed, self._limit)
        return {"type": "http.request", "body": body, "more_body": False}


def _encoding(scope: Scope) -> bytes:
    found = [value for name, value in scope["headers"] if name.lower() == _ENCODING]
    return b",".join(found).strip().lower()


def _unpacked_scope(scope: Scope) -> Scope:
    kept = [
        (name, value)
        for name, value in scope["headers"]
        if name.lower() not in {_ENCODING, b"content-length", b"transfer-encoding"}
    ]
    return {**scope, "headers": kept}


async def _whole(receive: Receive) -> bytes | None:
    """The body; None when the client has gone before its end."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _unpacked(packed: bytes, limit: int) -> bytes:
    """What was packed, in one part or some; never more than `limit` in memory."""
    body = b""
    # Each part costs a copy of all that follows.
    for _ in range(MOST_PARTS):
        if not packed:
            return body
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
    raise _no_gzip()


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
