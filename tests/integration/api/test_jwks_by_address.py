"""The issuer's keys read from an address: rotated, away, garbled, sent elsewhere."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from worker.api.signed_tokens import KeysUnavailable, SignedTokens, signed_tokens
from worker.settings import Settings

ISSUER, AUDIENCE = "https://login.example/", "pointsman"
OLD, NEW = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
GARBLED = b"this is no HTTP\r\n\r\n"


@dataclass
class Issuer:
    """A server that answers with raw bytes; `asked` counts its requests."""

    answer: bytes = b""
    asked: int = 0
    address: str = ""
    server: ThreadingHTTPServer | None = field(default=None, repr=False)

    def publish(self, **keys: EllipticCurvePrivateKey) -> None:
        named = [{**_public(key), "kid": name} for name, key in keys.items()]
        self.answer = _http("200 OK", json.dumps({"keys": named}).encode())

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            self.wfile.write(issuer.answer)
            self.close_connection = True

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            """Tests need no access log."""

    issuer.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.address = f"http://127.0.0.1:{issuer.server.server_port}/keys"
    threading.Thread(target=issuer.server.serve_forever, args=(0.05,), daemon=True).start()
    yield issuer
    issuer.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(issuer: Issuer, clock: Clock) -> SignedTokens:
    settings = Settings(jwt_issuer=ISSUER, jwt_audience=AUDIENCE, jwt_jwks=issuer.address)
    tokens = signed_tokens(settings, clock)
    assert tokens is not None
    return tokens


def _public(key: EllipticCurvePrivateKey) -> dict[str, Any]:
    jwk: dict[str, Any] = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    return {**jwk, "use": "sig", "alg": "ES256"}


def _http(status: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def signed(key: Any = OLD, *, kid: str = "old", algorithm: str = "ES256", **changes: object) -> str:
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "exp": int(time.time()) + 300,
        "scope": "read",
        "tenants": ["acme"],
        **changes,
    }
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


async def test_a_key_that_is_published_is_believed_and_read_once(
    issuer: Issuer, tokens: SignedTokens
) -> None:
    issuer.publish(old=OLD)

    found = [await tokens.principal(signed()) for _ in range(3)]

    assert [each.actor if each else None for each in found] == ["jwt:ada"] * 3
    assert issuer.asked == 1


async def test_a_new_key_is_believed_soon_after_it_is_published(
    issuer: Issuer, tokens: SignedTokens, clock: Clock
) -> None:
    issuer.publish(old=OLD)
    await tokens.principal(signed())
    issuer.publish(new=NEW)

    at_once = await tokens.principal(signed(NEW, kid="new"))
    clock.now += 11
    soon = await tokens.principal(signed(NEW, kid="new"))
    replaced = await tokens.principal(signed(OLD, kid="old"))

    assert at_once is None, "unknown key ids do not make the issuer be asked with every request"
    assert soon is not None
    assert replaced is None
    assert issuer.asked == 2


async def test_what_nobody_signed_is_not_asked_about(issuer: Issuer, tokens: SignedTokens) -> None:
    issuer.publish(old=OLD)
    unsigned = jwt.encode({"sub": "ada"}, "", algorithm="none", headers={"kid": "old"})

    found = await tokens.principal(unsigned)

    assert found is None
    assert issuer.asked == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: signed(kid="another"),
        lambda: signed(NEW),
        lambda: signed(iss="https://elsewhere.example/"),
        lambda: signed(aud="another service"),
        lambda: signed(exp=int(time.time()) - 3600),
        lambda: signed("a secret of thirty-two characters", algorithm="HS256"),
        lambda: "no.token.at-all",
    ],
    ids=["key id", "key", "issuer", "audience", "expired", "algorithm", "nonsense"],
)
async def test_a_wrong_token_is_nobody(
    issuer: Issuer, tokens: SignedTokens, make: Callable[[], str]
) -> None:
    issuer.publish(old=OLD)

    assert await tokens.principal(make()) is None


@pytest.mark.parametrize(
    "answer",
    [
        _http("500 Internal Server Error"),
        _http("200 OK", b"<html>"),
        _http("200 OK", b'{"keys": []}'),
        GARBLED,
        b"",
    ],
    ids=["an error", "no JSON", "no key", "no HTTP", "nothing"],
)
async def test_an_issuer_without_keys_is_an_outage_and_not_a_refusal(
    issuer: Issuer, tokens: SignedTokens, clock: Clock, answer: bytes
) -> None:
    issuer.answer = answer

    with pytest.raises(KeysUnavailable):
        await tokens.principal(signed())
    issuer.publish(old=OLD)
    clock.now += 11
    later = await tokens.principal(signed())

    assert later is not None


async def test_an_issuer_that_is_away_later_leaves_the_keys_that_are_known(
    issuer: Issuer, tokens: SignedTokens, clock: Clock
) -> None:
    issuer.publish(old=OLD)
    await tokens.principal(signed())
    issuer.stop()
    clock.now += 3600

    assert await tokens.principal(signed()) is not None


async def test_keys_are_not_fetched_from_where_the_issuer_sends_one(
    issuer: Issuer, tokens: SignedTokens
) -> None:
    # Nobody has checked that address: it might be plain http, where keys can be exchanged.
    issuer.answer = _http("302 Found", Location=issuer.address)

    with pytest.raises(KeysUnavailable):
        await tokens.principal(signed())

    assert issuer.asked == 1
