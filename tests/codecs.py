"""A codec that encrypts as Temporal's sample does, and a codec server around it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.json_format import MessageToJson, Parse
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import PayloadCodec

OLD: Final = ("key-2025", b"test-key-test-key-test-key-test!")
NEW: Final = ("key-2026", b"another-key-another-key-another!")
ENCRYPTED: Final = b"binary/encrypted"


class AesCodec(PayloadCodec):
    """Encrypts with its first key, and reads what any of its keys has encrypted."""

    def __init__(self, *keys: tuple[str, bytes]) -> None:
        self._key_id = keys[0][0]
        self._keys = {key_id: AESGCM(key) for key_id, key in keys}

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(
                metadata={"encoding": ENCRYPTED, "encryption-key-id": self._key_id.encode()},
                data=self._encrypt(payload.SerializeToString()),
            )
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._decode(payload) for payload in payloads]

    def _decode(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCRYPTED:
            return payload
        key_id = payload.metadata["encryption-key-id"].decode()
        if key_id not in self._keys:
            raise ValueError(f"Unrecognized key ID {key_id}")
        nonce, sealed = payload.data[:12], payload.data[12:]
        return Payload.FromString(self._keys[key_id].decrypt(nonce, sealed, None))

    def _encrypt(self, data: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._keys[self._key_id].encrypt(nonce, data, None)


class OldKey(AesCodec):
    """What an entry point may name: a class that needs no argument."""

    def __init__(self) -> None:
        super().__init__(OLD)


def rotated(namespace: str) -> AesCodec:
    """What an entry point may name as well: a function that is told the namespace."""
    assert namespace
    return AesCodec(NEW, OLD)


@dataclass
class CodecServer:
    """A codec server, and what it was asked."""

    url: str = ""
    codec: PayloadCodec = field(default_factory=OldKey)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    """Paths with their headers in lower case."""
    answers: list[tuple[int, str]] = field(default_factory=list)
    """Status and body of the next answers, in the place of the codec's."""


@contextmanager
def codec_server(codec: PayloadCodec) -> Iterator[CodecServer]:
    """Serve a codec on loopback while the block runs."""
    server = CodecServer(codec=codec)
    listener = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    server.url = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def _handler(server: CodecServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.asked.append((self.path, headers))
            status, text = server.answers.pop(0) if server.answers else _answer(self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_arguments: Any) -> None:
            """Keep the tests' output clean."""

    def _answer(path: str, body: bytes) -> tuple[int, str]:
        payloads = Parse(body, Payloads()).payloads
        work = server.codec.encode if path.endswith("/encode") else server.codec.decode
        try:
            made = _now(work(payloads))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
            return 400, str(error)
        return 200, MessageToJson(Payloads(payloads=made))

    return Handler


def _now(work: Any) -> list[Payload]:
    """The result of a coroutine that never waits for anything."""
    try:
        work.send(None)
    except StopIteration as done:
        return list(done.value)
    raise AssertionError("the codec waits for something")


def a_json_payload(value: object) -> Payload:
    """A payload as Temporal's converters make it."""
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode())
