"""A small HTTP listener for `GET` of a few pages, beside whatever else the process does.

One request per connection, bounded in time and size: enough for Prometheus and for probes, and
nothing that a web framework would have to be loaded for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias

import structlog

from worker.operator_error import OperatorError

log = structlog.get_logger(__name__)

REQUEST_WITHIN: Final = 5.0
LONGEST_HEAD: Final = 16 * 1024
TEXT: Final = "text/plain; charset=utf-8"


class PortTaken(OperatorError):
    """The configured address cannot be listened on."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A page as it goes out."""

    status: HTTPStatus
    content_type: str
    body: bytes

    @classmethod
    def of_page(cls, content_type: str, body: bytes) -> Answer:
        """A page that is there."""
        return cls(HTTPStatus.OK, content_type, body)


Page: TypeAlias = Callable[[str], Answer]
"""Makes a page, given the request's Accept header."""


@asynccontextmanager
async def listening(
    pages: Mapping[str, Page], host: str, port: int, *, required: bool
) -> AsyncGenerator[str | None]:
    """Serve the pages while the block runs; yields the address as a URL.

    An address that cannot be had raises PortTaken where it is `required`; otherwise nothing is
    served, a warning says so, and the address is None.
    """
    server = await _open(pages, host, port, required=required)
    if server is None:
        yield None
        return
    bound: int = server.sockets[0].getsockname()[1]
    address = f"http://{f'[{host}]' if ':' in host else host}:{bound}"
    log.info("observation.served", address=address)
    try:
        yield address
    finally:
        server.close()


async def _open(
    pages: Mapping[str, Page], host: str, port: int, *, required: bool
) -> asyncio.Server | None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(REQUEST_WITHIN):
                await _respond(pages, reader, writer)
        writer.close()

    try:
        return await asyncio.start_server(respond, host, port, limit=LONGEST_HEAD)
    except OSError as error:
        problem = f"cannot listen on {host}:{port} for metrics and health: {error.strerror}"
        if required:
            raise PortTaken(
                f"{problem}; set POINTSMAN_METRICS_PORT to a free port, or to 0 for any"
            ) from error
        log.warning("observation.unavailable", error=problem)
        return None


async def _respond(
    pages: Mapping[str, Page], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        answer = _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        with_body = True
    else:
        request, *fields = head.decode("latin-1").split("\r\n")
        answer = _answer(pages, request, fields)
        with_body = not request.startswith("HEAD ")
    writer.write(_head(answer) + (answer.body if with_body else b""))
    await writer.drain()


def _answer(pages: Mapping[str, Page], request: str, fields: list[str]) -> Answer:
    match request.split(" "):
        case ["GET" | "HEAD", target, version] if version.startswith("HTTP/1."):
            page = pages.get(target.partition("?")[0])
            return page(_accept(fields)) if page else _plain(HTTPStatus.NOT_FOUND)
        case [_, _, version] if version.startswith("HTTP/1."):
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED)
        case _:
            return _plain(HTTPStatus.BAD_REQUEST)


def _accept(fields: list[str]) -> str:
    for line in fields:
        name, _, value = line.partition(":")
        if name.strip().lower() == "accept":
            return value.strip()
    return ""


def _plain(status: HTTPStatus) -> Answer:
    return Answer(status, TEXT, f"{status.phrase}\n".encode())


def _head(answer: Answer) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    ]
    if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append("Allow: GET, HEAD")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
