from __future__ import annotations

import asyncio
from http import HTTPStatus
from urllib.parse import urlsplit

import pytest

from worker.observe.listener import Answer, PortTaken, listening

PAGES = {"/page": lambda accept: Answer(HTTPStatus.OK, "text/plain", f"<{accept}>".encode())}


async def ask(address: str, request: bytes) -> str:
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode()


async def test_a_page_is_served_as_the_request_accepts_it() -> None:
    async with listening(PAGES, "127.0.0.1", 0, required=True) as address:
        answer = await ask(address or "", b"GET /page?x=1 HTTP/1.1\r\naccept: a/b\r\n\r\n")

    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert answer.endswith("\r\n\r\n<a/b>")
    assert "Content-Length: 5\r\n" in answer


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /other HTTP/1.1\r\n\r\n", "404"),
        (b"DELETE /page HTTP/1.1\r\n\r\n", "405"),
        (b"nonsense\r\n\r\n", "400"),
        (b"GET /page HTTP/1.1\r\nx: " + b"x" * 40_000 + b"\r\n\r\n", "431"),
    ],
)
async def test_what_is_no_request_for_a_page_is_refused(request_bytes: bytes, status: str) -> None:
    async with listening(PAGES, "127.0.0.1", 0, required=True) as address:
        answer = await ask(address or "", request_bytes)

    assert answer.split(" ")[1] == status


async def test_head_has_no_body() -> None:
    async with listening(PAGES, "127.0.0.1", 0, required=True) as address:
        answer = await ask(address or "", b"HEAD /page HTTP/1.1\r\n\r\n")

    assert answer.endswith("\r\n\r\n")


async def test_a_chosen_port_that_is_taken_is_an_error_and_a_default_one_is_not() -> None:
    async with listening(PAGES, "127.0.0.1", 0, required=True) as first:
        port = urlsplit(first or "").port or 0

        async with listening(PAGES, "127.0.0.1", port, required=False) as second:
            assert second is None
        with pytest.raises(PortTaken, match="POINTSMAN_METRICS_PORT"):
            async with listening(PAGES, "127.0.0.1", port, required=True):
                pass
