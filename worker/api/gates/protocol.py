"""One HTTP connection with deadlines: for heads, for what is left of a body, and for readers."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from worker.api.exact_writing import write_json
from worker.api.gates.connections import MOST_LINGERING, Connections, network_of

log = structlog.get_logger(__name__)

LINGER: Final = 2.0
"""Seconds in which a client may read a refusal before its connection is reset."""
MOST_DISCARDED: Final = 2**24
LARGEST_HEAD: Final = 16 * 1024
BACKLOG: Final = 100
"""Connections that the kernel keeps, and that one turn of the loop accepts at most.

asyncio logs a traceback for each that finds no file descriptor.
"""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that a connection may take for each step."""

    head: float
    """For the head of a request, from its first byte, or from the start of the connection."""
    rest: float
    """For what is left of a body after an early answer."""
    reader: float
    """For the client to take what was written."""


class _Phase(Enum):
    HEAD = auto()
    REST = auto()
    FLUSH = auto()
    LINGER = auto()


_FIXES: Final = {
    HTTPStatus.BAD_REQUEST: "send a request as HTTP/1.1 defines it (RFC 9112)",
    HTTPStatus.REQUEST_TIMEOUT: "send the whole head of the request at once",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: f"send at most {LARGEST_HEAD} bytes of head",
    HTTPStatus.NOT_IMPLEMENTED: "send the body with a Content-Length, or chunked",
    HTTPStatus.SERVICE_UNAVAILABLE: "try again in a few seconds, over fewer connections",
}


class GatedProtocol(H11Protocol):
    """uvicorn's protocol, bounded. It has no deadline of its own but for idle connections."""

    def __init__(
        self, *arguments: Any, connections: Connections, deadlines: Deadlines, **named: Any
    ) -> None:
        super().__init__(*arguments, **named)
        self._connections = connections
        self._deadlines = {
            _Phase.HEAD: deadlines.head,
            _Phase.REST: deadlines.rest,
            _Phase.FLUSH: deadlines.reader,
            _Phase.LINGER: LINGER,
        }
        self._reader_within = deadlines.reader
        self._phase: _Phase | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reader_timer: asyncio.TimerHandle | None = None
        self._discarded = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection; without room for it, say so and close."""
        super().connection_made(transport)
        address = network_of(self.client[0] if self.client else "")
        if self._connections.enter(self, address):
            self._watch()
        else:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "there are too many connections")

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self._connections.leave(self)
        if self._phase is _Phase.LINGER:
            self._connections.lingering -= 1
        self._enter(None)
        self._cancel_reader_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client sends, unless its connection is about to be closed."""
        if self._phase is _Phase.LINGER or self.transport.is_closing():
            return
        if self._phase is _Phase.REST:
            self._discarded += len(data)
            if self._discarded > MOST_DISCARDED:
                self.transport.abort()
                return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """After an answer: the rest of the body, the next request, or the end."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """The client does not read; it may not hold the answer for ever."""
        super().pause_writing()
        self._cancel_reader_timer()
        self._reader_timer = self.loop.call_later(self._reader_within, self._unread)

    def resume_writing(self) -> None:
        """The client reads on."""
        self._cancel_reader_timer()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's own words
        """Refuse what is not HTTP, with the status that h11 suggests."""
        hint = getattr(sys.exception(), "error_status_hint", HTTPStatus.BAD_REQUEST)
        detail = {
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "the head of the request is too large"
        }.get(hint, "the request is not valid HTTP/1.1")
        self._refuse(HTTPStatus(hint), detail)

    def shutdown(self) -> None:
        """End at once, unless a whole request is being answered."""
        if self._phase is _Phase.LINGER or self.transport.is_closing():
            return
        request = self._unanswered
        if request is None:
            self.transport.close()
        elif request.more_body and not request.response_started:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "this process is being stopped")
        else:
            request.keep_alive = False

    def make_room(self) -> None:
        """See `connections.Connection`."""
        self.transport.abort()

    def _watch(self) -> None:
        if self._phase is not _Phase.LINGER:
            self._enter(self._current_phase())
        waiting = self._unanswered is None and self.conn.their_state is h11.IDLE
        (self._connections.waits if waiting else self._connections.busy)(self)

    @property
    def _unanswered(self) -> RequestResponseCycle | None:
        """The request in hand."""
        request: RequestResponseCycle | None = getattr(self, "cycle", None)
        return None if request is None or request.response_complete else request

    def _current_phase(self) -> _Phase | None:
        if self.transport.is_closing():
            return _Phase.FLUSH
        if self._unanswered is not None:
            return None
        if self.conn.their_state is h11.SEND_BODY:
            return _Phase.REST
        # Between two requests uvicorn's own timer runs, until the next one begins.
        idle = self.timeout_keep_alive_task is not None
        return _Phase.HEAD if self.conn.their_state is h11.IDLE and not idle else None

    def _enter(self, phase: _Phase | None) -> None:
        if phase is self._phase:
            return  # the time began with the phase, whatever comes in meanwhile
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._phase, self._discarded = phase, 0
        if phase is not None:
            self._timer = self.loop.call_later(self._deadlines[phase], self._late, phase)

    def _late(self, phase: _Phase) -> None:
        if phase is _Phase.HEAD and self.conn.trailing_data[0]:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the head of the request took too long")
        elif phase is _Phase.HEAD:
            self.transport.close()
        else:
            self.transport.abort()

    def _unread(self) -> None:
        log.info("connection.unread", address=network_of(self.client[0] if self.client else ""))
        self.transport.abort()

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer in the place of the application, and close."""
        if (request := self._unanswered) is not None:
            request.disconnected = True
            request.message_event.set()
            if request.response_started:
                self.transport.close()
                return
        self.transport.write(_problem(status, detail))
        if self._connections.lingering >= MOST_LINGERING or not self.transport.can_write_eof():
            self.transport.close()
            return
        # Closed at once, with bytes unread, it would be reset and the answer might be lost.
        self._connections.leave(self)
        self._connections.lingering += 1
        self._enter(_Phase.LINGER)
        self.transport.write_eof()

    def _cancel_reader_timer(self) -> None:
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None


def _problem(status: HTTPStatus, detail: str) -> bytes:
    content = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "fix": _FIXES.get(status, _FIXES[HTTPStatus.BAD_REQUEST]),
        "errors": [],
    }
    body = write_json(content).encode()
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: application/problem+json",
        f"content-length: {len(body)}",
        "cache-control: no-store",
        "connection: close",
    ]
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append("retry-after: 2")
    return "\r\n".join([*lines, "", ""]).encode() + body
